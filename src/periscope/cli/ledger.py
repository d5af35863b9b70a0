"""`periscope ledger`: the conservation law, as two sums that must come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope import documents
from periscope.cli import output
from periscope.cli.archives import archive_of
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.text import safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from periscope.ledger import Ledger
    from periscope.periscope import Periscope

IN = ("added", "sightings", "duplicates", "suppressed", "rejected")
WHERE = ("level_1", "level_2", "level_3", "archived_seen", "archived_unseen", "removed")
NUMBER_CELLS = 16


async def ledger(
    *,
    deep: Annotated[
        bool,
        Parameter(
            help="Count every record again, and the archive; slow, for a quiet database.",
            show_default=False,
        ),
    ] = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Prove that nothing was lost."""
    async with store.open() as periscope:
        found = await (_recounted(periscope) if deep else periscope.get_ledger())
    return tell_ledger(found, as_json=out.as_json)


def tell_ledger(found: Ledger, *, as_json: bool) -> int:
    """Show the sums; the exit code says whether they come out."""
    if as_json:
        output.show_json(documents.ledger(found))
    else:
        output.show(*_parts(found))
    return 0 if found.balanced else 1


async def _recounted(periscope: Periscope) -> Ledger:
    async with archive_of(periscope) as archive:
        return await periscope.get_ledger(deep=True, archive=archive)


def _parts(found: Ledger) -> Iterator[Text]:
    from rich.text import Text

    yield from _sum("received", found.received, {name: getattr(found, name) for name in IN})
    yield from _sum("added", found.added, {name: getattr(found, name) for name in WHERE})
    if found.records is not None:
        yield from _sum("records", found.records, {"in levels": found.in_levels})
    if found.archived is not None:
        archived = {name.replace("_", " "): number for name, number in found.archived.items()}
        yield from _sum("departed", found.departed, archived or {"in the archive": 0})
    for word, often in found.faults.items():
        yield Text(f"fault {safe(word)}: {often:,}", style="bold red")
    if found.balanced:
        yield Text("Balanced: nothing is lost, nothing is counted twice.", style="green")
    else:
        yield Text("DOES NOT BALANCE: something was lost or counted twice.", style="bold red")


def _sum(name: str, total: int, parts: dict[str, int]) -> Iterator[Text]:
    from rich.text import Text

    for at, (part, number) in enumerate(parts.items()):
        sign = "+" if at else " "
        yield Text(f"{number:{NUMBER_CELLS},} {sign} {part.replace('_', ' ')}")
    rest = total - sum(parts.values())
    verdict = "" if not rest else f"   OFF BY {rest:+,}"
    yield Text(f"{total:{NUMBER_CELLS},} = {name}{verdict}", style="bold red" if rest else "bold")
    yield Text("")
