"""Where chosen threats stand is what the ranking says, bit for bit; and who has them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from periscope import Periscope, Policy
from periscope.functions import PolicyMoved, RankQuery
from periscope.index.calls import PLACES, holders_of, places_of
from periscope.rules import Rules
from tests.index.support import report


async def test_places_and_scores_are_those_of_the_ranking(periscope: Periscope) -> None:
    await periscope.add_threats_batch(map(report, range(300)))
    for number in range(0, 300, 7):
        await periscope.record_interaction(f"t{number}", "ann", "escalate")
    await periscope.decide("t8", "ann", "benign_expected")
    functions, (keys,) = periscope.functions, periscope.keyspace.partitions
    rules = functions.rules
    ranked = await functions.rank(keys, rules, RankQuery(), 299, records=0)
    ids = [threat_id for threat_id, _, _ in ranked.places]
    asked = [*ids, b"t8", b"unknown", b"\x00\xff"]
    now_ms, places = await places_of(functions, keys, rules, asked, ranked.now_ms)
    assert now_ms == ranked.now_ms
    assert places[:299] == [(place, score) for _, place, score in ranked.places]
    assert places[299][0] > 3 * 176 * 2**42  # closed ones stand apart
    assert places[300:] == [(-1, 0), (-1, 0)]
    assert (await places_of(functions, keys, rules, ids * 4, None))[1][0][0] == places[0][0]
    assert len((ids * 4)[:PLACES]) == PLACES


async def test_nobody_ranks_by_another_policy(periscope: Periscope) -> None:
    (keys,) = periscope.keyspace.partitions
    before = periscope.functions.rules
    await periscope.set_policy(Policy(recency_weight=0.21))
    with pytest.raises(PolicyMoved):
        await places_of(periscope.functions, keys, before, [b"t1"], None)
    later = Rules(before.policy, 99)
    with pytest.raises(PolicyMoved):
        await places_of(periscope.functions, keys, later, [b"t1"], None)


async def test_holders_are_those_whose_claim_holds(periscope: Periscope) -> None:
    await periscope.add_threats_batch(map(report, range(3)))
    claim = await periscope.claim("t1", "ann", timedelta(minutes=5))
    await periscope.claim("t2", "bob", timedelta(minutes=5))
    functions, (keys,) = periscope.functions, periscope.keyspace.partitions
    asked = [b"t0", b"t1", b"t2", b"unknown"]
    found = await holders_of(functions, keys, asked)
    assert [name for name, _ in found] == ["", "ann", "bob", ""]
    assert found[1][1] == claim.until_ms
    functions.now_ms = claim.until_ms
    assert (await holders_of(functions, keys, asked))[1] == ("", 0)
