"""The rules a team may change: one `Policy`, stored in the database with a revision."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from periscope.errors import SettingInvalid

INTERACTIONS_CAP = 10
ESCALATIONS_CAP = 3
BUCKETS = 4 * (ESCALATIONS_CAP + 1) * (INTERACTIONS_CAP + 1)


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights and time constant of the score (DESIGN 2).

    Weights and severity values may change at any time: boards hold no scores, so the next read
    ranks by the new ones. The caps (10 interactions, 3 escalations) are part of the boards' layout.
    """

    severity_weight: float = 0.3
    interactions_weight: float = 0.2
    escalations_weight: float = 0.3
    recency_weight: float = 0.2
    severity_critical: float = 1.0
    severity_high: float = 0.7
    severity_medium: float = 0.4
    severity_low: float = 0.1
    recency_constant: timedelta = timedelta(minutes=30)

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name == "recency_constant":
                if not isinstance(value, timedelta) or value < timedelta(seconds=1):
                    raise SettingInvalid("policy.recency_constant must be at least one second")
            elif type(value) not in (int, float) or not 0 <= value <= 1:
                raise SettingInvalid(f"policy.{name} must be a number from 0 to 1")

    @property
    def severity_values(self) -> tuple[float, float, float, float]:
        """Values of LOW, MEDIUM, HIGH, CRITICAL: indexed by `Severity.rank`."""
        return (
            self.severity_low,
            self.severity_medium,
            self.severity_high,
            self.severity_critical,
        )

    @property
    def recency_constant_ms(self) -> float:
        """The time constant (not the half-life) in milliseconds."""
        return self.recency_constant / timedelta(milliseconds=1)
