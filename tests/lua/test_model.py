"""The engine against the pure model: the same replies, the same state, after every step."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from periscope import Claim, Periscope, Threat
from periscope.archive import Archive, open_archive
from periscope.errors import ActRefused
from periscope.models import SEVERITIES, Mark, to_datetime
from tests.support.marking import add_marked
from tests.support.model import Held, Model
from tests.support.servers import ServerProcess
from tests.support.shown import check_all, check_threat, same_counts

NOW = 1_790_000_000_000
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
T = TypeVar("T")
Row = tuple[str, str, int, str, int]  # id, content, severity, source, observed at

ids = st.sampled_from(["a", "b", "c", "}{:*?[", "né\r\n\0", "x" * 512])
analysts = st.sampled_from(["ann", "bob", "zoë"])
actions = st.sampled_from(["view", "escalate", "escalate", "dismiss", "monitor", "investigate"])
reports = st.tuples(
    ids,
    st.sampled_from(["one", "two", "three"]),
    st.integers(0, 3),
    st.sampled_from(["", "feed-1", "feed-2", "feed-3"]),
    st.sampled_from([0, 0, 1000, 2000, 3000]),
)
marks = st.sampled_from(
    [
        *(None, None, None, Mark("list:one"), Mark("list:one"), Mark("rule:r", 2, MINUTE)),
        *(Mark("rule:r", 1, HOUR), Mark("rule:now", 0, 1), Mark("rule:ends", 0, 0, NOW + HOUR)),
    ]
)
outcomes = st.sampled_from(
    [
        *("true_positive_impact", "true_positive_no_impact", "benign_expected"),
        *("false_positive_logic", "false_positive_data", "inconclusive"),
    ]
)
leases = st.sampled_from([SECOND, 15 * MINUTE, 30 * 24 * HOUR])
spans = st.sampled_from([None, SECOND, MINUTE, HOUR, 25 * HOUR, 3653 * 24 * HOUR])
bad_spans = st.sampled_from([0, -1, -HOUR, 3653 * 24 * HOUR + 1])
METADATA: dict[str, dict[str, Any]] = {
    "one": {"industry": " Finance "},
    "two": {"industries": ["Energy", "finance"], "title": "two"},
    "three": {},
}


class Engine(RuleBasedStateMachine):
    """Random reports, acts and jumps of the clock, on a real server with an archive."""

    url = ""
    partitions = 1

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        self.now = NOW
        self.requests = 0
        self.folder = tempfile.TemporaryDirectory(prefix="psc-model-")
        namespace = f"model{self.partitions}"
        self.periscope = Periscope.open(
            self.url, partitions=self.partitions, namespace=namespace, retry_s=0.0
        )
        self.archive = self.run(self._open())

    async def _open(self) -> Archive:
        await self.periscope.start()
        await self.periscope.functions.connections.client.flushall()
        await self.periscope.refresh()
        self.periscope.functions.now_ms = self.now
        return await open_archive(Path(self.folder.name) / "archive.db")

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def attempt(self, call: Coroutine[Any, Any, T]) -> tuple[str, T | None]:
        """DONE and what it returns, or the word of the refusal."""
        try:
            return "DONE", self.run(call)
        except ActRefused as exc:
            return exc.code, None

    def tick(self, step: int = 1) -> None:
        self.now += step
        self.periscope.functions.now_ms = self.now
        self.model.forget(self.now)

    def new_request(self) -> str:
        self.requests += 1
        return f"request-{self.requests}"

    def compare_reply(self, word: str, threat_id: str, reply: tuple[str, Threat | None]) -> None:
        told, threat = reply
        assert told == ("DONE" if word == "AGAIN" else word), threat_id
        if word == "DONE":
            assert threat is not None
            check_threat(threat, self.model.threats[threat_id], self.now)

    @rule(chunk=st.lists(reports, min_size=1, max_size=12))
    def ingest(self, chunk: list[Row]) -> None:
        self._ingest(chunk, [None] * len(chunk))

    @rule(chunk=st.lists(st.tuples(reports, marks), min_size=1, max_size=12))
    def ingest_noise(self, chunk: list[tuple[Row, Mark | None]]) -> None:
        self._ingest([row for row, _ in chunk], [mark for _, mark in chunk])

    @rule(row=reports, mark=marks, times=st.integers(2, 4), step=st.sampled_from([0, SECOND]))
    def fire(self, row: Row, mark: Mark | None, times: int, step: int) -> None:
        """The same alert again and again."""
        for _ in range(times):
            self._ingest([row], [mark])
            self.tick(step)

    def _ingest(self, chunk: list[Row], whose: list[Mark | None]) -> None:
        self.tick()
        if any(self.model.stale_stub(row[0], self.now) for row in chunk):
            self.sweep()
        before = self.model.counts.copy()
        result = self.run(add_marked(self.periscope, map(as_report, chunk), whose))
        for row, mark in zip(chunk, whose, strict=True):
            threat_id, said, severity, source, observed_at = row
            body = (said, observed_at or None)
            self.model.ingest(threat_id, body, severity, source, observed_at, self.now, mark)
        told = self.model.counts - before
        names = ("received", "added", "sightings", "duplicates", "suppressed")
        assert {n: getattr(result, n) for n in names} == {n: told[n] for n in names}

    @rule(bad=st.sampled_from([None, {}, {"threat_id": "", "content": "", "severity": "LOW"}]))
    def reject(self, bad: object) -> None:
        result = self.run(self.periscope.add_threats_batch([bad]))
        assert (result.rejected_count, result.committed) == (1, 0)
        self.model.counts.update(received=1, rejected=1)

    @rule(threat_id=ids, analyst=analysts, action=actions)
    def interact(self, threat_id: str, analyst: str, action: str) -> None:
        self.tick()
        self._interact(threat_id, analyst, action, self.new_request())

    def _interact(self, threat_id: str, analyst: str, action: str, request: str) -> None:
        word = self.model.act(action, threat_id, analyst, request, self.now)
        call = self.periscope.record_interaction(threat_id, analyst, action, request)
        self.compare_reply(word, threat_id, self.attempt(call))

    @rule(acts=st.lists(st.tuples(ids, analysts, actions), min_size=1, max_size=8))
    def interact_at_once(self, acts: list[tuple[str, str, str]]) -> None:
        self.tick()
        entries, words = [], []
        for threat_id, analyst, action in acts:
            request = self.new_request()
            words.append(self.model.act(action, threat_id, analyst, request, self.now))
            entry = {"threat_id": threat_id, "analyst_id": analyst, "action": action}
            entries.append(entry | {"interaction_id": request})
        result = self.run(self.periscope.record_interactions_batch(entries))
        assert result.recorded == words.count("DONE")
        refused = [index for index, word in enumerate(words) if word != "DONE"]
        assert sorted(rejection.index for rejection in result.rejected) == refused

    @rule(threat_id=ids, escalations=st.integers(2, 3), seasons=st.integers(1, 4))
    def rise(self, threat_id: str, escalations: int, seasons: int) -> None:
        """Validated again and again, a day apart: random acts alone seldom come that far."""
        for _ in range(seasons):
            for number in range(escalations):
                self.interact(threat_id, ("ann", "bob", "zoë")[number], "escalate")
            self.promote()
            self.tick(24 * HOUR)

    @rule(threat_id=ids, analyst=analysts, outcome=outcomes)
    def decide(self, threat_id: str, analyst: str, outcome: str) -> None:
        self.tick()
        request = self.new_request()
        word = self.model.decide(threat_id, analyst, outcome, request, self.now)
        call = self.periscope.decide(threat_id, analyst, outcome, "a note", request_id=request)
        self.compare_reply(word, threat_id, self.attempt(call))

    @rule(threat_id=ids, original=ids, analyst=analysts)
    def decide_duplicate(self, threat_id: str, original: str, analyst: str) -> None:
        if threat_id == original:
            return
        self.tick()
        request, word = self.new_request(), "UNKNOWN"
        if original in self.model.threats:
            word = self.model.decide(threat_id, analyst, "duplicate", request, self.now)
        call = self.periscope.decide(
            threat_id, analyst, "duplicate", duplicate_of=original, request_id=request
        )
        self.compare_reply(word, threat_id, self.attempt(call))

    @rule(threat_id=ids, analyst=analysts)
    def reopen(self, threat_id: str, analyst: str) -> None:
        self.tick()
        request = self.new_request()
        word = self.model.act("reopen", threat_id, analyst, request, self.now)
        call = self.periscope.reopen(threat_id, analyst, request_id=request)
        self.compare_reply(word, threat_id, self.attempt(call))

    @rule(
        threat_id=ids, analyst=analysts, lasts=st.one_of(spans, spans, bad_spans), by=st.booleans()
    )
    def snooze(self, threat_id: str, analyst: str, lasts: int | None, *, by: bool) -> None:
        """For a while, or by a moment: the same thing in two ways."""
        self.tick()
        request, ends = self.new_request(), 0 if lasts is None else self.now + lasts
        word = self.model.snooze(threat_id, analyst, ends, request, self.now)
        until: timedelta | datetime | None = None
        if lasts is not None:
            until = to_datetime(ends) if by else timedelta(milliseconds=lasts)
        call = self.periscope.snooze(threat_id, analyst, until, "a note", request)
        self.compare_reply(word, threat_id, self.attempt(call))

    @rule(
        row=reports,
        analyst=analysts,
        lasts=spans,
        ending=st.sampled_from(["act", "raise", "judge", "time", "again"]),
        data=st.data(),
    )
    def sleep(
        self,
        row: tuple[str, str, int, str, int],
        analyst: str,
        lasts: int | None,
        ending: str,
        data: st.DataObject,
    ) -> None:
        """Reported, snoozed, perhaps awake again, perhaps taken back: random acts seldom meet."""
        threat_id = row[0]
        self.ingest([row])
        for _ in range(data.draw(st.integers(0, 2))):
            self.interact(threat_id, analyst, data.draw(actions))
        if data.draw(st.booleans()):
            self.decide(threat_id, analyst, "true_positive_impact")
        self.snooze(threat_id, analyst, lasts, by=False)
        self._end_sleep(ending, row, lasts, data)
        if data.draw(st.booleans()) and self.model.memos:
            self.undo(data, 0)
        if data.draw(st.booleans()):
            self.tick(data.draw(st.sampled_from([HOUR - 1, HOUR, HOUR + 1])))
            self.wake()
            self.sweep()

    def _end_sleep(
        self,
        ending: str,
        row: tuple[str, str, int, str, int],
        lasts: int | None,
        data: st.DataObject,
    ) -> None:
        threat_id, said, severity, source, observed_at = row
        analyst = data.draw(analysts)
        if ending == "act":
            self.interact(threat_id, analyst, data.draw(actions))
        elif ending == "raise":
            self.ingest([(threat_id, said, min(3, severity + 1), source, observed_at)])
        elif ending == "judge" and data.draw(st.booleans()):
            self.reopen(threat_id, analyst)
        elif ending == "judge":
            self.decide(threat_id, analyst, data.draw(outcomes))
        elif ending == "again":
            self.snooze(threat_id, analyst, data.draw(spans), by=True)
        else:
            self.tick((lasts or 0) - data.draw(st.integers(0, 1)))
            self.wake()

    @rule()
    def wake(self) -> None:
        expected = self.model.wake(self.now)
        stats = self.run(self.periscope.wake_snoozed_threats())
        assert set(stats.woken_ids) == expected
        assert (stats.woken, stats.failed) == (len(expected), 0)

    @rule(threat_id=ids, analyst=analysts)
    def comment(self, threat_id: str, analyst: str) -> None:
        word = self.model.comment(threat_id)
        reply = self.attempt(self.periscope.comment(threat_id, analyst, "so it is"))
        self.compare_reply(word, threat_id, reply)

    @rule(threat_id=ids, analyst=analysts)
    def recall(self, threat_id: str, analyst: str) -> None:
        self.tick()
        word, level = self.model.recall(threat_id, self.now)
        told, found = self.attempt(self.periscope.recall(threat_id, analyst))
        assert told == word
        if found is not None:
            assert int(found[1]) == level
            check_threat(found[0], self.model.threats[threat_id], self.now)

    @precondition(lambda self: self.model.memos)
    @rule(data=st.data(), later=st.sampled_from([0, 0, 1, 10 * MINUTE, 10 * MINUTE + 1]))
    def undo(self, data: st.DataObject, later: int) -> None:
        recent = list(self.model.memos)[-6:]
        request = data.draw(st.sampled_from(recent))
        memo = self.model.memos[request]
        analyst = data.draw(st.sampled_from([memo.analyst, memo.analyst, "ann", "bob"]))
        if later > 1 and self.now <= memo.at + later:
            self.tick(memo.at + later - self.now)
        word = self.model.undo(request, analyst, self.now)
        told = self.attempt(self.periscope.undo(request, analyst))
        self.compare_reply(word, memo.threat_id, told)

    @precondition(lambda self: self.model.memos)
    @rule(data=st.data(), analyst=analysts, other=st.booleans())
    def repeat(self, data: st.DataObject, analyst: str, *, other: bool) -> None:
        """An id is used again: for the same act it returns the first reply, else it is refused."""
        request = data.draw(st.sampled_from(list(self.model.memos)))
        memo = self.model.memos[request]
        if memo.verb in ("decide", "reopen", "snooze"):
            return
        by = analyst if other else memo.analyst
        word = self.model.act(memo.verb, memo.threat_id, by, request, self.now)
        call = self.periscope.record_interaction(memo.threat_id, by, memo.verb, request)
        told, threat = self.attempt(call)
        assert told == ("DONE" if word == "AGAIN" else word)
        if threat is not None:
            same_counts(threat, memo.after)

    @rule(threat_id=ids, analyst=analysts, lease=leases, over=st.booleans())
    def claim(self, threat_id: str, analyst: str, lease: int, *, over: bool) -> None:
        word = self.model.claim(threat_id, analyst, lease, self.now, over=over)
        span = timedelta(milliseconds=lease)
        call = self.periscope.claim(threat_id, analyst, span, take_over=over)
        told, claim = self.attempt(call)
        assert told == word
        if claim is not None:
            self.take_claim(claim)

    @rule(analyst=analysts, lease=leases, severity=st.sampled_from([None, None, 0, 1, 2, 3]))
    def claim_next(self, analyst: str, lease: int, severity: int | None) -> None:
        first = self.model.next_unclaimed(severity, self.now)
        name = None if severity is None else SEVERITIES[severity]
        span = timedelta(milliseconds=lease)
        claim = self.run(self.periscope.claim_next(analyst, span, severity=name))
        assert (claim and claim.threat_id) == (first and first.threat_id)
        if claim is not None:
            self.model.claim(claim.threat_id, analyst, lease, self.now, over=False)
            self.take_claim(claim)

    def take_claim(self, claim: Claim) -> None:
        """The same claim; the token of a new one is the engine's, and greater than all before."""
        held = self.model.threats[claim.threat_id].claim
        assert held is not None
        assert (claim.analyst_id, claim.until_ms) == (held.analyst, held.until)
        if held.token:
            assert claim.token == held.token
        else:
            tokens = [t.claim.token for t in self.model.threats.values() if t.claim]
            assert self.partitions > 1 or claim.token > max(tokens)
        self.model.threats[claim.threat_id].claim = Held(
            held.analyst, claim.token, held.until, held.lease
        )

    @rule(threat_id=ids, stale=st.booleans())
    def release(self, threat_id: str, *, stale: bool) -> None:
        threat = self.model.threats.get(threat_id)
        held = threat.claim if threat else None
        if held is None:
            return
        if stale:
            held = Held(held.analyst, held.token + 1, held.until, held.lease)
        word = self.model.release(threat_id, held, self.now)
        claim = Claim(threat_id, held.analyst, held.token, held.until)
        assert self.attempt(self.periscope.release(claim))[0] == word

    @rule()
    def promote(self) -> None:
        expected = self.model.promote(self.now)
        stats = self.run(self.periscope.promote_eligible_threats())
        assert set(stats.promoted_ids) == expected
        assert (stats.promoted, stats.failed) == (len(expected), 0)

    @rule()
    def sweep(self) -> None:
        told = self.model.sweep(self.now)
        stats = self.run(self.periscope.sweep(self.archive))
        assert (stats.expired_seen, stats.expired_unseen) == (told["seen"], told["unseen"])
        assert (stats.settled, stats.kept) == (told["settled"], 0)
        assert stats.forgotten_suppressed == self.model.noise.outlive(self.now)

    @rule(threat_id=ids)
    def forget_suppressed(self, threat_id: str) -> None:
        was_there = self.model.noise.kept.pop(threat_id, None) is not None
        assert self.run(self.periscope.forget_suppressed(threat_id)) == was_there

    @rule(threat_id=ids, analyst=analysts)
    def remove(self, threat_id: str, analyst: str) -> None:
        self.tick()
        word = self.model.remove(threat_id)
        assert self.attempt(self.periscope.remove(self.archive, threat_id, analyst))[0] == word

    @rule(threat_id=ids, analyst=analysts)
    def erase(self, threat_id: str, analyst: str) -> None:
        self.tick()
        self.model.erase(threat_id)
        self.run(self.periscope.erase(self.archive, threat_id, analyst))
        left = self.run(self.periscope.get_recent_audit(100_000))
        own = self.periscope.keyspace.partition_of(threat_id.encode()).number
        assert own not in {entry.partition for entry in left}
        self.model.audited = len(left)

    @rule(threat_id=ids, analyst=analysts)
    def allow(self, threat_id: str, analyst: str) -> None:
        word = self.model.allow(threat_id)
        assert self.attempt(self.periscope.allow(threat_id, analyst))[0] == word

    @rule()
    def archive_audit(self) -> None:
        assert self.run(self.periscope.archive_audit(self.archive)) == self.model.audited
        self.model.audited = 0

    @rule(
        step=st.sampled_from(
            [0, SECOND, MINUTE, HOUR, 25 * HOUR, 8 * 24 * HOUR, 100 * 24 * HOUR, -30 * SECOND]
        )
    )
    def pass_time(self, step: int) -> None:
        self.tick(step)

    @rule(data=st.data(), offset=st.sampled_from([-1, 0, 1]))
    def pass_time_to_a_boundary(self, data: st.DataObject, offset: int) -> None:
        """To when a threat ends, is due, or its claim runs out; and the millisecond around it."""
        ahead = sorted(moment for moment in self._boundaries() if moment + offset > self.now)
        if ahead:
            self.tick(data.draw(st.sampled_from(ahead)) + offset - self.now)
            self.wake()
            self.sweep()

    def _boundaries(self) -> set[int]:
        found = set()
        for threat in self.model.threats.values():
            claim = threat.claim.until if threat.claim else None
            found |= {threat.end(self.now), threat.due, claim}
            if threat.status == "snoozed" and threat.snoozed_until:
                found.add(threat.snoozed_until)
            if threat.consolidated:
                found.add(threat.consolidated + 24 * HOUR)
        return {moment for moment in found if moment is not None}

    @invariant()
    def same_as_the_model(self) -> None:
        self.run(check_all(self.periscope, self.archive, self.model, self.now))

    def teardown(self) -> None:
        self.run(self.archive.close())
        self.run(self.periscope.close())
        self.runner.close()
        self.folder.cleanup()


def as_report(row: Row) -> dict[str, object]:
    threat_id, said, severity, source, observed_at = row
    report: dict[str, object] = {"threat_id": threat_id, "content": said, "source": source}
    report |= {"severity": SEVERITIES[severity], "metadata": METADATA[said]}
    return report | ({"observed_at": observed_at} if observed_at else {})


@pytest.mark.parametrize("partitions", [1, 3])
def test_the_engine_equals_the_model(server: ServerProcess, partitions: int) -> None:
    machine = type("Engine", (Engine,), {"url": server.url, "partitions": partitions})
    run_state_machine_as_test(machine)
