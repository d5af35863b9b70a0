"""The triage memory as pure Python: what the engine must do, from DESIGN's text.

Nothing here is shared with the product but the vocabulary: scores are recomputed for every threat,
rankings are sorted lists, and fingerprints are the things themselves.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from periscope.models import Mark
from tests.support.model_acts import Acts
from tests.support.model_noise import Entries
from tests.support.model_threat import DAY, Held, ModelThreat, Scored, Word

__all__ = ["Held", "Model", "ModelThreat", "Scored", "Word"]

MAX_SOURCES = 32


class Model(Acts):
    """Threats by id, stubs of departed ones, removed ids, the ledger's counters, and noise."""

    def __init__(self) -> None:
        super().__init__()
        self.stubs: dict[str, tuple[ModelThreat, int]] = {}
        self.counts: Counter[str] = Counter()
        self.noise = Entries()

    def ingest(
        self,
        threat_id: str,
        said: Any,
        severity: int,
        source: str,
        observed_at: int,
        now: int,
        mark: Mark | None = None,
    ) -> str:
        """`said` is the content, and when it was observed if the source says so."""
        word = Word(source, (said[0], severity), observed_at, severity)
        holds = mark is not None and not 0 < mark.until_ms <= now and threat_id not in self.removed
        if mark and holds and self._set_aside(threat_id, mark, word, said, now):
            outcome = "suppressed"
        else:
            outcome = self._ingest(threat_id, word, said, now)
            if holds and outcome in ("added", "sightings"):
                self.noise.kept[threat_id].returned = now
        self.counts["received"] += 1
        self.counts[outcome] += 1
        return outcome

    def _set_aside(self, threat_id: str, mark: Mark, word: Word, said: Any, now: int) -> bool:
        threat = self.threats.get(threat_id)
        here = None if threat is None else threat.severity
        return self.noise.decide(threat_id, mark, (word.severity, word.source, said[0]), here, now)

    def _ingest(self, threat_id: str, word: Word, said: Any, now: int) -> str:
        if threat_id in self.removed:
            return "suppressed"
        threat = self.threats.get(threat_id)
        if threat is not None:
            return self._sight(threat, word, said, now)
        if threat_id in self.stubs:
            return self._return(threat_id, word, said, now)
        self.threats[threat_id] = ModelThreat(
            threat_id, [word], now, now, word.severity, said, word.source, word.observed_at
        )
        self.threats[threat_id].entered = self.threats[threat_id].decays_from = now
        return "added"

    def _return(self, threat_id: str, word: Word, said: Any, now: int) -> str:
        """A departed one: nothing new is a duplicate, else it is back with its counts."""
        old, _ = self.stubs[threat_id]
        back = replace(old, words=[replace(w) for w in old.words], acts=dict(old.acts))
        if not _hear(back, word, said):
            return "duplicates"
        back.level, back.home, back.status, back.status_severity = 1, 0, "open", 0
        back.outcome = back.latch = back.claim = None
        back.protected, back.escalated_since_recall, back.decided = False, 0, 0
        back.first_seen = back.last_activity = back.entered = back.decays_from = now
        back.moves += 1
        back.revision += 1
        self.threats[threat_id] = back
        del self.stubs[threat_id]
        return "added"

    def _sight(self, threat: ModelThreat, word: Word, said: Any, now: int) -> str:
        if not _hear(threat, word, said):
            return "duplicates"
        threat.recall(now, explicit=False)
        threat.sightings += 1
        threat.revision += 1
        threat.last_activity = max(threat.last_activity, now)
        if threat.raised():
            threat.reopen_as_raised(now)
            threat.decided = threat.revision
        return "sightings"

    def promote(self, now: int) -> set[str]:
        """Promote what is latched and free."""
        done = set()
        for threat in self.threats.values():
            if threat.latch is not None and threat.holder(now) is None:
                threat.revision += 1
                threat.promote(threat.latch, now)
                done.add(threat.threat_id)
        return done

    def wake(self, now: int) -> set[str]:
        """Open what was snoozed until now or before."""
        done = set()
        for threat in self.threats.values():
            if threat.wakes(now):
                threat.revision += 1
                threat.set_status("open", now)
                threat.decided = threat.revision
                done.add(threat.threat_id)
        return done

    def sweep(self, now: int) -> Counter[str]:
        told: Counter[str] = Counter()
        for threat in list(self.threats.values()):
            if not threat.overtaken(now):
                continue
            if threat.level == 1 and threat.home:
                threat.revision += 1
                threat.enter(threat.home, now)
                told["settled"] += 1
                continue
            reason = "seen" if threat.interactions else "unseen"
            told[reason] += 1
            self.counts[reason] += 1
            self.stubs[threat.threat_id] = (self.threats.pop(threat.threat_id), now)
        for threat_id in [i for i, (_, at) in self.stubs.items() if now >= at + 7 * DAY]:
            del self.stubs[threat_id]
        return told

    def stale_stub(self, threat_id: str, now: int) -> bool:
        """Is its stub past its time, so that whether it still counts depends on the last sweep?"""
        return threat_id in self.stubs and now >= self.stubs[threat_id][1] + 7 * DAY

    def remove(self, threat_id: str) -> str:
        if threat_id not in self.threats:
            return "UNKNOWN"
        del self.threats[threat_id]
        self.removed.add(threat_id)
        self.counts["removed"] += 1
        self.audited += 1
        return "DONE"

    def erase(self, threat_id: str) -> None:
        self.remove(threat_id)
        self.stubs.pop(threat_id, None)
        self.audited += 1

    def ranked(self, now: int, status: str = "open") -> list[ModelThreat]:
        chosen = [t for t in self.threats.values() if t.level == 1 and t.status == status]
        return sorted(chosen, key=lambda t: t.rank_key(now), reverse=True)

    def at_level(self, level: int, now: int) -> list[ModelThreat]:
        chosen = [t for t in self.threats.values() if t.level == level]
        key = lambda t: (t.worth(now), t.last_activity, t.threat_id.encode())  # noqa: E731
        return sorted(chosen, key=key, reverse=True)

    def overdue(self, now: int) -> list[ModelThreat]:
        chosen = [t for t in self.threats.values() if t.overdue(now)]
        return sorted(chosen, key=lambda t: (t.due, t.threat_id.encode()))


def _hear(threat: ModelThreat, word: Word, said: Any) -> bool:
    """Take in what a source says, unless it says nothing new."""
    before = next((w for w in threat.words if w.source == word.source), None)
    if before is not None:
        older = 0 < word.observed_at < before.observed_at
        newer = word.observed_at > before.observed_at
        if older or not (newer or word.said != before.said):
            return False
        word.observed_at = max(word.observed_at, before.observed_at)
        threat.words.remove(before)
    threat.words.insert(0, word)
    del threat.words[MAX_SOURCES:]
    threat.severity = max(w.severity for w in threat.words)
    threat.body, threat.source = said, word.source
    return True
