"""Rules and lists as people change them: in force at once here, within a second elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from periscope import Mark, NoiseInvalid, NoiseUnknown, Outcome, Periscope, StoreDamaged
from periscope.keys import noise_key
from periscope.marks import Marker
from periscope.noise import NoiseCalls
from periscope.noise.keeper import LOOK_S
from tests.conftest import OpenHere
from tests.support.history import say
from tests.support.nodes import wait_until
from tests.support.patience import BUSY_S

LIST = {
    "name": "Our own hosts",
    "type": "hostname",
    "version": 1,
    "description": "written for this test",
    "list": ["example.com", "example.org"],
    "matching_attributes": ["domain", "url"],
}
NOISY: dict[str, Any] = {
    "threat_id": "n",
    "content": "ET SCAN of something",
    "severity": "LOW",
    "source": "siem",
}
KNOWN: dict[str, Any] = {
    "threat_id": "k",
    "content": "a look-up",
    "severity": "LOW",
    "metadata": {"indicators": [{"type": "domain-name", "value": "www.example.com"}]},
}


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    (tmp_path / "own.json").write_bytes(msgspec.json.encode(LIST))
    return tmp_path


@pytest.fixture
async def other(periscope: Periscope, open_here: OpenHere) -> AsyncIterator[Periscope]:
    """Another process, as far as the store can tell."""
    async with open_here() as p:
        yield p


def marker_of(p: Periscope) -> Marker | None:
    return p._engine.marker


def marked(p: Periscope, report: dict[str, Any]) -> Mark | None:
    marker = marker_of(p)
    return None if marker is None else marker(report)


async def test_without_rules_and_lists_nothing_is_judged(periscope: Periscope) -> None:
    await periscope.add_threats_batch([NOISY, KNOWN])
    assert marker_of(periscope) is None
    assert await periscope.get_suppressions() == []
    assert await periscope.get_warninglists() == []


async def test_a_rule_is_in_force_here_when_it_was_added(periscope: Periscope) -> None:
    await periscope.add_threats_batch([])
    rule = await periscope.add_suppression(["content~ET SCAN*", "severity<=LOW"], "scans", "zoe")
    assert marked(periscope, NOISY) == Mark(f"rule:{rule.id}", 0, 0, 0)
    assert marked(periscope, NOISY | {"severity": "HIGH"}) is None
    (kept,) = await periscope.get_suppressions()
    assert kept == rule
    assert (kept.author, kept.reason, kept.active) == ("zoe", "scans", True)
    assert abs(kept.created - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_rule_is_ended_once(periscope: Periscope) -> None:
    rule = await periscope.add_suppression("source=siem", "noise", "zoe")
    ended = await periscope.end_suppression(rule.id, "max")
    assert (ended.active, ended.ended_by) == (False, "max")
    assert await periscope.end_suppression(rule.id, "zoe") == ended
    assert marked(periscope, NOISY) is None
    assert await periscope.get_suppressions() == []
    assert await periscope.get_suppressions(ended=True) == [ended]
    with pytest.raises(NoiseUnknown, match="no suppression rule 'none'"):
        await periscope.end_suppression("none", "zoe")


async def test_a_rule_has_its_end_and_its_rate(periscope: Periscope) -> None:
    rule = await periscope.add_suppression(
        "source=siem", "noise", "zoe", until=timedelta(hours=1), rate=(50, timedelta(minutes=5))
    )
    mark = marked(periscope, NOISY)
    assert mark == Mark(f"rule:{rule.id}", 50, 300_000, rule.until_ms)
    assert rule.until_ms - rule.created_ms == 3_600_000


async def test_a_rule_that_came_to_its_end_marks_nothing(periscope: Periscope) -> None:
    await periscope.add_suppression("source=siem", "brief", "zoe", until=timedelta(milliseconds=1))
    await asyncio.sleep(0.002)
    assert marked(periscope, NOISY) is None
    await periscope.add_suppression("source=siem", "longer", "zoe")
    assert marked(periscope, NOISY) is not None
    assert [rule.reason for rule in await periscope.get_suppressions()] == ["longer"]


async def test_a_list_is_in_force_for_the_next_report(periscope: Periscope, lists: Path) -> None:
    (loaded,) = await periscope.load_warninglists(lists, analyst="zoe")
    assert (loaded.name, loaded.values, loaded.left_out) == ("Our own hosts", 2, 0)
    assert (loaded.loaded_by, loaded.kinds) == ("zoe", ("domain-name", "url"))
    assert await periscope.get_warninglists() == [loaded]
    await periscope.add_threat("x", "x", "LOW")
    assert marked(periscope, KNOWN) == Mark("list:Our own hosts")
    await periscope.drop_warninglist("Our own hosts")
    await periscope.add_threat("y", "x", "LOW")
    assert marked(periscope, KNOWN) is None
    with pytest.raises(NoiseUnknown, match="no warninglist"):
        await periscope.drop_warninglist("Our own hosts")


async def test_another_process_applies_a_change_within_a_second(
    periscope: Periscope, other: Periscope, lists: Path
) -> None:
    """While a batch of it is under way, which takes as long as it likes."""
    seen: list[float] = []

    async def endless() -> AsyncIterator[dict[str, Any]]:
        yield {"threat_id": "first", "content": "x", "severity": "LOW"}
        await periscope.add_suppression("source=siem", "noise", "zoe")
        await periscope.load_warninglists(lists)
        since = asyncio.get_running_loop().time()
        while marked(other, NOISY) is None or marked(other, KNOWN) is None:
            await asyncio.sleep(0.01)
            assert asyncio.get_running_loop().time() < since + 5
        seen.append(asyncio.get_running_loop().time() - since)
        yield {"threat_id": "last", "content": "x", "severity": "LOW"}

    assert (await other.add_threats_batch(endless())).added == 2
    say(f"a change of rules and lists is in force elsewhere after {seen[0]:.2f} s")
    assert seen[0] < 1.0 + BUSY_S


async def test_a_change_that_the_store_lost_is_not_taken_for_the_next_one(
    periscope: Periscope, other: Periscope
) -> None:
    """As in a failover: what another process learnt from the old primary must not stay in force."""

    async def knows(report: dict[str, Any]) -> bool:
        await other.add_threat("x", "x", "LOW")
        return marked(other, report) is not None

    await periscope.add_suppression("source=siem", "lost", "zoe")
    await wait_until(lambda: knows(NOISY), "the other process knows the first rule", 5)
    await periscope.functions.connections.client.unlink(noise_key("periscope"))
    await periscope.add_suppression("source=ids", "kept", "zoe")
    there = NOISY | {"source": "ids"}
    await wait_until(lambda: knows(there), "the other process knows the rule that is there", 5)
    assert await other.add_threat(**NOISY) == Outcome.ADDED


async def test_another_process_knows_before_its_first_report(
    periscope: Periscope, open_here: OpenHere, lists: Path
) -> None:
    await periscope.load_warninglists(lists)
    rule = await periscope.add_suppression("source=siem", "noise", "zoe")
    async with open_here() as other:
        assert marker_of(other) is None  # whoever only reads loads nothing
        await other.add_threat("x", "x", "LOW")
        assert marked(other, NOISY) == rule.mark
        assert marked(other, KNOWN) == Mark("list:Our own hosts")


async def test_a_look_at_the_revision_is_taken_once_in_a_second(
    periscope: Periscope, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    revision = NoiseCalls.revision

    async def counted(calls: NoiseCalls) -> int:
        asked.append(asyncio.get_running_loop().time())
        return await revision(calls)

    monkeypatch.setattr(NoiseCalls, "revision", counted)
    until = asyncio.get_running_loop().time() + 2
    written = 0
    while asyncio.get_running_loop().time() < until:
        await periscope.add_threat(f"x{written}", "x", "LOW")
        await periscope.add_threats_batch([{"threat_id": "b", "content": "x", "severity": "LOW"}])
        written += 2
    assert written > 50
    assert 2 <= len(asked) <= 3
    assert all(later - earlier >= LOOK_S for earlier, later in pairwise(asked))


async def test_two_people_at_once_undo_nothing_of_each_other(
    periscope: Periscope, other: Periscope
) -> None:
    async def add(p: Periscope, number: int) -> None:
        await p.add_suppression(f"threat_id=t{number}", "noise", "zoe")

    both = [(p, number) for number in range(2) for p in (periscope, other)]
    await asyncio.gather(*(add(p, number * 2 + (p is other)) for p, number in both))
    rules = await periscope.get_suppressions()
    assert {str(rule.where[0]) for rule in rules} == {f"threat_id=t{n}" for n in range(4)}


async def test_a_batch_goes_on_while_rules_cannot_be_read(periscope: Periscope) -> None:
    rule = await periscope.add_suppression("source=siem", "noise", "zoe")
    client = periscope.functions.connections.client
    key = b"{periscope:control}:noise"
    before = await client.dump(key)
    await client.set(key, "not what it was")
    await asyncio.sleep(1)
    await periscope.add_threat("x", "x", "LOW")
    assert marked(periscope, NOISY) == rule.mark
    with pytest.raises(StoreDamaged):
        await periscope.get_suppressions()
    await client.restore(key, 0, before or b"", replace=True)
    assert await periscope.get_suppressions() == [rule]


WRONG: list[tuple[Any, str]] = [
    ([], "no condition"),
    (["severity>=LOW"], "nothing in common"),
    (["title~*"], "nothing in common"),
    (["source!=siem"], "nothing in common"),
    ("sevrity=LOW", "condition 1 .*did you mean severity"),
    (["source=a", "severity=URGENT"], "condition 2 .*CRITICAL, HIGH, MEDIUM or LOW"),
    ("severity~HI*", "for texts"),
    ("title<5", "for severity and for numbers"),
    ("metadata.score>high", "needs a number"),
    ("indicators.domain=x", "unknown field"),
    ("tags in", "write it as field"),
    ("tags in ,", "1 to 1,000"),
    ("just words", "write it as field"),
    (7, "must be conditions"),
    ([7], "must be a text"),
    ({"field": "title", "op": "is", "value": "x"}, "unknown operator"),
    ({"field": "title", "op": "=", "value": None}, "text or a number"),
    ({"field": "title", "op": "=", "value": "x", "more": 1}, "must be a text"),
    (["title=x"] * 21, "more than 20"),
    ("title=" + "x" * 2000, "1,024 characters"),
    ("title=\ud800", "UTF-8"),
]


@pytest.mark.parametrize(("where", "message"), WRONG, ids=range(len(WRONG)))
async def test_a_rule_that_says_nothing_is_refused(
    periscope: Periscope, where: Any, message: str
) -> None:
    with pytest.raises(NoiseInvalid, match=message) as caught:
        await periscope.add_suppression(where, "reason", "zoe")
    assert "\n" not in str(caught.value)
    assert await periscope.get_suppressions() == []


async def test_a_rule_that_holds_for_all_can_be_forced(periscope: Periscope) -> None:
    await periscope.add_suppression("severity>=LOW", "a drill", "zoe", force=True)
    assert marked(periscope, NOISY) is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reason": " "}, "say why"),
        ({"reason": "x" * 1001}, "more than 1,000"),
        ({"author": ""}, "author"),
        ({"author": "a\nb"}, "author"),
        ({"until": timedelta(seconds=-1)}, "future"),
        ({"until": datetime(2030, 1, 1)}, "aware"),  # noqa: DTZ001
        ({"rate": (0, timedelta(hours=1))}, "from 1 on"),
        ({"rate": (5, timedelta(0))}, "one second"),
        ({"rate": 5}, "how many"),
    ],
)
async def test_what_a_rule_needs(
    periscope: Periscope, changes: dict[str, Any], message: str
) -> None:
    given = {"where": "source=siem", "reason": "noise", "author": "zoe"} | changes
    with pytest.raises(NoiseInvalid, match=message):
        await periscope.add_suppression(**given)


async def test_an_explanation_says_what_would_become_of_a_report(
    periscope: Periscope, lists: Path
) -> None:
    await periscope.load_warninglists(lists)
    rule = await periscope.add_suppression("content~ET SCAN*", "scans", "zoe")
    found = await periscope.explain_noise(NOISY)
    assert (found.suppressed, found.rules, found.threat) == (True, (rule,), None)
    assert found.because == f"rule {rule.id} by zoe: scans"
    listed = await periscope.explain_noise(KNOWN)
    assert listed.because == "all its indicators are on warninglists: Our own hosts"
    assert listed.indicators == (("domain-name", "www.example.com", "Our own hosts"),)
    other = {"type": "ipv4-addr", "value": "192.0.2.1"}
    indicators = [*KNOWN["metadata"]["indicators"], other]
    mixed = await periscope.explain_noise(KNOWN | {"metadata": {"indicators": indicators}})
    assert not mixed.suppressed
    assert mixed.because.endswith("its ipv4-addr 192.0.2.1 is on no warninglist")
    await periscope.end_suppression(rule.id, "zoe")
    await periscope.add_threats_batch([NOISY | {"severity": "LOW"}])
    await periscope.add_suppression("content~ET SCAN*", "scans", "zoe")
    worse = await periscope.explain_noise(NOISY | {"severity": "HIGH"})
    assert not worse.suppressed
    assert "worse than what is known (LOW)" in worse.because


async def test_an_explanation_knows_how_often_it_came(periscope: Periscope) -> None:
    rate = (2, timedelta(hours=1))
    await periscope.add_suppression("content~ET SCAN*", "scans", "zoe", rate=rate)
    for outcome in (Outcome.SUPPRESSED, Outcome.SUPPRESSED, Outcome.ADDED):
        found = await periscope.explain_noise(NOISY)
        assert found.suppressed is (outcome is Outcome.SUPPRESSED)
        assert found.because.endswith("and now more do") is (outcome is Outcome.ADDED)
        assert await periscope.add_threat(**NOISY) == outcome
