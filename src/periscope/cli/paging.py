"""A walk over pages of threats: one page with the command for the next, or all as a stream."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter, validators

from periscope import documents
from periscope.cli import output
from periscope.cli.figures import count as counted
from periscope.documents import moment

if TYPE_CHECKING:
    from periscope.cli.options import OutputOptions, StoreOptions
    from periscope.cli.queue import Columns, QueueTable
    from periscope.index import FilteredPage
    from periscope.threat import Page, Threat

STREAM_PAGE = 500

AnyPage: TypeAlias = "Page | FilteredPage[Threat]"
ReadPage = Callable[[str | None, int], Awaitable[AnyPage]]


@Parameter(name="*")
@dataclass(frozen=True)
class PageOptions:
    """How much is shown, and from where on."""

    cursor: Annotated[
        str | None,
        Parameter(
            name="--cursor",
            help="Go on where a page ended: its next cursor.",
            allow_leading_hyphen=True,
        ),
    ] = None
    count: Annotated[
        int,
        Parameter(
            name="--count", help="Threats a page.", validator=validators.Number(gte=1, lte=1000)
        ),
    ] = 100
    everything: Annotated[
        bool,
        Parameter(
            name="--all",
            help="Stream all pages; with --json one line a threat.",
            show_default=False,
        ),
    ] = False


FIRST_PAGE = PageOptions()


@dataclass(frozen=True)
class Walk:
    """What is walked: the command's words that mean it, how a page is read, how it is shown."""

    words: Sequence[str]
    read: ReadPage
    columns: Columns | None = None
    noun: str = "threat"
    document: Callable[[Any], documents.Document] = documents.page

    async def go(self, paging: PageOptions, store: StoreOptions, out: OutputOptions) -> None:
        """Show a page, or all of them."""
        if paging.everything:
            await self._stream(paging.cursor, as_json=out.as_json)
            return
        page = await self.read(paging.cursor, paging.count)
        if out.as_json:
            output.show_json(self.document(page))
        else:
            self.show(page, paging, store)

    def show(self, page: AnyPage, paging: PageOptions, store: StoreOptions) -> None:
        """Print one page, and the command for the next."""
        from rich.text import Text

        shown, noun = len(page.items), self.noun
        of = counted(shown, noun)
        if page.total is not None:
            of = f"{shown:,} of {counted(page.total, noun)}"
        summary = f"{of}, as of {moment(page.as_of_ms)}"
        if not page.items:
            output.write(f"{summary}\n")
            return
        table = self._table(page, ranks=0)
        output.show_lines([table.header(), *table.rows(page.items), Text(summary, style="dim")])
        if page.next_cursor is not None:
            output.write(f"Next page: {self._next(page.next_cursor, paging.count, store)}\n")

    def _table(self, page: AnyPage, *, ranks: int) -> QueueTable:
        from periscope.cli.queue import QueueTable, queue_columns

        columns, plain = self.columns or queue_columns, output.is_plain()
        width = output.console().width
        return QueueTable(page.items, width, ranks=ranks, plain=plain, columns=columns)

    async def _stream(self, cursor: str | None, *, as_json: bool) -> None:
        """All pages; memory stays that of one."""
        if as_json:
            async for page in self._pages(cursor):
                lines = [output.as_json(documents.threat(one)) + "\n" for one in page.items]
                output.write("".join(lines))
        else:
            await self._stream_table(cursor)

    async def _stream_table(self, cursor: str | None) -> None:
        table, rank = None, 1
        async for page in self._pages(cursor):
            if table is None:
                table = self._table(page, ranks=page.total or 0)
                output.show_lines([table.header()])
            if page.items:
                output.show_lines(table.rows(page.items, rank))
            rank += len(page.items)

    async def _pages(self, cursor: str | None) -> AsyncIterator[AnyPage]:
        while True:
            page = await self.read(cursor, STREAM_PAGE)
            yield page
            if (cursor := page.next_cursor) is None:
                return

    def _next(self, cursor: str, count: int, store: StoreOptions) -> str:
        """Return the command for the next page; a URL may hold a password and is left out."""
        words = ["periscope", *self.words, "--count", str(count)]
        if store.data_dir is not None:
            words += ["--data-dir", store.data_dir]
        if store.namespace is not None:
            words += ["--namespace", store.namespace]
        if store.url is not None:
            words += ["--url", "..."]
        return shlex.join([*words, f"--cursor={cursor}"])
