"""Which ids are known: `exists`, `seen`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, BinaryIO

from cyclopts import Group, Parameter

from periscope import documents
from periscope.cli import output
from periscope.cli.figures import count
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.program import STDIN
from periscope.cli.text import safe
from periscope.documents import moment
from periscope.errors import FeedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from periscope.membership import Seen

WHICH = Group("Which ones", sort_key=10)
AT_ONCE = 100_000
"""Ids of one look; a file of any length takes the memory of so many."""

LONGEST_LINE = 4096
"""Bytes; no id is as long, so what is longer is known by nobody."""


async def exists(
    *ids: Annotated[
        str, Parameter(name="ID", help="Ids; put -- before the first one with a hyphen in front.")
    ],
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Say whether threats are known; 0 if all of them are."""
    if not ids:
        raise UsageError("which ones? give at least one id")
    async with store.open() as periscope:
        found = await periscope.seen(ids, exact=True)
    if out.as_json:
        output.show_json({one: one in found for one in ids})
    else:
        output.write("".join(f"{_word(one, found)}  {safe(one)}\n" for one in ids))
    return 0 if all(one in found for one in ids) else 1


def _word(threat_id: str, found: dict[str, Seen]) -> str:
    return "known  " if threat_id in found else "unknown"


async def seen(
    path: Annotated[str, Parameter(name="FILE", help="Ids, one a line; - is standard input.")],
    /,
    *,
    unknown: Annotated[
        bool,
        Parameter(group=WHICH, help="Show those that nobody knows instead.", show_default=False),
    ] = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show which ids of a list are known, in which level, and since when they are quiet."""
    asked = known = 0
    with _open(path) as lines:
        source = _ids(lines)
        async with store.open() as periscope:
            while ids := list(islice(source, AT_ONCE)):
                found = await periscope.seen(ids, exact=True)
                _show(ids, found, unknown=unknown, as_json=out.as_json)
                asked, known = asked + len(ids), known + sum(one in found for one in ids)
    if not out.as_json:
        output.write(f"{known:,} of {count(asked, 'id')} known\n")
    return 0


def _show(ids: list[str], found: dict[str, Seen], *, unknown: bool, as_json: bool) -> None:
    if unknown:
        strangers = [one for one in ids if one not in found]
        lines = [output.as_json({"threat_id": one}) if as_json else safe(one) for one in strangers]
    else:
        known = [found[one] for one in ids if one in found]
        lines = [output.as_json(documents.seen(one)) if as_json else _line(one) for one in known]
    output.write("".join(f"{line}\n" for line in lines))


def _line(one: Seen) -> str:
    return f"level {one.level:d}  {moment(one.last_activity_ms)}  {safe(one.threat_id)}"


def _open(path: str) -> BinaryIO:
    try:
        return open(0 if path == STDIN else path, "rb", closefd=path != STDIN)
    except (OSError, ValueError) as exc:
        name = "standard input" if path == STDIN else safe(path)
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise FeedError(f"{name}: cannot be opened: {reason}") from None


def _ids(lines: BinaryIO) -> Iterator[str]:
    """Lines without their ends; empty ones are none. What is not UTF-8 is the id of no threat."""
    rest = False
    while line := lines.readline(LONGEST_LINE):
        text = line.rstrip(b"\r\n").decode(errors="surrogateescape")
        if text and not rest:
            yield text
        rest = not line.endswith(b"\n")
