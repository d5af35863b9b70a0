"""Outcomes, reopening, comments: what they ask for, and what they answer."""

from __future__ import annotations

from typing import Any

import pytest

from periscope import (
    ActInvalid,
    Decision,
    Periscope,
    RequestReused,
    Status,
    ThreatUnknown,
)
from tests.rules.scene import MINUTE_MS, acts, add, look, pass_time, say


@pytest.mark.parametrize("outcome", list(Decision))
@pytest.mark.parametrize("as_text", [True, False])
async def test_every_outcome_closes(p: Periscope, outcome: Decision, as_text: bool) -> None:
    await add(p, "t", "target")
    pass_time(p, MINUTE_MS)
    target = "target" if outcome is Decision.DUPLICATE else None
    word = outcome.value if as_text else outcome
    threat = await p.decide("t", "ann", word, "because", duplicate_of=target)
    assert (threat.outcome, threat.status) == (outcome, Status.CLOSED)
    assert threat.withdrawn is (outcome.value.split("_")[0] in ("benign", "false"))
    assert (threat.interactions, threat.analysts) == (0, 0)
    assert threat.last_activity_ms == threat.first_seen_ms
    assert (await look(p, "t")).outcome is outcome


@pytest.mark.parametrize("outcome", ["", "true_positive", "closed", None, 3])
async def test_what_is_no_outcome_is_refused(p: Periscope, outcome: Any) -> None:
    await add(p, "t")
    with pytest.raises(ActInvalid) as caught:
        await p.decide("t", "ann", outcome)
    assert caught.value.field == "outcome"
    assert (await look(p, "t")).status is Status.OPEN


async def test_a_duplicate_names_its_target_and_nothing_else_does(p: Periscope) -> None:
    await add(p, "t", "target")
    for outcome, target in [("duplicate", None), ("inconclusive", "target"), ("duplicate", "t")]:
        with pytest.raises(ActInvalid) as caught:
            await p.decide("t", "ann", outcome, duplicate_of=target)
        assert caught.value.field == "duplicate_of"
    with pytest.raises(ThreatUnknown):
        await p.decide("t", "ann", "duplicate", duplicate_of="nobody")
    assert (await look(p, "t")).outcome is None
    await p.decide("t", "ann", "duplicate", duplicate_of="target")
    assert "target" in (await p.get_recent_audit())[-1].detail


async def test_a_target_may_be_in_another_partition(spread: Periscope) -> None:
    p = spread
    ids = [f"t{number}" for number in range(12)]
    await add(p, *ids)
    for one, target in zip(ids, [*ids[1:], ids[0]], strict=True):
        threat = await p.decide(one, "ann", "duplicate", duplicate_of=target)
        assert threat.outcome is Decision.DUPLICATE


@pytest.mark.parametrize("verb", ["decide", "reopen", "comment", "recall"])
async def test_an_unknown_threat_is_an_error(p: Periscope, verb: str) -> None:
    words = {"decide": ["inconclusive"], "comment": ["text"]}.get(verb, [])
    with pytest.raises(ThreatUnknown):
        await getattr(p, verb)("nobody", "ann", *words)


@pytest.mark.parametrize("analyst", ["", "x" * 129, "a\rb", None])
async def test_an_analyst_has_a_name(p: Periscope, analyst: Any) -> None:
    await add(p, "t")
    for call in (
        p.decide("t", analyst, "inconclusive"),
        p.reopen("t", analyst),
        p.comment("t", analyst, "text"),
        p.recall("t", analyst),
        p.claim("t", analyst),
        p.claim_next(analyst),
    ):
        with pytest.raises(ActInvalid) as caught:
            await call
        assert caught.value.field == "analyst_id"


async def test_a_comment_has_up_to_16_kib_of_text(p: Periscope) -> None:
    await add(p, "t")
    await p.comment("t", "ann", "é" * 8192)
    for text in ("", "é" * 8192 + "x", "\ud800", None):
        with pytest.raises(ActInvalid):
            await p.comment("t", "ann", text)  # type: ignore[arg-type]
    with pytest.raises(ActInvalid):
        await p.decide("t", "ann", "inconclusive", "x" * 16385)


