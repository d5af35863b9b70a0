"""The score, in pure arithmetic: the reference that the Lua is tested against, bit for bit.

Terms are added left to right as DESIGN 2 writes them; any other order rounds differently.
"""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING, NamedTuple

from periscope.policy import Policy

if TYPE_CHECKING:
    from periscope.models import Severity


_DAY_MS = 24 * 60 * 60 * 1000


class Term(NamedTuple):
    """One term of a score: `value = weight * factor`, and the input the factor came from."""

    name: str
    weight: float
    factor: float
    value: float
    input: str


class Explanation(NamedTuple):
    """A score and the four terms that it is the sum of."""

    score: float
    terms: tuple[Term, ...]


def explain(
    policy: Policy, severity: Severity, interactions: int, escalations: int, age_ms: int
) -> Explanation:
    """Return the score of DESIGN 2 with its terms; `age_ms` is time since the last activity."""
    terms = (
        _term(
            "severity",
            policy.severity_weight,
            policy.severity_values[severity.rank],
            severity.value,
        ),
        _term(
            "interactions",
            policy.interactions_weight,
            min(1, interactions / policy.interactions_cap),
            f"{interactions} of {policy.interactions_cap}",
        ),
        _term(
            "escalations",
            policy.escalations_weight,
            min(1, escalations / policy.escalations_cap),
            f"{escalations} of {policy.escalations_cap}",
        ),
        _term(
            "recency",
            policy.recency_weight,
            exp(-age_ms / policy.recency_constant_ms),
            f"{age_ms} ms",
        ),
    )
    return Explanation(((terms[0].value + terms[1].value) + terms[2].value) + terms[3].value, terms)


def score(
    policy: Policy, severity: Severity, interactions: int, escalations: int, age_ms: int
) -> float:
    """Return the score of DESIGN 2 as a double, equal to the server's bit for bit."""
    return explain(policy, severity, interactions, escalations, age_ms).score


def decayed(policy: Policy, confidence: float, age_ms: int) -> float:
    """The confidence of an unprotected level 3 threat after `age_ms` (DESIGN 2, closed form)."""
    days = max(0, age_ms) / _DAY_MS
    return float(max(policy.decay_floor, confidence * policy.decay_per_day**days))


def _term(name: str, weight: float, factor: float, given: str) -> Term:
    return Term(name, weight, factor, weight * factor, given)
