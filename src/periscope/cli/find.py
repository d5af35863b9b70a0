"""`periscope find` and `periscope similar`: what the board knows nothing of, without a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter, validators

from periscope import documents
from periscope.cli import output
from periscope.cli.listing import PART, read_range
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.paging import FIRST_PAGE, AnyPage, PageOptions, Walk
from periscope.cli.words import chosen
from periscope.models import SEVERITIES, STATUSES, Severity, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from periscope.functions import RankQuery
    from periscope.index import SimilarThreat, Where

CONDITIONS = Group("Conditions, all of which must hold", sort_key=5)
MOST_SHOWN = 3  # of what is shared


@Parameter(name="*")
@dataclass(frozen=True)
class ConditionOptions:
    """What is looked for."""

    text: Annotated[
        str | None,
        Parameter(
            name="--text",
            group=CONDITIONS,
            help="Words of title, content, id or indicators, in any order; phrases in quotes, "
            "and * at the end of a word for any further letters.",
        ),
    ] = None
    source: Annotated[
        str | None, Parameter(name="--source", group=CONDITIONS, help="Last reported by this one.")
    ] = None
    tag: Annotated[
        str | None, Parameter(name="--tag", group=CONDITIONS, help="With this tag, in any case.")
    ] = None
    tlp: Annotated[
        str | None,
        Parameter(
            name="--tlp", group=CONDITIONS, help="Marked CLEAR, GREEN, AMBER or RED; '' for not."
        ),
    ] = None
    indicator: Annotated[
        str | None,
        Parameter(
            name="--indicator",
            group=CONDITIONS,
            help="With this address, domain, URL or hash; type:value for one of that type only.",
        ),
    ] = None
    holder: Annotated[
        str | None,
        Parameter(
            name="--holder", group=CONDITIONS, help="Claimed by this analyst; '' for nobody."
        ),
    ] = None
    not_source: Annotated[
        tuple[str, ...],
        Parameter(
            name="--not-source",
            negative="",
            group=CONDITIONS,
            help="Not last reported by this one; may be given several times.",
            show_default=False,
        ),
    ] = ()
    not_tag: Annotated[
        tuple[str, ...],
        Parameter(
            name="--not-tag",
            negative="",
            group=CONDITIONS,
            help="Without this tag; may be given several times.",
            show_default=False,
        ),
    ] = ()
    not_tlp: Annotated[
        tuple[str, ...],
        Parameter(
            name="--not-tlp",
            negative="",
            group=CONDITIONS,
            help="Not marked so, '' for marked; may be given several times.",
            show_default=False,
        ),
    ] = ()
    not_severity: Annotated[
        tuple[str, ...],
        Parameter(
            name="--not-severity",
            negative="",
            group=CONDITIONS,
            help="Not of this severity; may be given several times.",
            show_default=False,
        ),
    ] = ()
    overdue: Annotated[
        bool,
        Parameter(
            name="--overdue",
            negative="",
            group=CONDITIONS,
            help="Unseen and past the response target.",
            show_default=False,
        ),
    ] = False

    def where(self) -> Where:
        """Return the conditions."""
        from periscope.index import Where

        return Where(
            **self._given(),
            overdue=True if self.overdue else None,
            not_sources=self.not_source,
            not_tags=self.not_tag,
            not_tlps=self.not_tlp,
            not_severities=tuple(
                chosen(Severity, one, "--not-severity") for one in self.not_severity
            ),
        )

    def _given(self) -> dict[str, Any]:
        return {name: value for name in TEXTS if (value := getattr(self, name)) is not None}

    def words(self) -> list[str]:
        """Return the options that say the same."""
        flags = [f"--{name}={value}" for name, value in self._given().items()]
        flags += [f"--not-{name}={one}" for name in LISTS for one in getattr(self, f"not_{name}")]
        return [*flags, *(["--overdue"] if self.overdue else [])]


LISTS = ("source", "tag", "tlp", "severity")
TEXTS = ("text", "source", "tag", "tlp", "indicator", "holder")


@Parameter(name="*")
@dataclass(frozen=True)
class PartOptions:
    """In which part of level 1; all of them may be given."""

    severity: Annotated[
        str | None,
        Parameter(name="--severity", group=PART, help="Only this: CRITICAL, HIGH, MEDIUM or LOW."),
    ] = None
    status: Annotated[
        str | None,
        Parameter(
            name="--status",
            group=PART,
            help="Only this: open (without it), dismissed, snoozed or closed.",
        ),
    ] = None
    score: Annotated[
        str | None,
        Parameter(
            name="--score",
            group=PART,
            help="Only these scores, both included; either side may be left out.",
            metavar="LOW..HIGH",
        ),
    ] = None

    def query(self) -> RankQuery:
        """Return that part of the board.

        Raises:
            UsageError: a word or a number is none.
        """
        from periscope.functions import RankQuery

        status, severity = Status.OPEN, -1
        if self.status is not None:
            status = chosen(Status, self.status, "--status")
        if self.severity is not None:
            severity = SEVERITIES.index(chosen(Severity, self.severity, "--severity"))
        low, high = (None, None) if self.score is None else read_range(self.score)
        return RankQuery(STATUSES.index(status), severity, low, high)

    def words(self) -> list[str]:
        """Return the options that say the same."""
        given = {"severity": self.severity, "status": self.status, "score": self.score}
        return [f"--{name}={value}" for name, value in given.items() if value is not None]


NO_CONDITIONS = ConditionOptions()
WHOLE_QUEUE = PartOptions()


async def find(
    *,
    conditions: ConditionOptions = NO_CONDITIONS,
    part: PartOptions = WHOLE_QUEUE,
    paging: PageOptions = FIRST_PAGE,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Go through what fits, page by page."""
    from periscope.index.plain import find as find_page

    where, query = conditions.where(), part.query()
    async with store.open() as periscope:

        async def read(cursor: str | None, count: int) -> AnyPage:
            return await find_page(periscope, query, where, cursor, count)

        words = ["find", *conditions.words(), *part.words()]
        walk = Walk(words, read, document=documents.filtered_page)
        await walk.go(paging, store, out)
    return 0


