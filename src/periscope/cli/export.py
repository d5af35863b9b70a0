"""`periscope export`: a whole list as NDJSON or CSV."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

from cyclopts import Group, Parameter

from periscope.cli import output
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.words import chosen
from periscope.errors import UsageError
from periscope.exporting import PAGE, ExportFormat, export
from periscope.models import Status

if TYPE_CHECKING:
    from periscope.periscope import Periscope
    from periscope.threat import RecordPage

WHICH = Group("Which threats", sort_key=10)


@Parameter(name="*")
@dataclass(frozen=True)
class WhichOptions:
    """Which list is exported."""

    level: Annotated[
        int, Parameter(name="--level", group=WHICH, help="1 work, 2 validated, 3 known.")
    ] = 1
    severity: Annotated[
        str | None, Parameter(name="--severity", group=WHICH, help="Only this severity (level 1).")
    ] = None
    status: Annotated[
        str | None, Parameter(name="--status", group=WHICH, help="Only this status of level 1.")
    ] = None

    async def page(self, periscope: Periscope, cursor: str | None) -> RecordPage:
        """Read the page after a cursor.

        Raises:
            UsageError: there is no such list.
        """
        from periscope.functions import RankQuery
        from periscope.rank_queries import severity_query, status_query

        if self.level in (2, 3) and self.severity is None and self.status is None:
            return await periscope.get_level_records(self.level, None, cursor, PAGE)
        if self.level != 1:
            raise UsageError("--level is 1, 2 or 3; --severity and --status are for level 1")
        status = chosen(Status, self.status or "open", "--status")
        rank = -1 if self.severity is None else severity_query(self.severity).severity
        query = RankQuery(status=status_query(status).status, severity=rank)
        return await periscope.get_ranked_records(query, cursor, PAGE)


THE_QUEUE = WhichOptions()


async def export_list(
    *,
    form: Annotated[
        str, Parameter(name="--format", help="ndjson or csv.", metavar="FORMAT")
    ] = "ndjson",
    out_file: Annotated[
        Path | None,
        Parameter(name="--out", help="File to write, instead of standard output.", metavar="FILE"),
    ] = None,
    which: WhichOptions = THE_QUEUE,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Write a whole list in rank order, as of one moment."""
    chosen_form = chosen(ExportFormat, form, "--format")
    async with store.open() as periscope:
        parts = export(
            chosen_form,
            periscope.functions.rules.policy,
            lambda cursor: which.page(periscope, cursor),
        )
        if out_file is None:
            async for part in parts:
                output.write(part.decode())
            return 0
        with _opened(out_file) as file:
            async for part in parts:
                file.write(part)
    output.note(f"wrote {out_file}")
    return 0


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("xb")
    except OSError as exc:
        raise UsageError(f"{path}: cannot be written: {exc.strerror}") from None
