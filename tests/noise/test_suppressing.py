"""From a rule or a list to the ledger: what is suppressed, what comes back, what a preview says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from periscope import NoiseInvalid, Outcome, Periscope, Severity
from periscope.archive import Archive, open_archive
from tests.noise.test_desk import KNOWN, LIST, NOISY
from tests.rules.scene import DAY_MS, START_MS


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await open_archive(tmp_path / "archive.db")
    yield opened
    await opened.close()


async def test_a_rule_suppresses_what_comes_after_it(periscope: Periscope) -> None:
    rule = await periscope.add_suppression("content~ET SCAN*", "scans", "zoe")
    reports = [NOISY | {"threat_id": f"n{number}"} for number in range(700)]
    result = await periscope.add_threats_batch([*reports, *reports, KNOWN])
    assert (result.suppressed, result.added) == (1400, 1)
    assert await periscope.add_threat("n0", "ET SCAN", "LOW") is Outcome.SUPPRESSED
    page = await periscope.get_suppressed(cause=f"rule:{rule.id}")
    assert (page.total, page.items[0].threat_id, page.items[0].count) == (700, "n0", 3)
    await periscope.end_suppression(rule.id, "zoe")
    assert await periscope.add_threat("n0", "ET SCAN again", "LOW") is Outcome.ADDED
    assert (await periscope.get_ledger()).balanced


async def test_what_gets_worse_comes_back(periscope: Periscope) -> None:
    await periscope.add_suppression("content~ET SCAN*", "scans", "zoe")
    assert await periscope.add_threat("n", "ET SCAN", "LOW") is Outcome.SUPPRESSED
    told = await periscope.explain_noise(NOISY | {"severity": "HIGH"})
    assert not told.suppressed
    assert told.entry is not None
    assert await periscope.add_threat("n", "ET SCAN", "HIGH") is Outcome.ADDED


async def test_what_exceeds_its_rate_comes_back(periscope: Periscope) -> None:
    await periscope.add_suppression("source=siem", "noise", "zoe", rate=(3, timedelta(hours=1)))
    reports = [NOISY | {"content": f"time {number}"} for number in range(5)]
    result = await periscope.add_threats_batch(reports)
    assert (result.suppressed, result.added + result.sightings) == (3, 2)


async def test_a_rule_ends_by_itself(periscope: Periscope) -> None:
    periscope.functions.now_ms = START_MS
    await periscope.add_suppression("source=siem", "noise", "zoe", until=timedelta(hours=1))
    assert await say_noise(periscope, "one") is Outcome.SUPPRESSED
    periscope.functions.now_ms = START_MS + 3_600_001
    assert await say_noise(periscope, "two") is Outcome.ADDED
    periscope.functions.now_ms = None


async def say_noise(p: Periscope, content: str) -> Outcome:
    return await p.add_threat("n", content, "LOW", source="siem")


async def test_a_list_suppresses_what_is_known_good(periscope: Periscope, tmp_path: Path) -> None:
    (tmp_path / "own.json").write_bytes(msgspec.json.encode(LIST))
    await periscope.load_warninglists(tmp_path)
    result = await periscope.add_threats_batch([KNOWN, KNOWN | {"metadata": {}, "threat_id": "m"}])
    assert (result.suppressed, result.added) == (1, 1)
    (entry,) = (await periscope.get_suppressed()).items
    assert (entry.threat_id, entry.cause) == ("k", "list:Our own hosts")


# --- previews ------------------------------------------------------------------------------------


async def furnish(p: Periscope, archive: Archive) -> None:
    """Threats of all levels and statuses, departed and suppressed ones, old ones and new ones."""
    p.functions.now_ms = START_MS
    await many(p, "old", 20, "LOW")
    p.functions.now_ms = START_MS + 3 * DAY_MS
    await p.sweep(archive)  # the old ones depart today
    await many(p, "low", 12, "LOW")
    await many(p, "high", 9, "HIGH", source="edr")
    await p.add_threat("short", "scan of short", "CRITICAL")
    for analyst in ("ann", "bob"):
        await p.record_interaction("short", analyst, "escalate")
    await p.promote_eligible_threats()
    await p.decide("low 1", "ann", "benign_expected")
    await p.record_interaction("low 2", "ann", "dismiss")
    await p.record_interaction("high 3", "ann", "escalate")
    await p.decide("high 4", "ann", "true_positive_no_impact")
    await p.remove(archive, "high 5", "ann")
    rule = await p.add_suppression("content~scan of hidden*", "noise", "zoe")
    await many(p, "hidden", 5, "LOW")
    await p.end_suppression(rule.id, "zoe")


async def many(p: Periscope, name: str, count: int, severity: str, source: str = "") -> None:
    await p.add_threats_batch(
        {
            "threat_id": f"{name} {number}",
            "content": f"scan of {name}\nand more",
            "severity": severity,
            "source": source,
        }
        for number in range(count)
    )


async def test_a_preview_says_what_a_rule_would_have_hidden(
    periscope: Periscope, archive: Archive
) -> None:
    await furnish(periscope, archive)
    told: list[int] = []
    found = await periscope.preview_suppression(
        "content~*SCAN*", archive=archive, progress=told.append
    )
    assert (found.matched, found.departed) == (42, 21)  # the old ones, and the one removed
    assert found.by_severity == {Severity.LOW: 32, Severity.HIGH: 9, Severity.CRITICAL: 1}
    assert found.by_source == {"": 33, "edr": 9}
    assert (found.escalated, found.true_positives, found.is_alarming) == (2, 1, True)
    assert (len(found.examples), found.looked_at) == (20, 42)
    assert {one.title.partition("\n")[0] for one in found.examples} >= {"scan of low"}
    assert told == sorted(told)
    assert told[-1] == found.looked_at
    assert found.as_of - found.since == timedelta(hours=24)


async def test_a_preview_without_an_archive_sees_what_is_here(
    periscope: Periscope, archive: Archive
) -> None:
    await furnish(periscope, archive)
    here = await periscope.preview_suppression(["content~*scan*", "severity<=HIGH"])
    assert (here.matched, here.departed) == (20, 0)
    none = await periscope.preview_suppression("title=nothing", archive=archive)
    assert (none.matched, none.looked_at, none.is_alarming) == (0, 42, False)


async def test_a_preview_looks_back_as_far_as_one_says(
    periscope: Periscope, archive: Archive
) -> None:
    await furnish(periscope, archive)
    periscope.functions.now_ms = START_MS + 3 * DAY_MS + 60_000
    short = await periscope.preview_suppression(
        "content~*scan*", timedelta(seconds=30), archive=archive
    )
    assert (short.matched, short.looked_at) == (0, 0)
    for since in (timedelta(0), timedelta(days=-1), timedelta(days=99_999), 7):
        with pytest.raises(NoiseInvalid, match="since"):
            await periscope.preview_suppression("source=x", since)  # type: ignore[arg-type]


async def test_a_preview_counts_once_what_left_and_came_back(
    periscope: Periscope, archive: Archive
) -> None:
    await furnish(periscope, archive)
    await periscope.add_threat("old 3", "scan of old, changed", "LOW")
    found = await periscope.preview_suppression("content~*scan*", archive=archive)
    assert (found.matched, found.departed) == (42, 20)


async def test_what_a_preview_says_is_what_a_rule_does(
    periscope: Periscope, archive: Archive
) -> None:
    """The same reports again, under the rule: as many are suppressed."""
    await furnish(periscope, archive)
    where: list[Any] = ["content~*scan*", "severity=LOW", "threat_id~low*"]
    found = await periscope.preview_suppression(where, archive=archive)
    await periscope.add_suppression(where, "noise", "zoe")
    before = (await periscope.get_ledger()).suppressed
    await many(periscope, "low", 12, "LOW")
    assert (await periscope.get_ledger()).suppressed - before == found.matched == 12
