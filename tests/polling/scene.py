"""What the tests of polling share: files of reports, feeds, and what must be true at the end."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from periscope import Periscope
from periscope.polling import Ended, Feeds

USUAL: dict[str, Any] = {"settle": "0s", "interval": "100ms", "jitter": "0s"}


def report(threat_id: str, **fields: Any) -> dict[str, Any]:
    return {"threat_id": threat_id, "content": "c", "severity": "LOW", **fields}


def lines(ids: Iterable[str]) -> str:
    return "".join(json.dumps(report(one)) + "\n" for one in ids)


def numbered(first: int, count: int, prefix: str = "t") -> list[str]:
    return [f"{prefix}{number}" for number in range(first, first + count)]


async def run_once(periscope: Periscope, name: str = "f") -> Ended:
    return await Feeds(periscope).run_feed(name)


async def add(periscope: Periscope, kind: str, place: Path | str, **fields: Any) -> Feeds:
    feeds = Feeds(periscope)
    await feeds.add_feed("f", kind=kind, place=str(place), **{**USUAL, **fields})
    return feeds


async def stored(periscope: Periscope) -> set[str]:
    return {threat.threat_id async for threat in periscope.get_all_active()}


async def until(holds: Callable[[], Awaitable[bool]], what: str, within_s: float = 30) -> None:
    """As `wait_until`, for what has to be asked for."""
    try:
        async with asyncio.timeout(within_s):
            while not await holds():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s: {what}") from None


def done(ended: Ended) -> Counter[str]:
    """What a run did, without what it did not."""
    assert ended.error is None, ended.error
    names = ("documents", "read", "added", "sightings", "duplicates", "rejected", "dead_letters")
    return +Counter({name: getattr(ended.counts, name) for name in names})
