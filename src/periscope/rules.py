"""A policy with its revision, as the functions of `lua/` read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from periscope.policy import Policy

_MILLISECOND = timedelta(milliseconds=1)
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy with the revision that it has in this database.

    `packed` is the policy as the functions read it: every number round-trips exactly; the order is
    that of `Score.policy` in 07_score.lua.
    """

    policy: Policy
    revision: int
    packed: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        numbers = (*_ranking(self.policy), *_moving(self.policy), *_remembering(self.policy))
        numbers += (self.policy.interactions_cap, self.policy.escalations_cap)
        object.__setattr__(self, "packed", " ".join((str(self.revision), *map(repr, numbers))))


def _ranking(p: Policy) -> tuple[float, ...]:
    weights = (p.severity_weight, p.interactions_weight, p.escalations_weight, p.recency_weight)
    return (*weights, *p.severity_values, p.recency_constant_ms)


def _moving(p: Policy) -> tuple[float, ...]:
    promotion = (p.promote_score, p.promote_analysts, p.promote_escalations)
    long_term = (p.long_term_confidence, p.long_term_consolidations)
    validation = (p.validated_escalations, p.protected_consolidations)
    decay = (_ms(p.consolidation_interval), p.decay_per_day, p.decay_floor)
    ends = map(_ms, (p.working_ttl, p.short_term_ttl, p.long_term_ttl, p.settle_after))
    return (*promotion, *long_term, *validation, *decay, *ends, *map(_ms, p.targets))


def _remembering(p: Policy) -> tuple[int, ...]:
    requests = (_ms(p.undo_within), _ms(p.remember_for), p.remember_limit)
    stubs = (_ms(p.stub_ttl), p.stub_limit)
    return (*requests, *stubs, p.events_limit_kb * _KIB, p.audit_limit_kb * _KIB)


def _ms(span: timedelta) -> int:
    return span // _MILLISECOND
