"""What outlives the queue, and what it owes: `promote`, `knowledge`, `overdue`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope import documents
from periscope.cli import output
from periscope.cli.figures import count
from periscope.cli.listing import PART
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.paging import FIRST_PAGE, PageOptions, Walk
from periscope.cli.text import safe
from periscope.cli.words import chosen, unknown
from periscope.errors import UsageError
from periscope.models import Severity

if TYPE_CHECKING:
    from periscope.periscope import Periscope

TITLES = ("Level 2, short-term", "\nLevel 3, long-term")
LEVELS = {"2": 2, "short": 2, "3": 3, "long": 3}


async def promote(*, store: StoreOptions = ANY_STORE, out: OutputOptions = FOR_PEOPLE) -> int:
    """Promote what is eligible, now."""
    async with store.open() as periscope:
        stats = await periscope.promote_eligible_threats()
    if out.as_json:
        output.show_json(documents.promotion(stats))
    else:
        ids = "".join(f"  {safe(one)}\n" for one in stats.promoted_ids)
        failed = f"; {stats.failed:,} failed: see periscope ledger --deep" if stats.failed else ""
        output.write(f"{count(stats.promoted, 'threat')} promoted{failed}\n{ids}")
    return 1 if stats.failed else 0


async def overdue(
    *,
    severity: Annotated[
        str | None,
        Parameter(group=PART, help="Only this: CRITICAL, HIGH, MEDIUM or LOW.", metavar="WORD"),
    ] = None,
    paging: PageOptions = FIRST_PAGE,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show what nobody has looked at in time."""
    from periscope.cli.columns import overdue_columns

    wanted = None if severity is None else chosen(Severity, severity, "--severity")
    words = ["overdue", *([] if wanted is None else ["--severity", wanted.value])]
    async with store.open() as periscope:
        walk = Walk(
            words,
            lambda cursor, most: periscope.get_overdue(wanted, cursor, most),
            overdue_columns,
            "overdue threat",
        )
        await walk.go(paging, store, out)
    return 0


async def knowledge(
    *,
    level: Annotated[
        str | None,
        Parameter(
            group=PART, help="Only this: 2 or short, 3 or long; without it both.", metavar="LEVEL"
        ),
    ] = None,
    industry: Annotated[
        str | None,
        Parameter(group=PART, help="Only level 3, only this industry.", metavar="NAME"),
    ] = None,
    paging: PageOptions = FIRST_PAGE,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show what has been learned: levels 2 and 3."""
    levels = _levels(level, industry, paging)
    async with store.open() as periscope:
        walks = [_walk(periscope, one, industry) for one in levels]
        if len(walks) == 1:
            await walks[0].go(paging, store, out)
        elif paging.everything:
            await _all_of_both(walks, paging, store, out)
        else:
            await _both(walks, paging, store, out)
    return 0


def _levels(level: str | None, industry: str | None, paging: PageOptions) -> list[int]:
    """Return the levels that the options mean together.

    Raises:
        UsageError: no such level, or options that do not go together.
    """
    number = None
    if level is not None and (number := LEVELS.get(level.lower())) is None:
        raise unknown(level, "--level", list(LEVELS))
    if industry is not None:
        if number == 2:
            raise UsageError("--industry is of level 3 only; leave --level out")
        return [3]
    if number is None and paging.cursor is not None:
        raise UsageError("a cursor is of one level; give --level as well")
    return [2, 3] if number is None else [number]


def _walk(periscope: Periscope, level: int, industry: str | None) -> Walk:
    from periscope.cli.columns import knowledge_columns

    words = ["knowledge", "--level", str(level)]
    if level == 2:
        return Walk(words, periscope.get_short_term, knowledge_columns, "threat")
    words += [] if industry is None else ["--industry", industry]
    return Walk(
        words,
        lambda cursor, most: periscope.get_long_term(industry, cursor, most),
        knowledge_columns,
        "threat",
    )


async def _all_of_both(
    walks: list[Walk], paging: PageOptions, store: StoreOptions, out: OutputOptions
) -> None:
    for walk, title in zip(walks, TITLES, strict=True):
        if not out.as_json:
            output.write(f"{title}\n")
        await walk.go(paging, store, out)


async def _both(
    walks: list[Walk], paging: PageOptions, store: StoreOptions, out: OutputOptions
) -> None:
    pages = [await walk.read(None, paging.count) for walk in walks]
    if out.as_json:
        names = ("short_term", "long_term")
        parts = zip(names, walks, pages, strict=True)
        output.show_json({name: walk.document(page) for name, walk, page in parts})
        return
    for walk, page, title in zip(walks, pages, TITLES, strict=True):
        output.write(f"{title}\n")
        walk.show(page, paging, store)