async def test_a_comment_changes_nothing_of_the_threat(p: Periscope) -> None:
    await add(p, "t")
    before = await acts(p, "t", "ann dismiss")
    pass_time(p, MINUTE_MS)
    await p.comment("t", "bob", "looks fine")
    after = await look(p, "t")
    assert (after.interactions, after.analysts, after.status) == (1, 1, before.status)
    assert after.last_activity_ms == before.last_activity_ms
    entry = (await p.get_recent_audit())[-1]
    assert (entry.action, entry.analyst_id, entry.threat_id) == ("comment", "bob", "t")
    assert "looks fine" in entry.detail


async def test_a_later_outcome_replaces_an_earlier_one(p: Periscope) -> None:
    await add(p, "t")
    await p.decide("t", "ann", "benign_expected")
    threat = await p.decide("t", "bob", "inconclusive")
    assert (threat.outcome, threat.status) == (Decision.INCONCLUSIVE, Status.CLOSED)
    assert not threat.withdrawn


async def test_a_sighting_that_raises_nothing_leaves_the_outcome(p: Periscope) -> None:
    await add(p, "t")
    await p.decide("t", "ann", "benign_expected")
    await say(p, "t", content="news")
    threat = await look(p, "t")
    assert (threat.outcome, threat.status) == (Decision.BENIGN_EXPECTED, Status.CLOSED)


async def test_validation_is_withdrawn_while_such_an_outcome_stands(p: Periscope) -> None:
    await add(p, "t")
    assert (await acts(p, "t", "ann escalate x2")).validated
    assert not (await p.decide("t", "ann", "false_positive_data")).validated
    assert (await p.decide("t", "ann", "inconclusive")).validated
    assert not (await p.decide("t", "ann", "benign_expected")).validated
    assert (await p.reopen("t", "ann")).validated
    assert not (await p.decide("t", "ann", "false_positive_logic")).validated
    await say(p, "t", "CRITICAL")
    assert (await look(p, "t")).validated


async def test_reopening_an_open_threat_leaves_it_open(p: Periscope) -> None:
    await add(p, "t")
    threat = await p.reopen("t", "ann", "just so")
    assert (threat.status, threat.interactions) == (Status.OPEN, 0)


async def test_retries_answer_as_first_and_change_nothing(p: Periscope) -> None:
    await add(p, "t")
    decided = await p.decide("t", "ann", "inconclusive", request_id="d")
    reopened = await p.reopen("t", "ann", request_id="r")
    assert (await p.decide("t", "ann", "inconclusive", request_id="d")).status is decided.status
    assert (await look(p, "t")).status is Status.OPEN
    await p.decide("t", "bob", "benign_expected")
    assert (await p.reopen("t", "ann", request_id="r")).status is reopened.status
    assert (await look(p, "t")).outcome is Decision.BENIGN_EXPECTED
    await p.comment("t", "ann", "once", request_id="c")
    await p.comment("t", "ann", "once", request_id="c")
    trail = [one.action for one in await p.get_recent_audit()]
    assert trail == ["decide", "reopen", "decide", "comment"]


@pytest.mark.parametrize("outcome", ["inconclusive", "true_positive_impact"])
async def test_a_retried_decision_counts_once(p: Periscope, outcome: str) -> None:
    await add(p, "t")
    first = await p.decide("t", "ann", outcome, request_id="d")
    again = await p.decide("t", "ann", outcome, request_id="d")
    assert (again.level, again.outcome) == (first.level, first.outcome)
    assert (await look(p, "t")).consolidations == first.consolidations


async def test_a_retried_recall_answers_as_first(p: Periscope) -> None:
    await add(p, "t")
    await p.decide("t", "ann", "true_positive_impact")
    first, was = await p.recall("t", "bob", request_id="r")
    await p.decide("t", "ann", "true_positive_impact")
    again, still = await p.recall("t", "bob", request_id="r")
    assert (was, first.level) == (still, again.level)
    assert (await look(p, "t")).level == 2


async def test_a_request_id_belongs_to_one_act(p: Periscope) -> None:
    await add(p, "t")
    await p.decide("t", "ann", "inconclusive", request_id="x")
    with pytest.raises(RequestReused):
        await p.decide("t", "ann", "benign_expected", request_id="x")
    with pytest.raises(RequestReused):
        await p.reopen("t", "ann", request_id="x")
    with pytest.raises(RequestReused):
        await p.record_interaction("t", "ann", "view", "x")
    assert (await look(p, "t")).outcome is Decision.INCONCLUSIVE
