"""The Lua against the pure model: the same replies, the same state, after every step."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from periscope import Periscope
from periscope.header import HEADER_BYTES, pack_header, unpack_header
from periscope.models import SEVERITIES
from tests.support.model import Model, ModelThreat
from tests.support.servers import ServerProcess

NOW = 1_790_000_000_000
T = TypeVar("T")

ids = st.sampled_from(["a", "b", "c", "}{:*?[", "né\r\n\0", "x" * 512])
reports = st.tuples(
    ids,
    st.sampled_from(["one", "two", "three"]),
    st.integers(0, 3),
    st.sampled_from(["", "feed-1", "feed-2", "feed-3"]),
    st.sampled_from([0, 0, 1000, 2000, 3000]),
)


class Engine(RuleBasedStateMachine):
    """Random chunks, clocks that jump, and changes of status, on a real server."""

    url = ""
    partitions = 1

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        self.now = NOW
        self.periscope = Periscope.open(
            self.url, partitions=self.partitions, namespace=f"model{self.partitions}"
        )
        self.run(self.periscope.start())
        self.run(self.client.flushall())
        self.run(self.periscope.refresh())

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    @property
    def client(self) -> Any:
        return self.periscope.functions.connections.client

    @rule(chunk=st.lists(reports, min_size=1, max_size=12))
    def ingest(self, chunk: list[tuple[str, str, int, str, int]]) -> None:
        before = self.model.counts.copy()
        self.periscope.functions.now_ms = self.now
        result = self.run(self.periscope.add_threats_batch(map(as_report, chunk)))
        for threat_id, said, severity, source, observed_at in chunk:
            self.model.ingest(threat_id, said, severity, source, observed_at, self.now)
        told = self.model.counts - before
        found = {"added": result.added, "sightings": result.sightings}
        found |= {"duplicates": result.duplicates, "received": result.received}
        assert found == {name: told[name] for name in found}

    @rule(bad=st.sampled_from([None, {}, {"threat_id": "", "content": "", "severity": "LOW"}]))
    def reject(self, bad: object) -> None:
        result = self.run(self.periscope.add_threats_batch([bad]))
        assert (result.rejected_count, result.committed) == (1, 0)
        self.model.counts.update(received=1, rejected=1)

    @rule(step=st.sampled_from([0, 1, 7, 60_000, 10_000_000, -30_000]))
    def pass_time(self, step: int) -> None:
        self.now += step

    @rule(
        threat_id=ids,
        status=st.integers(0, 3),
        status_severity=st.integers(0, 3),
        interactions=st.integers(0, 12),
        escalations=st.integers(0, 4),
    )
    def arrange(self, threat_id: str, **fields: int) -> None:
        """What analysts would do: not built yet, so written as they would leave it."""
        threat = self.model.threats.get(threat_id)
        if threat is None:
            return
        for name, value in fields.items():
            setattr(threat, name, value)
        self.run(self._arrange(threat_id, fields, place_of(threat)))

    async def _arrange(self, threat_id: str, fields: dict[str, Any], place: int) -> None:
        keys = self.periscope.keyspace.partition_of(threat_id.encode())
        key = keys.record(threat_id.encode())
        header = unpack_header(await self.client.get(key))._replace(**fields)
        await self.client.setrange(key, 0, pack_header(header))
        await self.client.zadd(keys.board, {threat_id: place})

    @invariant()
    def same_records(self) -> None:
        for threat_id, threat in self.model.threats.items():
            keys = self.periscope.keyspace.partition_of(threat_id.encode())
            record = self.run(self.client.get(keys.record(threat_id.encode())))
            assert len(record) > HEADER_BYTES
            header = unpack_header(record)
            for name in COMPARED:
                assert getattr(header, name) == getattr(threat, name), (threat_id, name)
            place = self.run(self.client.zscore(keys.board, threat_id))
            assert place == place_of(threat)

    @invariant()
    def same_ranking(self) -> None:
        self.periscope.functions.now_ms = self.now
        top = self.run(self.periscope.get_top_threats(50))
        expected = self.model.ranked(self.now)
        assert [(t.threat_id, t.score) for t in top] == [
            (t.threat_id, t.score(self.now)) for t in expected
        ]
        assert [t.content for t in top] == [t.body for t in expected]

    @invariant()
    def ledger_balances(self) -> None:
        ledger = self.run(self.periscope.get_ledger(deep=True))
        assert ledger.balanced
        for name in ("received", "added", "sightings", "duplicates", "rejected"):
            assert getattr(ledger, name) == self.model.counts[name], name

    def teardown(self) -> None:
        self.run(self.periscope.close())
        self.runner.close()


COMPARED = (
    *("status", "interactions", "escalations", "sightings", "revision"),
    *("severity", "first_seen", "last_activity"),
)


def as_report(row: tuple[str, str, int, str, int]) -> dict[str, object]:
    threat_id, said, severity, source, observed_at = row
    report: dict[str, object] = {"threat_id": threat_id, "content": said, "source": source}
    report["severity"] = SEVERITIES[severity]
    return report | ({"observed_at": observed_at} if observed_at else {})


def place_of(threat: ModelThreat) -> int:
    bucket = threat.severity * 44 + min(3, threat.escalations) * 11 + min(10, threat.interactions)
    return (threat.status * 176 + bucket) * 2**42 + threat.last_activity


@pytest.mark.parametrize("partitions", [1, 3])
def test_the_engine_equals_the_model(server: ServerProcess, partitions: int) -> None:
    machine = type("Engine", (Engine,), {"url": server.url, "partitions": partitions})
    run_state_machine_as_test(machine, settings=settings(max_examples=25))
