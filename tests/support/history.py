"""What callers were told, against what is there: nothing lost, nothing twice, nothing made up.

Every call is written down with its start, end and outcome. A committed change is visible ever
after; a rejected one never; an unknown one either, but whole.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Any

from periscope import Periscope
from periscope.errors import OutcomeUnknown, PeriscopeError

PACE_S = 0.002
FIGURE = "figure: "


class Told(StrEnum):
    COMMITTED = "committed"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Call:
    """One change that was asked for: `threat_id` added, or interacted with (`is_act`)."""

    threat_id: str
    is_act: bool
    partition: int
    start: float
    end: float
    told: Told
    error: PeriscopeError | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a history comes to. `lost` are the acknowledged changes that are not there."""

    acknowledged: int
    unknown: int
    rejected: int
    lost: list[Call]
    doubled: list[str]
    made_up: list[str]

    def __str__(self) -> str:
        return (
            f"{self.acknowledged:,} acknowledged, {len(self.lost)} lost, {len(self.doubled)} "
            f"doubled, {self.unknown} unknown, {self.rejected} rejected"
        )


@dataclass
class History:
    """Calls on one database."""

    p: Periscope
    calls: list[Call] = field(default_factory=list)

    async def record(self, threat_id: str, change: Awaitable[Any], *, is_act: bool) -> bool:
        """Await a change and write down what came of it; was it committed?"""
        partition = self.p.keyspace.partition_of(threat_id.encode()).number
        start, told, error = time.monotonic(), Told.COMMITTED, None
        try:
            await change
        except PeriscopeError as exc:
            told = Told.UNKNOWN if isinstance(exc, OutcomeUnknown) else Told.REJECTED
            error = exc
        call = Call(threat_id, is_act, partition, start, time.monotonic(), told, error)
        self.calls.append(call)
        return told is Told.COMMITTED

    async def verdict(self) -> Verdict:
        """Read everything back, and compare."""
        by_id: dict[str, list[Call]] = {}
        for call in self.calls:
            by_id.setdefault(call.threat_id, []).append(call)
        there = {threat.threat_id: threat for threat in await self.p.get_threats(by_id)}
        lost, doubled, made_up = [], [], []
        for one, calls in by_id.items():
            adds = [call for call in calls if not call.is_act]
            if one not in there:
                lost += [call for call in calls if call.told is Told.COMMITTED]
                continue
            if adds and all(call.told is Told.REJECTED for call in adds):
                made_up.append(one)
            told = Counter(call.told for call in calls if call.is_act)
            seen = there[one].interactions
            sure, perhaps = told[Told.COMMITTED], told[Told.UNKNOWN]
            if seen < sure:
                acts = [call for call in calls if call.is_act and call.told is Told.COMMITTED]
                lost += acts[seen - sure :]
            if seen > sure + perhaps:
                doubled.append(one)
        told = Counter(call.told for call in self.calls)
        figures = (told[Told.COMMITTED], told[Told.UNKNOWN], told[Told.REJECTED])
        return Verdict(*figures, lost, doubled, made_up)

    def longest_calls(self, partitions: Iterable[int], since: float = 0.0) -> dict[int, float]:
        """How many seconds the longest call of each of these partitions took, of those that were
        committed at `since` or later; a partition without one is left out.

        What one partition's callers wait for: other partitions' answers do not shorten it.
        """
        wanted, longest = set(partitions), dict[int, float]()
        for call in self.calls:
            if call.told is Told.COMMITTED and call.partition in wanted and call.end >= since:
                took = call.end - call.start
                longest[call.partition] = max(took, longest.get(call.partition, 0.0))
        return longest

    def first_answer(self, partitions: Iterable[int], since: float) -> float:
        """Seconds from `since` to the first acknowledgement of a call that began after it."""
        wanted = set(partitions)
        return next(
            call.end - since
            for call in self.calls
            if call.told is Told.COMMITTED and call.partition in wanted and call.start > since
        )


_NUMBERS = count()


@asynccontextmanager
async def load(
    p: Periscope, callers: int = 16, only: Callable[[str], bool] = lambda threat_id: True
) -> AsyncIterator[History]:
    """Callers that add threats and interact with them, one call after the other, until the end.

    Half of them keep to the threats that `only` takes. Whatever a call raises that is none of our
    errors ends the test.
    """
    history = History(p)
    ended = asyncio.Event()

    async def caller(number: int) -> None:
        name = next(_NUMBERS)
        for turn in count():
            if ended.is_set():
                return
            threat_id = f"w{name}-{turn}"
            if number % 2 and not only(threat_id):
                continue
            await _add_and_act(history, threat_id)
            await asyncio.sleep(PACE_S)

    async with asyncio.TaskGroup() as tasks:
        for number in range(callers):
            tasks.create_task(caller(number))
        try:
            yield history
        finally:
            ended.set()


async def _add_and_act(history: History, threat_id: str) -> None:
    p = history.p
    if await history.record(threat_id, p.add_threat(threat_id, "x", "HIGH"), is_act=False):
        for turn, action in enumerate(("view", "escalate")):
            act = p.record_interaction(threat_id, "ann", action, f"{threat_id}-{turn}")
            await history.record(threat_id, act, is_act=True)


async def acknowledged(history: History, more: int, partitions: Iterable[int] = ()) -> None:
    """Wait until so many more changes were acknowledged, in these partitions if any are named."""
    wanted, before = set(partitions), len(history.calls)

    def done() -> int:
        return sum(
            call.told is Told.COMMITTED and (not wanted or call.partition in wanted)
            for call in history.calls[before:]
        )

    deadline = time.monotonic() + 30
    while done() < more:
        assert time.monotonic() < deadline, f"only {done()} of {more} acknowledged within 30 s"
        await asyncio.sleep(0.01)


def say(line: str) -> None:
    """A figure: tests/conftest.py lists all of them when the tests are done."""
    print(f"\n{FIGURE}{line}")  # noqa: T201


async def check(history: History, name: str) -> Verdict:
    """Compare, print, and require that nothing was doubled or made up, and the ledger balances."""
    verdict = await history.verdict()
    say(f"{name}: {verdict}")
    assert not verdict.doubled
    assert not verdict.made_up
    ledger = await history.p.get_ledger(deep=True)
    assert ledger.balanced, ledger
    await check_ranking(history.p)
    return verdict


async def check_ranking(p: Periscope, most: int = 200) -> None:
    """The top is what sorting everything would give."""
    ids = [threat.threat_id async for threat in p.get_all_active()]
    assert len(ids) == len(set(ids))
    p.functions.now_ms = int(time.time() * 1000)
    try:
        everything = [t for t in await p.get_threats(ids) if t.status.value == "open"]
        top = await p.get_top_threats(most)
    finally:
        p.functions.now_ms = None
    everything.sort(key=lambda t: (t.score, t.last_activity, t.threat_id.encode()), reverse=True)
    assert [t.threat_id for t in top] == [t.threat_id for t in everything[:most]]
