"""What the tests of the index share: an index that is up, walks, and the same by brute force."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from periscope import Periscope, Threat
from periscope.functions import RankQuery
from periscope.index import ReadIndex, Where
from periscope.models import STATUSES
from periscope.scoring import score
from tests.support.nodes import wait_until

BUILT_S = 20


@asynccontextmanager
async def indexed(p: Periscope, folder: Path) -> AsyncIterator[ReadIndex]:
    """An index that has everything that was acknowledged before."""
    index = ReadIndex(p, folder)
    await index.start()
    try:
        await up_to_now(p, index)
        yield index
    finally:
        await index.close()


async def up_to_now(p: Periscope, index: ReadIndex) -> None:
    """Wait until all that was acknowledged is in the index."""
    assert await index.reached(await p.get_event_position(), BUILT_S)


async def walk(
    index: ReadIndex, where: Where, query: RankQuery | None = None, count: int = 7
) -> tuple[list[Threat], int]:
    """All pages of a walk, and the moment it is of."""
    cursor, found = None, list[Threat]()
    while True:
        page = await index.page(query or RankQuery(), where, cursor, count)
        found += page.items
        assert len(page.items) <= count
        if (cursor := page.next_cursor) is None:
            return found, page.as_of_ms


def ranked(
    threats: Iterable[Threat],
    as_of_ms: int,
    fits: Callable[[Threat], bool],
    query: RankQuery | None = None,
) -> list[str]:
    """Ids of what fits, in the order that DESIGN 2 gives them at that moment."""
    query = query or RankQuery()
    keyed = [
        (
            score(one.policy, one.severity, one.interactions, one.escalations, age(one, as_of_ms)),
            one.last_activity_ms,
            one.threat_id.encode(),
        )
        for one in threats
        if one.level == 1
        and one.status is STATUSES[query.status]
        and query.severity in (-1, one.severity.rank)
        and one.interactions >= query.interactions
        and fits(one)
    ]
    low = float("-inf") if query.lowest is None else query.lowest
    high = float("inf") if query.highest is None else query.highest
    return [one[2].decode() for one in sorted(keyed, reverse=True) if low <= one[0] <= high]


def age(threat: Threat, as_of_ms: int) -> int:
    return max(0, as_of_ms - threat.last_activity_ms)


def ids(threats: Iterable[Threat]) -> list[str]:
    return [one.threat_id for one in threats]


def report(number: int, **more: Any) -> dict[str, Any]:
    """One report of many: sources, tags, addresses and words repeat with different periods."""
    return {
        "threat_id": f"t{number}",
        "content": f"Beacon {number} seen at evil{number % 7}[.]example",
        "severity": ("LOW", "MEDIUM", "HIGH", "CRITICAL")[number % 4],
        "source": f"s{number % 5}",
        "metadata": {
            "title": f"Alert of host {number % 11}",
            "tags": [f"Tag{number % 3}", "all"],
            "tlp": ("amber", "TLP:WHITE", "RED")[number % 3],
            "indicators": [{"type": "domain-name", "value": f"evil{number % 7}.example"}],
        },
        **more,
    }


__all__ = ["indexed", "ranked", "report", "up_to_now", "wait_until", "walk"]