async def similar(
    threat_id: Annotated[
        str, Parameter(name="ID", help="The threat's id; put -- before one with a hyphen in front.")
    ],
    /,
    *,
    count: Annotated[
        int, Parameter(help="How many to show.", validator=validators.Number(gte=1, lte=100))
    ] = 20,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show what shares an indicator or the content."""
    from periscope.index.plain import similar as find_similar

    async with store.open() as periscope:
        found = await find_similar(periscope, threat_id, count)
    if out.as_json:
        output.show_json(documents.similar(found))
    elif not found.items:
        output.write("No other threat shares an indicator or the content.\n")
    else:
        _show(found.items)
    return 0


def _show(items: Sequence[SimilarThreat]) -> None:
    from periscope.cli.queue import Cell, Column, QueueTable, severity_columns, title
    from periscope.cli.text import safe
    from periscope.threat import Threat

    shared = {one.threat.threat_id: _shared(one) for one in items}

    def columns(id_cells: int, plain: bool) -> list[Column]:
        def what(_: int, threat: Threat) -> Cell:
            return Cell(safe(shared[threat.threat_id]))

        return [
            *severity_columns(),
            Column("TITLE", 0, lambda _, threat: Cell(title(threat))),
            Column("SHARES", 32, what),
            Column("ID", id_cells, lambda _, threat: Cell(safe(threat.threat_id))),
            Column("STATUS", 9, lambda _, threat: Cell(threat.status.value), rank=3),
            Column("LEVEL", 5, lambda _, threat: Cell(str(int(threat.level))), rank=4),
        ]

    threats = [one.threat for one in items]
    width = output.console().width
    table = QueueTable(threats, width, plain=output.is_plain(), columns=columns)
    output.show_lines([table.header(), *table.rows(threats)])


def _shared(one: SimilarThreat) -> str:
    named = [*(["content"] if one.same_content else []), *one.indicators]
    more = len(named) - MOST_SHOWN
    return ", ".join(named[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
