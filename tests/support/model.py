"""The engine as pure Python: what the Lua must do, written the plain way.

Nothing here is shared with the product but the vocabulary: scores are recomputed for every threat,
rankings are sorted lists, and fingerprints are the things themselves.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import exp
from typing import Any

STATIC = {0: 0.1, 1: 0.4, 2: 0.7, 3: 1.0}
MAX_SOURCES = 32


@dataclass
class Word:
    """The last thing that a source said."""

    source: str
    said: Any
    observed_at: int
    severity: int


class Scored:
    """The score and the order of the ranking, from the fields of whoever has them."""

    threat_id: str
    severity: int
    last_activity: int
    interactions: int
    escalations: int

    def score(self, now: int) -> float:
        age = max(0, now - self.last_activity)
        return (
            0.3 * STATIC[self.severity]
            + 0.2 * min(1, self.interactions / 10)
            + 0.3 * min(1, self.escalations / 3)
            + 0.2 * exp(-age / 1_800_000)
        )

    def rank_key(self, now: int) -> tuple[float, int, bytes]:
        return (self.score(now), self.last_activity, self.threat_id.encode())


@dataclass
class ModelThreat(Scored):
    threat_id: str
    words: list[Word]
    first_seen: int
    last_activity: int
    severity: int
    body: Any
    status: int = 0
    status_severity: int = 0
    interactions: int = 0
    escalations: int = 0
    sightings: int = 0
    revision: int = 1


@dataclass
class Model:
    threats: dict[str, ModelThreat] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def ingest(
        self, threat_id: str, said: Any, severity: int, source: str, observed_at: int, now: int
    ) -> str:
        outcome = self._ingest(threat_id, said, severity, source, observed_at, now)
        self.counts["received"] += 1
        self.counts[outcome] += 1
        return outcome

    def _ingest(
        self, threat_id: str, said: Any, severity: int, source: str, observed_at: int, now: int
    ) -> str:
        word = Word(source, (said, severity), observed_at, severity)
        threat = self.threats.get(threat_id)
        if threat is None:
            self.threats[threat_id] = ModelThreat(threat_id, [word], now, now, severity, said)
            return "added"
        before = next((w for w in threat.words if w.source == source), None)
        if before is not None:
            older = 0 < observed_at < before.observed_at
            newer = observed_at > before.observed_at
            if older or not (newer or word.said != before.said):
                return "duplicates"
            word.observed_at = max(observed_at, before.observed_at)
            threat.words.remove(before)
        threat.words.insert(0, word)
        del threat.words[MAX_SOURCES:]
        threat.severity = max(w.severity for w in threat.words)
        threat.body = said
        threat.sightings += 1
        threat.revision += 1
        threat.last_activity = max(threat.last_activity, now)
        if threat.status and threat.severity > threat.status_severity:
            threat.status = threat.status_severity = 0
        return "sightings"

    def ranked(self, now: int, status: int = 0) -> list[ModelThreat]:
        chosen = [t for t in self.threats.values() if t.status == status]
        return sorted(chosen, key=lambda t: t.rank_key(now), reverse=True)
