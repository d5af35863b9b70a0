"""Boards made to order: threats with any counts, status and times, written as the server would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from periscope import Periscope
from periscope.header import FORMAT, NO_SOURCE, Header, pack_header
from periscope.models import SEVERITIES
from tests.support.model import Scored

SPAN = 2**42
SNOOZED = 2
SNOOZES = 6  # their class among the exceptions


@dataclass(frozen=True)
class Placed(Scored):
    threat_id: str
    severity: int
    last_activity: int
    interactions: int = 0
    escalations: int = 0
    status: int = 0

    @property
    def header(self) -> Header:
        moments = (self.last_activity, self.last_activity, self.last_activity, 0)
        counts = (self.interactions, self.escalations, 0, 0, 0, 0, 0)
        state = (FORMAT, 1, 0, self.status, 0, 0, 0, 1)
        return Header(*state, *counts, *moments, 0.0, self.severity, 0, bytes(8), NO_SOURCE)

    @property
    def record(self) -> bytes:
        report = {"content": self.threat_id, "severity": SEVERITIES[self.severity].value}
        return pack_header(self.header) + msgspec.json.encode(report)

    @property
    def place(self) -> int:
        escalations = min(self.escalations_cap, self.escalations)
        interactions = min(self.interactions_cap, self.interactions)
        bucket = self.severity * 44 + escalations * 11 + interactions
        return (self.status * 176 + bucket) * SPAN + self.last_activity


async def lay_out(p: Periscope, threats: Iterable[Placed]) -> None:
    """Write the threats, and count them as added, so that the ledger balances."""
    pipeline = p.functions.connections.client.pipeline(transaction=False)
    for threat in threats:
        keys = p.keyspace.partition_of(threat.threat_id.encode())
        pipeline.set(keys.record(threat.threat_id.encode()), threat.record)
        pipeline.zadd(keys.board, {threat.threat_id: threat.place})
        if threat.status == SNOOZED and threat.last_activity:  # `entered`: when it wakes
            pipeline.zadd(
                keys.exceptions, {threat.threat_id: SNOOZES * SPAN + threat.last_activity}
            )
        pipeline.hincrby(keys.ledger, "received", 1)
        pipeline.hincrby(keys.ledger, "added", 1)
    await pipeline.execute()
