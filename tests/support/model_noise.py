"""What is suppressed, as pure Python: one entry an id, and whether a marked report is set aside."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from periscope.models import Mark
from tests.support.model_threat import DAY

KEPT = 30 * DAY


@dataclass
class ModelEntry:
    threat_id: str
    first: int
    last: int
    cause: str = ""
    source: str = ""
    title: str = ""
    severity: int | None = None
    count: int = 0
    returned: int | None = None
    came: list[int] = field(default_factory=list)  # when those came that a rule with a rate marked


class Entries:
    """Entries by id. `decide` says whether a marked report is suppressed, and counts it."""

    def __init__(self) -> None:
        self.kept: dict[str, ModelEntry] = {}

    def decide(
        self, threat_id: str, mark: Mark, said: tuple[int, str, str], here: int | None, now: int
    ) -> bool:
        """`said` is severity, source and title; `here` the severity of its threat in a level."""
        severity, source, title = said
        entry = self.kept.get(threat_id)
        if entry is None or now - entry.last >= KEPT:
            entry = self.kept[threat_id] = ModelEntry(threat_id, now, now)
        floor = here if here is not None else entry.severity
        entry.severity = max(severity, entry.severity or 0)
        entry.last, entry.cause = max(entry.last, now), mark.cause
        entry.source, entry.title = source, title
        if self._too_often(entry, mark, now) or (floor is not None and severity > floor):
            return False
        entry.count += 1
        return True

    def _too_often(self, entry: ModelEntry, mark: Mark, now: int) -> bool:
        if mark.window_ms == 0:
            return False
        came = [min(one, now) for one in entry.came]
        entry.came = [*(one for one in came if one > now - mark.window_ms), now]
        return len(entry.came) > mark.most

    def outlive(self, now: int) -> int:
        """Forget what is too old; how many."""
        old = [one for one, entry in self.kept.items() if now - entry.last >= KEPT]
        for one in old:
            del self.kept[one]
        return len(old)

    def listed(self, cause: str | None = None) -> list[ModelEntry]:
        chosen = [e for e in self.kept.values() if cause in (None, e.cause)]
        return sorted(chosen, key=lambda e: (e.last, e.threat_id.encode()), reverse=True)

    def causes(self) -> dict[str, int]:
        return dict(Counter(entry.cause for entry in self.kept.values()))
