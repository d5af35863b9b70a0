"""Every feed that is at hand, taken in twice: the second time changes nothing but duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from periscope import FeedError, Periscope
from periscope.feeds import open_feed
from periscope.models import Unreadable

ROOT = Path(__file__).parent.parent
NO_FEEDS = ("README.md", "periscope-sample.toml", "warninglist-sample.json")
SAMPLES = [path for path in sorted((ROOT / "samples").iterdir()) if path.name not in NO_FEEDS]
# Real feeds that the repository may not carry; the suite passes without them.
SHARED = ROOT.parent / "shared" / "data"
CLEAN = [path for name in ("kev", "stix") for path in sorted((SHARED / name).glob("*"))]
EVERYTHING = [path for path in sorted(SHARED.rglob("*")) if path.is_file()]


def name_of(path: Path) -> str:
    return "/".join(path.parts[-2:])


@pytest.mark.parametrize("path", [*SAMPLES, *CLEAN], ids=name_of)
async def test_a_feed_read_twice_gives_duplicates_only(periscope: Periscope, path: Path) -> None:
    with open_feed(path) as feed:
        first = await periscope.add_threats_batch(feed)
    with open_feed(path) as feed:
        second = await periscope.add_threats_batch(feed)
    assert (second.added, second.sightings) == (0, 0)
    assert second.duplicates == first.committed
    assert second.rejected == first.rejected
    assert feed.read == second.received + feed.skipped.total()
    stats = await periscope.get_stats()
    assert stats.ledger.level_1 == stats.queue == first.added


async def test_no_file_does_any_harm(periscope: Periscope) -> None:
    """All at once, hostile ones and formats we do not read included: a reason or a threat each."""

    def items() -> Iterator[object]:
        for path in EVERYTHING:
            try:
                with open_feed(path) as feed:
                    yield from feed
            except FeedError as exc:
                yield Unreadable(str(exc))

    first = await periscope.add_threats_batch(items())
    again = await periscope.add_threats_batch(items())
    assert first.received == again.received
    assert first.rejected_count == again.rejected_count
    assert again.added == 0
    assert not any("\n" in rejection.reason for rejection in first.rejected)
