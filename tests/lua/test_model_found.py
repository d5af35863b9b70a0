"""What the model found, each as small as it can be."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from periscope import Periscope
from periscope.archive import open_archive
from periscope.errors import ActRefused
from tests.conftest import OpenHere

NOW = 1_790_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR


async def test_the_next_one_is_the_top_one_where_scores_are_equal(open_here: OpenHere) -> None:
    async with open_here(namespace="ties", partitions=3) as p:
        for number in range(40):
            p.functions.now_ms = NOW + number
            await p.add_threat(f"t{40 - number:02d}", "x", "CRITICAL")
        p.functions.now_ms = NOW + 100 * DAY
        order = [threat.threat_id for threat in await p.get_top_threats()]
        claims = [await p.claim_next("ann") for _ in order]
        assert [claim and claim.threat_id for claim in claims] == order
        await p.functions.connections.client.flushall()


async def test_what_is_overdue_is_listed_and_counted_alike(periscope: Periscope) -> None:
    periscope.functions.now_ms = NOW
    await periscope.add_threat("t", "x", "HIGH")
    await periscope.decide("t", "ann", "true_positive_impact")
    periscope.functions.now_ms = NOW + 2 * HOUR
    threat, _ = await periscope.recall("t", "ann")
    page = await periscope.get_overdue()
    assert page.total == len(page.items) == int(threat.overdue)


async def test_90_days_count_from_the_entry_however_often_it_is_judged(
    periscope: Periscope, tmp_path: Path
) -> None:
    periscope.functions.now_ms = NOW
    await periscope.add_threat("t", "x", "CRITICAL")
    for season in range(3):
        periscope.functions.now_ms = NOW + season * DAY
        for analyst in ("ann", "bob"):
            await periscope.record_interaction("t", analyst, "escalate")
        await periscope.promote_eligible_threats()
    entered_ms = periscope.functions.now_ms
    for day, verdict in ((1, "benign_expected"), (2, None), (3, "benign_expected")):
        periscope.functions.now_ms = entered_ms + day * DAY
        if verdict:
            await periscope.decide("t", "ann", verdict)
        else:
            assert (await periscope.reopen("t", "ann")).entered_ms == entered_ms
    archive = await open_archive(tmp_path / "archive.db")
    periscope.functions.now_ms = entered_ms + 90 * DAY - 1
    assert (await periscope.sweep(archive)).expired == 0
    periscope.functions.now_ms += 1
    assert (await periscope.sweep(archive)).expired == 1
    await archive.close()


async def test_a_retry_after_the_departure_is_no_damage(
    periscope: Periscope, tmp_path: Path
) -> None:
    """The first reply, or one clear refusal; but the store is whole."""
    periscope.functions.now_ms = NOW
    await periscope.add_threat("t", "x", "LOW")
    first = await periscope.record_interaction("t", "ann", "view", "r")
    archive = await open_archive(tmp_path / "archive.db")
    periscope.functions.now_ms = NOW + HOUR
    assert (await periscope.sweep(archive)).expired == 1
    await archive.close()
    with suppress(ActRefused):
        again = await periscope.record_interaction("t", "ann", "view", "r")
        assert (again.interactions, again.revision) == (first.interactions, first.revision)


async def test_news_behind_a_repetition_in_one_chunk(periscope: Periscope) -> None:
    """The first report of a threat says nothing new, a later one of the same chunk does."""
    first = {"threat_id": "t", "content": "x", "severity": "LOW"}
    other = first | {"threat_id": "u"}
    await periscope.add_threats_batch([first, other])
    news = [first, other, first | {"content": "y"}, other | {"severity": "HIGH"}]
    result = await periscope.add_threats_batch(news)
    assert (result.duplicates, result.sightings) == (2, 2)
    assert (await periscope.get_ledger(deep=True)).balanced
    assert [threat.threat_id for threat in await periscope.get_top_threats()] == ["u", "t"]
