"""`periscope suppressed`: what was set aside as noise, and why."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope import documents
from periscope.cli import grid, noise_told, output
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.paging import FIRST_PAGE, STREAM_PAGE, PageOptions
from periscope.cli.text import safe
from periscope.documents import moment, times

if TYPE_CHECKING:
    from periscope.periscope import Periscope
    from periscope.suppressed import SuppressedPage


async def suppressed(
    *,
    cause: Annotated[
        str | None,
        Parameter(help="Only what is hidden by this: list:NAME or rule:ID.", metavar="CAUSE"),
    ] = None,
    forget: Annotated[
        str | None,
        Parameter(help="Forget what was set aside of this threat.", metavar="ID"),
    ] = None,
    paging: PageOptions = FIRST_PAGE,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show what is suppressed."""
    async with store.open() as periscope:
        if forget is not None:
            return await _forget(periscope, forget, out)
        if paging.everything:
            await _stream(periscope, cause, paging.cursor, out)
            return 0
        page = await periscope.get_suppressed(paging.cursor, paging.count, cause)
    if out.as_json:
        output.show_json(
            {
                "items": [documents.suppressed(one) for one in page],
                "next_cursor": page.next_cursor,
                "total": page.total,
                **times("as_of", page.as_of_ms),
            }
        )
    else:
        _show(page, cause, paging.count)
    return 0


async def _forget(periscope: Periscope, threat_id: str, out: OutputOptions) -> int:
    there = await periscope.forget_suppressed(threat_id)
    if out.as_json:
        output.show_json({"forgotten": threat_id, "was_suppressed": there})
    elif there:
        output.write(f"{safe(threat_id)} forgotten: its next report starts anew\n")
    else:
        output.write(f"nothing of {safe(threat_id)} is suppressed\n")
    return 0 if there else 1


async def _stream(
    periscope: Periscope, cause: str | None, cursor: str | None, out: OutputOptions
) -> None:
    while True:
        page = await periscope.get_suppressed(cursor, STREAM_PAGE, cause)
        if out.as_json:
            lines = [output.as_json(documents.suppressed(one)) + "\n" for one in page]
            output.write("".join(lines))
        elif page.items:
            grid.show(noise_told.ENTRY_HEADS, [noise_told.entry_cells(one) for one in page])
        if (cursor := page.next_cursor) is None:
            return


def _show(page: SuppressedPage, cause: str | None, count: int) -> None:
    if page.items:
        grid.show(noise_told.ENTRY_HEADS, [noise_told.entry_cells(one) for one in page])
    output.write(f"{len(page):,} of {page.total:,} suppressed, as of {moment(page.as_of_ms)}\n")
    if page.next_cursor is not None:
        words = ["periscope", "suppressed", "--count", str(count)]
        words += [] if cause is None else ["--cause", cause]
        output.write(f"Next page: {safe(shlex.join([*words, f'--cursor={page.next_cursor}']))}\n")
