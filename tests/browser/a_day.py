"""A day of a small team, for the pictures: the samples as they come in, and what is done with them.

The functions' clock is set for it, as tests may: so that threats have ages, histories and targets.
"""

from __future__ import annotations

import random
import time
from datetime import timedelta
from pathlib import Path

import msgspec

from periscope import Periscope
from periscope.feeds import open_feed
from periscope.models import Action, Decision, Report, Status
from periscope.timeline.samples import EVERY_MS, Sample, keep_sample, sample_of
from tests.api.conftest import Served

SAMPLES = Path(__file__).parents[2] / "samples"
FILES = ("kev-sample.json", "stix-sample.json", "ndjson-sample.ndjson")
MINUTES = 6 * 60
STEP_MINUTES = 4
SEED = 7
INDEXED_S = 60
TEAM = ("ada", "ben", "chi")
WORDS = ("Seen on two hosts, both isolated", "Vendor confirms; patch tonight", "Asked the owner")
OUTCOMES = (
    Decision.TRUE_POSITIVE_NO_IMPACT,
    Decision.FALSE_POSITIVE_DATA,
    Decision.BENIGN_EXPECTED,
    Decision.TRUE_POSITIVE_IMPACT,
)


def reports() -> list[Report]:
    """The samples, in an order that is the same each time."""
    found: list[Report] = []
    for name in FILES:
        with open_feed(SAMPLES / name) as feed:
            found += [one for one in feed if isinstance(one, Report)]
    random.Random(SEED).shuffle(found)
    return found


class Day:
    """Six hours, a step of four minutes after the other, until now."""

    def __init__(self, served: Served) -> None:
        self._tenant = served.tenant
        self._p: Periscope = served.tenant.periscope
        self._chance = random.Random(SEED)
        self._coming = reports()
        self._here: list[Report] = []
        self._samples: list[Sample] = []

    async def pass_by(self) -> None:
        """Let it all happen; the clock is the server's again afterwards."""
        end_ms = time.time_ns() // 1_000_000
        many = len(self._coming)
        steps = MINUTES // STEP_MINUTES
        try:
            for step in range(steps):
                now_ms = end_ms - (steps - step) * STEP_MINUTES * EVERY_MS
                self._p.functions.now_ms = now_ms
                await self._step(many * (step + 1) // steps, now_ms)
        finally:
            self._p.functions.now_ms = None
        first = await self._p.get_top_threats(8)
        for who, place in zip(("ben", "chi", "ada", "ben"), (0, 1, 4, 7), strict=True):
            await self._p.claim(first[place].threat_id, who, timedelta(hours=1))
        index = self._tenant.index
        assert index is not None
        assert await index.reached(await self._p.get_event_position(), INDEXED_S)

    async def _step(self, until: int, now_ms: int) -> None:
        while len(self._here) < until:
            self._here.append(self._coming[len(self._here)])
            await self._p.add_threats_batch([self._here[-1]])
        for one in self._chance.sample(self._here, min(2, len(self._here))):
            again = msgspec.structs.replace(one, observed_at=now_ms)
            await self._p.add_threats_batch([again])
        if self._here:
            await self._act(self._chance.choice(self._here).threat_id)
        await self._p.promote_eligible_threats()
        await self._keep(now_ms)

    async def _act(self, threat_id: str) -> None:
        threat = await self._p.get_threat(threat_id)
        if threat is None or threat.status is not Status.OPEN:
            return
        who, what = self._chance.choice(TEAM), self._chance.random()
        if what < 0.3:
            await self._p.record_interaction(threat_id, who, Action.INVESTIGATE)
            await self._p.comment(threat_id, who, self._chance.choice(WORDS))
        elif what < 0.6:
            for one in TEAM[:2]:
                await self._p.record_interaction(threat_id, one, Action.ESCALATE)
        elif what < 0.75:
            await self._p.record_interaction(threat_id, who, Action.DISMISS)
        elif what < 0.85:
            await self._p.snooze(threat_id, who, timedelta(days=1))
        else:
            await self._p.decide(threat_id, who, self._chance.choice(OUTCOMES), WORDS[0])

    async def _keep(self, now_ms: int) -> None:
        """Keep the samples of these minutes, as the worker would have done."""
        said = sample_of(await self._p.get_stats())
        for minute in range(STEP_MINUTES):
            at_ms = now_ms + minute * EVERY_MS
            self._p.functions.now_ms = at_ms
            one = msgspec.structs.replace(said, at_ms=at_ms)
            await keep_sample(self._p.functions, self._p.settings.namespace, one)
