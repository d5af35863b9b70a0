"""How far a backup or a restore has come, for whoever looks at it meanwhile."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Progress:
    """Filled in by the work, read by anybody: `done` of `total` (0: not known) `unit` of `stage`.

    A copy that has to be taken again starts again at the count it had before.
    """

    stage: str = ""
    unit: str = ""
    done: int = 0
    total: int = 0

    def begin(self, stage: str, unit: str, total: int = 0) -> None:
        """Start counting for another stage."""
        self.stage, self.unit, self.done, self.total = stage, unit, 0, total
