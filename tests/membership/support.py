"""What the tests of membership share: writing as the engine does, and what must never happen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from periscope import FilterState, Periscope
from periscope.membership import Membership


def report(threat_id: str) -> dict[str, Any]:
    return {"threat_id": threat_id, "content": "c", "severity": "HIGH"}


def membership_of(p: Periscope) -> Membership:
    return p._membership


async def add(p: Periscope, ids: Iterable[str]) -> None:
    """Take reports in; the engine tells the filter before it tells us."""
    await p.add_threats_batch(map(report, ids))


def as_of(p: Periscope, threat_id: str) -> int:
    """Of which moment a local "no" about this threat is now."""
    keys = p.keyspace.partition_of(threat_id.encode())
    return membership_of(p)._followers[keys.number].as_of_ms or 0


async def wait_until(holds: Callable[[], bool], what: str, within_s: float = 20) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not holds():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s: {what}") from None


async def settle(p: Periscope) -> None:
    """Wait until the filter has heard of everything that is acknowledged by now."""
    members, now_ms = membership_of(p), time.time_ns() // 1_000_000

    def heard() -> bool:
        members.hurry()
        status = members.status
        return status.state is FilterState.FOLLOWING and (status.as_of_ms or 0) > now_ms

    await wait_until(heard, f"the filter follows again: {members.status}")


async def wrong_answers(p: Periscope, ids: Iterable[str]) -> list[str]:
    """Those of `ids` that the filter denies although the server has them."""
    denied = [one for one in ids if membership_of(p).is_absent(one)]
    return [one for one in denied if await p.threat_exists(one, exact=True)]
