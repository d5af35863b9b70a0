"""Listeners as a browser is one: they know of events what the frames say, and come again."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from periscope import Event, Periscope
from periscope.hub import Ended, EventHub

Key = tuple[str, str, tuple[str, ...]]


def beginning(p: Periscope) -> str:
    """The position before anything happened."""
    return ",".join(["0-0"] * len(p.keyspace.partitions))


def key_of(event: Event) -> Key:
    """What an event is known by: in these tests no analyst acts twice."""
    return event.kind, event.analyst_id, event.threat_ids


async def everything(p: Periscope, analyst: str) -> list[Event]:
    """All events up to the one of an analyst, who acts last."""
    found: list[Event] = []
    async with asyncio.timeout(30), aclosing(p.events(beginning(p))) as events:  # type: ignore[type-var]
        async for event in events:
            found.append(event)
            if event.analyst_id == analyst:
                return found
    raise AssertionError("events ended")


def read_frames(data: bytes) -> tuple[list[dict[str, Any]], str | None]:
    """The events of a piece of a stream, and the last id it sets."""
    events, last_id = [], None
    for frame in data.decode("ascii").split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in frame.split("\n") if line[:1] not in ("", ":")
        )
        last_id = fields.get("id", last_id)
        if "data" in fields:
            told = json.loads(fields["data"])
            assert (fields["id"], fields["event"]) == (told["position"], told["kind"])
            events.append(told)
    return events, last_id


@dataclass
class Listener:
    """Listens until it is told of the last event; goes away in between, as chance has it."""

    hub: EventHub
    since: str
    wishes: dict[str, Any]
    chance: random.Random
    last_analyst: str
    heard: list[Key] = field(default_factory=list)
    endings: list[Ended] = field(default_factory=list)
    _is_cut: bool = False

    async def run(self) -> None:
        pace_s = self.chance.choice([0.0, 0.0, 0.02])
        while not self._is_done():
            await self.listen(pace_s, self.chance.randrange(1, 40))

    async def listen(self, pace_s: float, reads: int) -> None:
        """So many reads, unless it is ended or cut off before."""
        self._is_cut = False
        async with self.hub.subscribe(self.since, **self.wishes) as subscription:
            for _ in range(reads):
                data = await subscription.frames(0.05)
                if data is None:
                    assert subscription.ended is not None
                    self.endings.append(subscription.ended)
                    return
                self._hear(data or subscription.heartbeat())
                if self._is_done() or self._is_cut:
                    return
                await asyncio.sleep(pace_s)

    def _hear(self, data: bytes) -> None:
        """All of it, or only so much as came before the connection broke."""
        events, last_id = read_frames(data)
        if len(events) > 1 and self.chance.random() < 0.3:
            events = events[: self.chance.randrange(1, len(events))]
            last_id = events[-1]["position"]
            self._is_cut = True
        self.since = last_id or self.since
        for told in events:
            ids = tuple(told["threat_ids"])
            self.heard.append((told["kind"], told["analyst_id"] or "", ids))

    def _is_done(self) -> bool:
        return bool(self.heard) and self.heard[-1][1] == self.last_analyst
