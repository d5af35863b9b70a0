"""What the tests of the rules share: the clock, threats, analysts at work."""

from __future__ import annotations

from datetime import timedelta
from math import exp
from typing import Any

from periscope import Level, Page, Periscope, Policy, Threat

START_MS = 1_790_000_000_000
SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
SEVERITY_VALUES = {"CRITICAL": 1.0, "HIGH": 0.7, "MEDIUM": 0.4, "LOW": 0.1}

# Whatever is promoted goes to level 3 at once, whatever its counts.
STRAIGHT_TO_LONG = Policy(
    long_term_confidence=0.0, long_term_consolidations=1, validated_escalations=0
)


def pass_time(p: Periscope, span_ms: int) -> int:
    """Move the test's clock; return the time it shows now."""
    assert p.functions.now_ms is not None
    p.functions.now_ms += span_ms
    return p.functions.now_ms


def set_time(p: Periscope, moment_ms: int) -> None:
    p.functions.now_ms = moment_ms


def span(milliseconds: int) -> timedelta:
    return timedelta(milliseconds=milliseconds)


def expected_score(
    severity: str, interactions: int = 0, escalations: int = 0, age_ms: int = 0
) -> float:
    """The score of DESIGN 2, as it is written there."""
    return (
        0.3 * SEVERITY_VALUES[severity]
        + 0.2 * min(1, interactions / 10)
        + 0.3 * min(1, escalations / 3)
        + 0.2 * exp(-age_ms / (30 * MINUTE_MS))
    )


def report(threat_id: str, severity: str = "HIGH", **fields: Any) -> dict[str, Any]:
    return {"threat_id": threat_id, "content": "as first seen", "severity": severity, **fields}


async def add(p: Periscope, *ids: str, severity: str = "HIGH", **fields: Any) -> None:
    """Take in one new threat for each id."""
    result = await p.add_threats_batch([report(one, severity, **fields) for one in ids])
    assert result.added == len(ids), result


async def say(p: Periscope, threat_id: str, severity: str = "HIGH", **fields: Any) -> str:
    """Take in one report; return the word of its outcome."""
    given = {"content": "as first seen", **fields}
    return str(await p.add_threat(threat_id, given.pop("content"), severity, **given))


async def acts(p: Periscope, threat_id: str, *steps: str) -> Threat:
    """Interactions in order, each 'ann escalate' or 'ann view x4'; the threat after the last."""
    threat = None
    for step in steps:
        analyst, action, *times = step.split()
        for _ in range(int(times[0].removeprefix("x")) if times else 1):
            threat = await p.record_interaction(threat_id, analyst, action)
    assert threat is not None
    return threat


async def look(p: Periscope, threat_id: str) -> Threat:
    threat = await p.get_threat(threat_id)
    assert threat is not None, f"{threat_id} is gone"
    return threat


async def is_gone(p: Periscope, threat_id: str) -> bool:
    return await p.get_threat(threat_id) is None


async def latch(p: Periscope, threat_id: str) -> Threat:
    """Make a CRITICAL threat eligible: 3 escalations of 2 analysts."""
    threat = await acts(p, threat_id, "ann escalate x2", "bob escalate")
    assert threat.latched, threat
    return threat


async def promote(p: Periscope, threat_id: str) -> Threat:
    """Promote what is eligible, which `threat_id` must be; the threat afterwards."""
    stats = await p.promote_eligible_threats()
    assert threat_id in stats.promoted_ids, (stats, await p.get_threat(threat_id))
    return await look(p, threat_id)


async def to_short_term(p: Periscope, threat_id: str, severity: str = "CRITICAL") -> Threat:
    """A new threat, eligible and promoted to level 2."""
    await add(p, threat_id, severity=severity)
    await latch(p, threat_id)
    threat = await promote(p, threat_id)
    assert threat.level is Level.SHORT_TERM, threat
    return threat


async def consolidate(p: Periscope, threat_id: str) -> Threat:
    """Recall a threat by an escalation, and promote it again."""
    threat = await acts(p, threat_id, "ann escalate")
    assert threat.latched, threat
    return await promote(p, threat_id)


async def to_long_term(p: Periscope, threat_id: str) -> Threat:
    """A new threat that reaches level 3 under the default policy: two days pass."""
    await to_short_term(p, threat_id)
    for _ in range(2):
        pass_time(p, DAY_MS)
        threat = await consolidate(p, threat_id)
    assert threat.level is Level.LONG_TERM, threat
    return threat


def ids_of(page: Page) -> list[str]:
    return [threat.threat_id for threat in page]


def ranked(threats: list[Threat]) -> list[str]:
    """Ids in the order of levels 2 and 3: confidence, last activity, id, all falling."""
    ordered = sorted(
        threats,
        key=lambda t: (t.confidence, t.last_activity_ms, t.threat_id.encode()),
        reverse=True,
    )
    return [threat.threat_id for threat in ordered]


async def walk(pages: Any, count: int) -> list[str]:
    """All ids of a paged list, `pages(cursor, count)` being one page of it."""
    found: list[str] = []
    cursor = None
    while True:
        page = await pages(cursor, count)
        assert len(page) <= count
        found += ids_of(page)
        cursor = page.next_cursor
        if cursor is None:
            return found
        assert len(page) > 0
