"""Claims: one analyst has a threat for a while; pulling the next one; what others may do."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from periscope import (
    ActInvalid,
    ActRefused,
    Claim,
    Claimed,
    ClaimLost,
    Level,
    PastAct,
    Periscope,
    RequestReused,
    Status,
    ThreatUnknown,
)
from periscope.archive import Archive
from periscope.work import ANY_TOKEN
from tests.conftest import OpenHere
from tests.rules.scene import (
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    START_MS,
    acts,
    add,
    latch,
    look,
    pass_time,
    promote,
    report,
    say,
    span,
    to_short_term,
)


async def holder(p: Periscope, threat_id: str) -> str | None:
    claim = (await p.get_desk(threat_id)).claim
    return claim.analyst_id if claim else None


async def test_a_claim_is_for_fifteen_minutes_by_default(p: Periscope) -> None:
    await add(p, "t")
    claim = await p.claim("t", "ann")
    assert (claim.threat_id, claim.analyst_id) == ("t", "ann")
    assert claim.until_ms == START_MS + 15 * MINUTE_MS
    assert (await p.get_desk("t")).claim == claim
    assert (await p.get_holdings())["claims"] == 1


async def test_a_claim_changes_nothing_of_the_threat(p: Periscope) -> None:
    await add(p, "t")
    before = await look(p, "t")
    pass_time(p, MINUTE_MS)
    await p.claim("t", "ann")
    after = await look(p, "t")
    assert (after.interactions, after.status, after.analysts) == (0, Status.OPEN, 0)
    assert after.last_activity_ms == before.last_activity_ms
    assert [one.threat_id for one in await p.get_top_threats()] == ["t"]


async def test_a_lease_holds_until_its_end(p: Periscope) -> None:
    await add(p, "t")
    first = await p.claim("t", "ann", span(10 * SECOND_MS))
    pass_time(p, 10 * SECOND_MS - 1)
    assert await holder(p, "t") == "ann"
    with pytest.raises(Claimed):
        await p.claim("t", "bob")
    pass_time(p, 1)
    assert await holder(p, "t") is None
    second = await p.claim("t", "bob")
    assert second.token > first.token
    with pytest.raises(ClaimLost):
        await p.release(first)
    assert await holder(p, "t") == "bob"


async def test_the_holder_gets_the_same_claim_again(p: Periscope) -> None:
    await add(p, "t")
    first = await p.claim("t", "ann", span(10 * MINUTE_MS))
    pass_time(p, MINUTE_MS)
    shorter = await p.claim("t", "ann", span(2 * MINUTE_MS))
    assert (shorter.token, shorter.until_ms) == (first.token, first.until_ms)
    longer = await p.claim("t", "ann", span(20 * MINUTE_MS))
    assert (longer.token, longer.until_ms) == (first.token, START_MS + 21 * MINUTE_MS)
    await p.release(first)
    assert await holder(p, "t") is None


async def test_whoever_claims_again_after_the_end_has_a_new_token(p: Periscope) -> None:
    await add(p, "t")
    first = await p.claim("t", "ann", span(SECOND_MS))
    pass_time(p, SECOND_MS)
    assert (await p.claim("t", "ann")).token > first.token
    with pytest.raises(ClaimLost):
        await p.release(first)


async def test_tokens_grow_from_holder_to_holder(p: Periscope) -> None:
    await add(p, "t")
    tokens = []
    for number in range(5):
        tokens.append((await p.claim("t", f"analyst {number}", take_over=True)).token)
    claim = await p.claim("t", "analyst 4")
    await p.release(claim)
    tokens.append((await p.claim("t", "ann")).token)
    assert tokens == sorted(set(tokens))


async def test_a_claim_is_taken_over_on_record(p: Periscope) -> None:
    await add(p, "t")
    first = await p.claim("t", "ann")
    second = await p.claim("t", "bob", take_over=True)
    assert await holder(p, "t") == "bob"
    with pytest.raises(ClaimLost):
        await p.release(first)
    with pytest.raises(Claimed):
        await p.decide("t", "ann", "inconclusive")
    trail = await p.get_recent_audit()
    assert [one.analyst_id for one in trail] == ["ann", "bob"]
    assert "ann" in trail[-1].action + trail[-1].detail
    await p.release(second)


async def test_a_released_claim_is_free_for_all(p: Periscope) -> None:
    await add(p, "t")
    claim = await p.claim("t", "ann")
    await p.release(claim)
    assert (await p.get_holdings())["claims"] == 0
    with pytest.raises(ClaimLost):
        await p.release(claim)
    await p.claim("t", "bob")


async def test_nobody_releases_with_a_forged_token(p: Periscope) -> None:
    await add(p, "t")
    claim = await p.claim("t", "ann")
    for token, analyst in ((claim.token + 1, "ann"), (claim.token, "bob"), (0, "ann")):
        with pytest.raises(ClaimLost):
            await p.release(Claim("t", analyst, token, claim.until_ms))
    assert await holder(p, "t") == "ann"


async def test_whatever_one_has_claimed_is_given_back_without_its_token(p: Periscope) -> None:
    await add(p, "t")
    await p.claim("t", "ann")
    with pytest.raises(ClaimLost):
        await p.release(Claim("t", "bob", ANY_TOKEN, 0))
    await p.release(Claim("t", "ann", ANY_TOKEN, 0), request_id="r")
    assert await holder(p, "t") is None
    await p.claim("t", "ann")
    await p.release(Claim("t", "ann", ANY_TOKEN, 0), request_id="r")
    assert await holder(p, "t") == "ann"
    await p.release(Claim("t", "ann", ANY_TOKEN, 0))
    with pytest.raises(ClaimLost):
        await p.release(Claim("t", "ann", ANY_TOKEN, 0))


@pytest.mark.parametrize("action", ["view", "escalate", "monitor", "investigate", "dismiss"])
async def test_the_holder_s_interactions_renew_the_lease(p: Periscope, action: str) -> None:
    await add(p, "t")
    first = await p.claim("t", "ann", span(10 * MINUTE_MS))
    pass_time(p, 9 * MINUTE_MS)
    await acts(p, "t", f"ann {action}")
    claim = (await p.get_desk("t")).claim
    assert claim is not None
    assert (claim.until_ms, claim.token) == (START_MS + 19 * MINUTE_MS, first.token)


async def test_neither_others_nor_comments_renew_it(p: Periscope) -> None:
    await add(p, "t")
    first = await p.claim("t", "ann", span(10 * MINUTE_MS))
    pass_time(p, 5 * MINUTE_MS)
    await acts(p, "t", "bob view", "carl escalate")
    await p.comment("t", "bob", "hm")
    assert (await p.get_desk("t")).claim == first
    pass_time(p, 5 * MINUTE_MS)
    await acts(p, "t", "ann view")
    assert await holder(p, "t") is None


async def test_a_renewal_never_shortens_a_lease(p: Periscope) -> None:
    await add(p, "t")
    await p.claim("t", "ann", span(HOUR_MS))
    await p.claim("t", "ann", span(MINUTE_MS))
    await acts(p, "t", "ann view")
    claim = (await p.get_desk("t")).claim
    assert claim is not None
    assert claim.until_ms >= START_MS + HOUR_MS


async def test_others_may_look_and_interact_but_not_decide_or_dismiss(p: Periscope) -> None:
    await add(p, "t")
    await p.claim("t", "ann")
    with pytest.raises(Claimed, match="ann"):
        await p.record_interaction("t", "bob", "dismiss")
    with pytest.raises(Claimed):
        await p.decide("t", "bob", "inconclusive")
    with pytest.raises(Claimed):
        await p.decide("t", "bob", "true_positive_impact")
    assert (await look(p, "t")).interactions == 0
    await acts(p, "t", "bob view", "bob escalate", "bob monitor", "bob investigate")
    await p.comment("t", "bob", "mine?")
    await p.reopen("t", "bob")
    threat = await look(p, "t")
    assert (threat.interactions, threat.status) == (4, Status.OPEN)
    assert await holder(p, "t") == "ann"


async def test_after_the_lease_others_may_decide(p: Periscope) -> None:
    await add(p, "t")
    await p.claim("t", "ann", span(SECOND_MS))
    pass_time(p, SECOND_MS - 1)
    with pytest.raises(Claimed):
        await p.decide("t", "bob", "inconclusive")
    pass_time(p, 1)
    assert (await p.decide("t", "bob", "inconclusive")).status is Status.CLOSED


async def test_whoever_took_over_may_decide_which_ends_the_claim(p: Periscope) -> None:
    await add(p, "t")
    await p.claim("t", "ann")
    await p.claim("t", "bob", take_over=True)
    await acts(p, "t", "bob dismiss")
    assert await holder(p, "t") == "bob"
    await p.decide("t", "bob", "inconclusive")
    assert await holder(p, "t") is None
    assert (await p.get_holdings())["claims"] == 0


async def test_only_level_1_is_claimed(p: Periscope) -> None:
    await to_short_term(p, "t")
    with pytest.raises(ActRefused):
        await p.claim("t", "ann")
    assert (await look(p, "t")).level is Level.SHORT_TERM
    await p.recall("t", "ann")
    await p.claim("t", "ann")
    with pytest.raises(ThreatUnknown):
        await p.claim("nobody", "ann")


@pytest.mark.parametrize(
    "lease", [timedelta(0), timedelta(seconds=-5), timedelta(days=31), 900, None]
)
async def test_a_lease_is_a_second_to_30_days(p: Periscope, lease: Any) -> None:
    await add(p, "t")
    with pytest.raises(ActInvalid):
        await p.claim("t", "ann", lease)
    with pytest.raises(ActInvalid):
        await p.claim_next("ann", lease)


async def test_a_retry_of_a_claim_answers_as_first(p: Periscope) -> None:
    await add(p, "t")
    first = await p.claim("t", "ann", request_id="r")
    await p.claim("t", "bob", take_over=True)
    assert await p.claim("t", "ann", request_id="r") == first
    assert await holder(p, "t") == "bob"
    with pytest.raises(RequestReused):
        await p.claim("t", "bob", request_id="r")


async def test_next_hands_out_in_rank_order(spread: Periscope) -> None:
    p = spread
    for number, severity in enumerate(["LOW", "CRITICAL", "MEDIUM", "HIGH"] * 15):
        await add(p, f"t{number:02}", severity=severity)
        if number % 3 == 0:
            await acts(p, f"t{number:02}", "zoe view")
        pass_time(p, MINUTE_MS)
    ranking = [one.threat_id for one in await p.get_top_threats(60)]
    taken: list[str] = []
    while (claim := await p.claim_next(f"analyst {len(taken)}")) is not None:
        taken.append(claim.threat_id)
    assert taken == ranking


async def test_next_gives_the_same_analyst_another_one(p: Periscope) -> None:
    await add(p, "a", "b")
    claims = [await p.claim_next("ann") for _ in range(3)]
    assert [claim.threat_id if claim else None for claim in claims] == ["b", "a", None]


async def test_next_skips_what_is_claimed_dismissed_closed_or_promoted(spread: Periscope) -> None:
    p = spread
    await add(p, "claimed", "dismissed", "closed", "promoted", "free", severity="CRITICAL")
    await p.claim("claimed", "zoe")
    await acts(p, "dismissed", "zoe dismiss")
    await p.decide("closed", "zoe", "inconclusive")
    await latch(p, "promoted")
    await promote(p, "promoted")
    claim = await p.claim_next("ann")
    assert claim is not None
    assert claim.threat_id == "free"
    assert await p.claim_next("bob") is None


async def test_next_hands_out_what_was_left(p: Periscope) -> None:
    await add(p, "t")
    claim = await p.claim_next("ann", span(SECOND_MS))
    assert claim is not None
    pass_time(p, SECOND_MS - 1)
    assert await p.claim_next("bob") is None
    pass_time(p, 1)
    second = await p.claim_next("bob")
    assert second is not None
    assert second.token > claim.token
    await p.release(second)
    assert await p.claim_next("carl") is not None


async def test_next_of_a_severity(spread: Periscope) -> None:
    p = spread
    await add(p, "high-1", "high-2", severity="HIGH")
    await add(p, "low", severity="LOW")
    taken = [await p.claim_next("ann", severity="low") for _ in range(2)]
    assert [claim.threat_id if claim else None for claim in taken] == ["low", None]
    assert await p.claim_next("ann", severity="CRITICAL") is None
    claim = await p.claim_next("ann", severity="HIGH")
    assert claim is not None
    assert claim.threat_id == "high-2"


async def test_next_goes_past_any_number_of_claimed_ones(spread: Periscope) -> None:
    p = spread
    ids = [f"t{number:03}" for number in range(300)]
    await p.add_threats_batch(report(one, "CRITICAL") for one in ids)
    await add(p, "last", severity="LOW")
    for one in ids:
        await p.claim(one, "zoe")
    claim = await p.claim_next("ann")
    assert claim is not None
    assert claim.threat_id == "last"


async def test_fifty_analysts_pulling_at_once_never_get_the_same(
    spread: Periscope, open_here: OpenHere
) -> None:
    p = spread
    severities = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
    await p.add_threats_batch(report(f"t{n:03}", severities[n % 4]) for n in range(260))
    ranking = [one.threat_id for one in await p.get_top_threats(260)]
    async with open_here() as other:
        other.functions.now_ms = START_MS
        each = [_pull(one, f"analyst {n}", 5) for n, one in enumerate([p, other] * 25)]
        taken = [claim for claims in await asyncio.gather(*each) for claim in claims]
    assert len(taken) == 250
    assert Counter(claim.threat_id for claim in taken).most_common(1)[0][1] == 1
    if len(p.keyspace.partitions) == 1:
        in_order = [claim.threat_id for claim in sorted(taken, key=lambda one: one.token)]
        assert in_order == ranking[:250]
    for claim in taken:
        assert await holder(p, claim.threat_id) == claim.analyst_id


async def _pull(p: Periscope, analyst: str, times: int) -> list[Claim]:
    claims = [await p.claim_next(analyst) for _ in range(times)]
    return [claim for claim in claims if claim is not None]


async def test_when_there_are_fewer_than_analysts_all_are_handed_out(spread: Periscope) -> None:
    p = spread
    await p.add_threats_batch(report(f"t{number}") for number in range(20))
    claims = await asyncio.gather(*(p.claim_next(f"analyst {number}") for number in range(50)))
    taken = sorted(claim.threat_id for claim in claims if claim is not None)
    assert taken == sorted(f"t{number}" for number in range(20))


async def test_fifty_claims_of_one_threat_have_one_holder(p: Periscope) -> None:
    await add(p, "t")
    replies = await asyncio.gather(
        *(p.claim("t", f"analyst {number}") for number in range(50)), return_exceptions=True
    )
    won = [reply for reply in replies if isinstance(reply, Claim)]
    assert [type(reply) for reply in replies].count(Claimed) == 49
    assert [claim.analyst_id for claim in won] == [await holder(p, "t")]


async def test_a_claim_goes_with_its_threat(p: Periscope, archive: Archive) -> None:
    await add(p, "t")
    claim = await p.claim("t", "ann", span(24 * HOUR_MS))
    await p.remove(archive, "t", "zoe")
    assert (await p.get_holdings())["claims"] == 0
    with pytest.raises((ClaimLost, ThreatUnknown)):
        await p.release(claim)
    await p.allow("t", "zoe")
    await say(p, "t", content="back")
    assert await holder(p, "t") is None


async def test_the_same_pull_again_gets_the_same_claim(spread: Periscope) -> None:
    p = spread
    for number in range(4):
        await add(p, f"t{number}")
    first = await p.claim_next("ann", request_id="pull")
    assert first is not None
    assert await p.claim_next("ann", request_id="pull") == first
    assert await p.claim_first(["t0", "t1"], "ann", request_id="pull") == first
    with pytest.raises(RequestReused):
        await p.claim_next("bob", request_id="pull")
    other = await p.claim_next("ann", request_id="another pull")
    assert other is not None
    assert other.threat_id != first.threat_id
    found = await p.find_act("pull")
    assert found == PastAct("next", "ann", first.threat_id)
    assert await p.find_act("nothing") is None
    ids = [*(f"unheard of {number}" for number in range(600)), "pull"]
    assert await p.find_acts(ids) == [None] * 600 + [found]
    assert await p.find_acts([]) == []
    with pytest.raises(ActInvalid):
        await p.find_acts(["pull", ""])


async def test_the_first_of_ones_own_ranking(spread: Periscope) -> None:
    p = spread
    ids = [f"t{number}" for number in range(6)]
    for one in ids:
        await add(p, one)
    await p.claim("t3", "bob")
    await acts(p, "t1", "bob dismiss")
    pulled = []
    while (claim := await p.claim_first(["nobody", "t3", "t1", "t5", "t0"], "ann")) is not None:
        pulled.append(claim.threat_id)
    assert pulled == ["t5", "t0"]
    assert await p.claim_first([], "ann") is None
    with pytest.raises(ActInvalid):
        await p.claim_first(["t2"], "a\nb")


async def test_a_claim_given_back_twice_by_one_request(p: Periscope) -> None:
    await add(p, "t")
    claim = await p.claim("t", "ann")
    await p.release(claim, request_id="r")
    await p.claim("t", "bob")
    await p.release(claim, request_id="r")
    assert await holder(p, "t") == "bob"
    with pytest.raises(ClaimLost):
        await p.release(claim)
