"""The rules a team may change: one `Policy`, stored in the database with a revision."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from periscope.errors import SettingInvalid

INTERACTIONS_CAP = 10  # as far as the boards' layout counts, and the defaults
ESCALATIONS_CAP = 3
BUCKETS = 4 * (ESCALATIONS_CAP + 1) * (INTERACTIONS_CAP + 1)

CAPS = {"interactions_cap": INTERACTIONS_CAP, "escalations_cap": ESCALATIONS_CAP}

_MILLISECOND = timedelta(milliseconds=1)
_LONGEST = timedelta(days=36_500)


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The rules of DESIGN 2, with their defaults; every process ranks and promotes by the same.

    Weights and severity values may change at any time: boards hold no scores, so the next read
    ranks by the new ones. The caps stand in the boards, so only `periscope rebuild` changes them;
    `decay_per_day` stands in the long-term ranks: it changes while nothing there decays, or so.
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
    promote_score: float = 0.7
    """Level 1 to 2: the least score; with `promote_analysts` distinct analysts at least."""
    promote_analysts: int = 2
    promote_escalations: int = 2
    """Level 1 to 2: so many escalations, or a severity of HIGH or CRITICAL."""
    long_term_confidence: float = 0.8
    """Level 2 to 3: the least confidence, `long_term_consolidations` at least, and validated."""
    long_term_consolidations: int = 3
    validated_escalations: int = 2
    protected_consolidations: int = 3
    """Level 3: validated, or so often consolidated: no decay."""
    consolidation_interval: timedelta = timedelta(hours=24)
    decay_per_day: float = 0.999
    decay_floor: float = 0.3
    working_ttl: timedelta = timedelta(hours=1)
    short_term_ttl: timedelta = timedelta(days=7)
    long_term_ttl: timedelta = timedelta(days=90)
    settle_after: timedelta = timedelta(hours=1)
    target_critical: timedelta = timedelta(minutes=15)
    """Response targets, since first seen."""
    target_high: timedelta = timedelta(hours=1)
    target_medium: timedelta = timedelta(hours=8)
    target_low: timedelta = timedelta(hours=24)
    undo_within: timedelta = timedelta(minutes=10)
    remember_for: timedelta = timedelta(hours=24)
    """Interaction and request ids are kept so long, `remember_limit` at most (a partition)."""
    remember_limit: int = 250_000
    stub_ttl: timedelta = timedelta(days=7)
    """A departed threat is remembered so long, `stub_limit` of them at most (a partition)."""
    stub_limit: int = 100_000
    events_limit_kb: int = 8_192
    """Events kept, in KiB a partition: the oldest go first."""
    audit_limit_kb: int = 65_536
    """Audit trail not yet archived, in KiB a partition: beyond it analysts' acts are refused."""
    interactions_cap: int = INTERACTIONS_CAP
    """So many interactions (1 to 10) score as much as any number; `escalations_cap` likewise."""
    escalations_cap: int = ESCALATIONS_CAP

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(type(self)):
            _CHECKS[type(field.default)](field.name, getattr(self, field.name))
        if self.recency_constant < timedelta(seconds=1):
            raise SettingInvalid("policy.recency_constant must be at least one second")
        if not self.decay_per_day or not self.decay_floor:
            raise SettingInvalid("policy.decay_per_day and decay_floor must be more than 0")
        for name, most in CAPS.items():
            if not 1 <= getattr(self, name) <= most:
                raise SettingInvalid(f"policy.{name} must be a whole number from 1 to {most}")

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
    def targets(self) -> tuple[timedelta, timedelta, timedelta, timedelta]:
        """Response targets of LOW, MEDIUM, HIGH, CRITICAL: indexed by `Severity.rank`."""
        return (self.target_low, self.target_medium, self.target_high, self.target_critical)

    @property
    def recency_constant_ms(self) -> float:
        """The time constant (not the half-life) in milliseconds."""
        return self.recency_constant / _MILLISECOND


def _check_share(name: str, value: Any) -> None:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise SettingInvalid(f"policy.{name} must be a number from 0 to 1")


def _check_count(name: str, value: Any) -> None:
    if type(value) is not int or not 0 <= value <= 10_000_000:
        raise SettingInvalid(f"policy.{name} must be a whole number from 0 to 10,000,000")


def _check_time(name: str, value: Any) -> None:
    if not isinstance(value, timedelta) or not timedelta(0) <= value <= _LONGEST:
        raise SettingInvalid(f"policy.{name} must be a time from 0 to 100 years")


_CHECKS = {float: _check_share, int: _check_count, timedelta: _check_time}
