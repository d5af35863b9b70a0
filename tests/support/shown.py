"""What an open database shows, compared with what the model says it must."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

from periscope import Page, Periscope, Threat
from periscope.archive import Archive
from periscope.models import SEVERITIES
from periscope.suppressed import Suppressed
from tests.support.model import Model, ModelThreat
from tests.support.model_noise import ModelEntry

COUNTS = (
    *("interactions", "escalations", "dismissals", "views", "analysts", "sightings"),
    *("consolidations", "revision"),
)
LEDGER = {
    "received": "received",
    "added": "added",
    "sightings": "sightings",
    "duplicates": "duplicates",
    "suppressed": "suppressed",
    "rejected": "rejected",
    "archived_seen": "seen",
    "archived_unseen": "unseen",
    "removed": "removed",
}


def expected_fields(threat: ModelThreat, now: int) -> dict[str, Any]:
    """Every field of a `Threat`, and what is derived from them, as the model has it."""
    said, observed_at = threat.body
    return {
        **{name: getattr(threat, name) for name in COUNTS},
        "severity": SEVERITIES[threat.severity].value,
        "level": threat.level,
        "status": threat.status,
        "home": threat.home or None,
        "entry_confidence": threat.confidence,
        "confidence": threat.worth(now),
        "outcome": threat.outcome,
        "latched": threat.latch is not None,
        "protected": threat.protected,
        "first_seen_ms": threat.first_seen,
        "last_activity_ms": threat.last_activity,
        "entered_ms": 0 if threat.status == "snoozed" else threat.decays_from,
        "snoozed_until_ms": (threat.snoozed_until or None) if threat.status == "snoozed" else None,
        "consolidated_ms": threat.consolidated,
        "as_of_ms": now,
        "content": said,
        "source": threat.source,
        "observed_at_ms": observed_at,
        "score": threat.score(now),
        "overdue": threat.overdue(now),
        "due_ms": threat.due,
        "validated": threat.validated,
        "withdrawn": threat.withdrawn,
        "memory_type": threat.memory_type,
    }


def check_threat(threat: Threat, expected: ModelThreat, now: int) -> None:
    fields = expected_fields(expected, now)
    assert {name: getattr(threat, name) for name in fields} == fields, expected.threat_id


def same_counts(threat: Threat, expected: ModelThreat) -> None:
    """The counts and the state of a first reply, whatever has happened since."""
    for name in (*COUNTS, "status", "level", "outcome"):
        assert getattr(threat, name) == getattr(expected, name), name


async def check_all(p: Periscope, archive: Archive, model: Model, now: int) -> None:
    """Everything that can be seen from outside; read at once, since nothing changes meanwhile."""
    await check_threats(p, model, now)
    await asyncio.gather(
        check_ledger(p, archive, model),
        check_rankings(p, model, now),
        check_claims(p, model, now),
        check_suppressed(p, model),
    )


async def check_threats(p: Periscope, model: Model, now: int) -> None:
    found = {t.threat_id: t for t in await p.get_threats(model.threats)}
    assert found.keys() == model.threats.keys()
    for threat_id, threat in found.items():
        check_threat(threat, model.threats[threat_id], now)


async def check_ledger(p: Periscope, archive: Archive, model: Model) -> None:
    ledger = await p.get_ledger(deep=True)
    assert ledger.balanced, ledger
    assert {name: getattr(ledger, name) for name in LEDGER} == {
        name: model.counts[told] for name, told in LEDGER.items()
    }
    levels = [sum(t.level == level for t in model.threats.values()) for level in (1, 2, 3)]
    assert [ledger.level_1, ledger.level_2, ledger.level_3] == levels
    counts = await archive.counts()
    told = {"expired_seen": ledger.archived_seen, "expired_unseen": ledger.archived_unseen}
    told["removed"] = ledger.removed
    assert {name: count for name, count in counts.items() if count} == {
        name: count for name, count in told.items() if count
    }


async def check_rankings(p: Periscope, model: Model, now: int) -> None:
    """Each list equals brute force, in order."""
    queue, long_term = model.ranked(now), model.at_level(3, now)
    await asyncio.gather(
        same(p.get_top_threats(50), queue, "top"),
        *[
            same(p.get_by_severity(severity), [t for t in queue if t.severity == rank], severity)
            for rank, severity in enumerate(SEVERITIES)
        ],
        same(p.get_hot_threats(2), [t for t in queue if t.interactions >= 2], "hot"),
        same(p.get_by_status("dismissed"), model.ranked(now, "dismissed"), "dismissed"),
        same(p.get_by_status("closed"), model.ranked(now, "closed"), "closed"),
        same(p.get_by_status("snoozed"), model.ranked(now, "snoozed"), "snoozed"),
        same(p.get_overdue(), model.overdue(now), "overdue"),
        same(p.get_short_term(), model.at_level(2, now), "short-term"),
        same(p.get_long_term(), long_term, "long-term"),
        same(
            p.get_long_term("FINANCE"),
            [t for t in long_term if t.body[0] != "three"],
            "long-term by industry",
        ),
    )


async def same(
    reading: Awaitable[Page | list[Threat]], expected: Iterable[ModelThreat], name: str
) -> None:
    shown = await reading
    ids = [t.threat_id for t in expected]
    assert [t.threat_id for t in shown] == ids, name
    if isinstance(shown, Page):
        assert shown.total == len(ids), f"total of {name}"


async def check_suppressed(p: Periscope, model: Model) -> None:
    """Entries in order, whole and by cause; one by one; and counted by cause."""
    causes = model.noise.causes()
    assert (await p.get_stats()).suppressed == causes
    for cause in (None, *causes, "list:none"):
        expected = model.noise.listed(cause)
        found = await walk_suppressed(p, cause, len(expected))
        assert [shown_entry(one) for one in found] == [expected_entry(one) for one in expected]
    for threat_id in ("a", "b"):
        one, kept = await p.get_suppressed_entry(threat_id), model.noise.kept.get(threat_id)
        assert (one and shown_entry(one)) == (kept and expected_entry(kept))


async def walk_suppressed(p: Periscope, cause: str | None, total: int) -> list[Suppressed]:
    """All pages of two."""
    found: list[Suppressed] = []
    cursor: str | None = None
    while True:
        page = await p.get_suppressed(cursor, 2, cause)
        assert page.total == total
        found += page
        if (cursor := page.next_cursor) is None:
            return found
        assert len(page) == 2


def shown_entry(one: Suppressed) -> tuple[Any, ...]:
    times = (one.first_seen_ms, one.last_seen_ms, one.came_back_ms)
    return (one.threat_id, one.severity.rank, one.cause, one.count, one.source, one.title, *times)


def expected_entry(one: ModelEntry) -> tuple[Any, ...]:
    times = (one.first, one.last, one.returned)
    return (one.threat_id, one.severity, one.cause, one.count, one.source, one.title, *times)


async def check_claims(p: Periscope, model: Model, now: int) -> None:
    held = {i: t.holder(now) for i, t in model.threats.items()}
    holdings = await p.get_holdings()
    assert holdings["claims"] == sum(claim is not None for claim in held.values())
    assert holdings["promotable"] == sum(t.latch is not None for t in model.threats.values())
    assert holdings["removed_ids"] == len(model.removed)
    # A removal forgets a stub of its partition that is too old to count; which, is no rule.
    young = sum(not model.stale_stub(threat_id, now) for threat_id in model.stubs)
    assert young <= holdings["stubs"] <= len(model.stubs)
    for threat_id, threat in model.threats.items():
        desk = await p.get_desk(threat_id)
        claim, expected = desk.claim, held[threat_id]
        told = claim and (claim.analyst_id, claim.token, claim.until_ms)
        assert told == (expected and (expected.analyst, expected.token, expected.until))
        acts = {a.analyst_id: (a.interactions, a.action, a.at_ms) for a in desk.acts}
        assert acts == {
            name: (last.interactions, last.action, last.at) for name, last in threat.acts.items()
        }
