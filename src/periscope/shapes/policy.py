"""The policy as it travels: shares and counts as numbers, times as integer milliseconds."""

from __future__ import annotations

from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]
Span = Annotated[int, msgspec.Meta(ge=0, le=3_155_760_000_000)]

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000


class PolicyDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rules in force, each as in the reference of the policy; what is left out is by default.

    A field that ends in `_ms` is a time in milliseconds.
    """

    severity_weight: Share = 0.3
    interactions_weight: Share = 0.2
    escalations_weight: Share = 0.3
    recency_weight: Share = 0.2
    severity_critical: Share = 1.0
    severity_high: Share = 0.7
    severity_medium: Share = 0.4
    severity_low: Share = 0.1
    recency_constant_ms: Span = 30 * _MINUTE
    promote_score: Share = 0.7
    promote_analysts: Count = 2
    promote_escalations: Count = 2
    long_term_confidence: Share = 0.8
    long_term_consolidations: Count = 3
    validated_escalations: Count = 2
    protected_consolidations: Count = 3
    consolidation_interval_ms: Span = 24 * _HOUR
    decay_per_day: Share = 0.999
    decay_floor: Share = 0.3
    working_ttl_ms: Span = _HOUR
    short_term_ttl_ms: Span = 7 * _DAY
    long_term_ttl_ms: Span = 90 * _DAY
    settle_after_ms: Span = _HOUR
    target_critical_ms: Span = 15 * _MINUTE
    target_high_ms: Span = _HOUR
    target_medium_ms: Span = 8 * _HOUR
    target_low_ms: Span = 24 * _HOUR
    undo_within_ms: Span = 10 * _MINUTE
    remember_for_ms: Span = 24 * _HOUR
    remember_limit: Count = 250_000
    stub_ttl_ms: Span = 7 * _DAY
    stub_limit: Count = 100_000
    events_limit_kb: Count = 8_192
    audit_limit_kb: Count = 65_536
    interactions_cap: Count = 10
    escalations_cap: Count = 3


class PolicyShown(msgspec.Struct, frozen=True):
    """The policy in force and its revision, which every change raises.

    `differing` names the fields that are not as by default.
    """

    revision: int
    policy: PolicyDocument
    differing: list[str]
