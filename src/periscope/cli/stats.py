"""`periscope stats`: how many threats of which kind there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from periscope import documents
from periscope.cli import output
from periscope.cli.figures import count, size
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.text import safe
from periscope.documents import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.text import Text

    from periscope.connection import Capacity, ServerFacts
    from periscope.ledger import Stats

CELLS = 10
CAUSES = 3


async def stats(*, store: StoreOptions = ANY_STORE, out: OutputOptions = FOR_PEOPLE) -> int:
    """Count the threats by status, severity and level."""
    async with store.open() as periscope:
        found, server = await periscope.get_stats(), periscope.server
        held = await periscope.get_holdings()
    if out.as_json:
        told = documents.server(server, found.capacity)
        output.show_json({**documents.stats(found), "held": held, "server": told})
    else:
        output.show(*_parts(found, held, server))
    return 0


def _parts(found: Stats, held: Mapping[str, int], server: ServerFacts) -> Iterator[Text]:
    from rich.text import Text

    from periscope.models import SEVERITIES

    names = [severity.value for severity in reversed(SEVERITIES)]
    yield Text(_line("Level 1", [*names, "ALL"]), style="bold")
    for status, counts in found.counts.items():
        yield Text(_row(status, counts, names))
    yield Text(_row("unseen", found.unseen, names))
    yield Text("")
    ledger = found.ledger
    for label, number in (
        ("Level 1", ledger.level_1),
        ("Level 2", ledger.level_2),
        ("Level 3", ledger.level_3),
        ("Departed", ledger.departed),
    ):
        yield Text(_line(label, [f"{number:,}"]))
    yield Text(_held(held))
    if found.suppressed:
        yield Text(set_aside(found.suppressed))
    state = "balanced" if ledger.balanced else "DOES NOT BALANCE: see periscope ledger"
    yield Text(f"Ledger    {state}")
    yield Text(
        f"Server    {safe(server.kind)} {safe(server.version)}, {server.durability}"
        f"{_memory(found.capacity)}",
    )
    if found.capacity is not None and found.capacity.refusal:
        yield Text(f"Writable  {found.capacity.writable}: {safe(found.capacity.refusal)}")
    yield Text(f"As of     {moment(found.as_of_ms)}")


def _memory(capacity: Capacity | None) -> str:
    """Return how much of its memory the server uses, with the limit if it has one."""
    if capacity is None:
        return ""
    most = f" of {size(capacity.max_memory_bytes)}" if capacity.max_memory_bytes else ""
    return f", {size(capacity.used_memory_bytes)}{most} used"


def _held(held: Mapping[str, int]) -> str:
    """Return what waits, in one line: for the worker, for analysts, for the archive."""
    waiting = f"{held['promotable']:,} eligible, {count(held['claims'], 'claim')}"
    return f"Waiting   {waiting}, {size(held['audit_bytes'])} to be archived"


def set_aside(causes: Mapping[str, int]) -> str:
    """Return how many ids are set aside as noise, and the causes of most of them."""
    first = [f"{safe(cause)} {number:,}" for cause, number in list(causes.items())[:CAUSES]]
    more = [f"{len(causes) - CAUSES:,} more causes"] if len(causes) > CAUSES else []
    return f"Noise     {count(sum(causes.values()), 'id')} set aside: {', '.join(first + more)}"


def _row(label: str, counts: Mapping[str, int], names: list[str]) -> str:
    numbers = [counts[name] for name in names]
    return _line(label, [f"{number:,}" for number in (*numbers, sum(numbers))])


def _line(label: str, cells: list[str]) -> str:
    return label.ljust(CELLS) + "".join(cell.rjust(CELLS) for cell in cells)
