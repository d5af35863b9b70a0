"""Suppression rules, what they hide or would hide, and warninglists."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from periscope.shapes.threats import ThreatDocument

SeverityWord = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW"]
SpanSeconds = Annotated[int, msgspec.Meta(ge=1, le=316_224_000)]


class ConditionDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition: the value of `in` is a list, of all other operators a text."""

    field: str
    op: Literal["=", "!=", "<", "<=", ">", ">=", "~", "in"]
    value: str | list[str]


Where = Annotated[list[str | ConditionDocument], msgspec.Meta(min_length=1, max_length=20)]


class RateDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """More than `most` reports of one threat within `window_ms`: it comes back."""

    most: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
    window_ms: Annotated[int, msgspec.Meta(ge=1, le=316_224_000_000)]


class NewSuppression(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule to be made: conditions that must all hold, as texts (`severity<=MEDIUM`) or objects.

    It ends after `for_s` seconds, or never. `force` allows one that holds for nearly everything.
    """

    where: Where
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    for_s: SpanSeconds | None = None
    rate: RateDocument | None = None
    force: bool = False


class PreviewBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule to be tried on what came in the last `since_s` seconds; `archive`: and departed."""

    where: Where
    since_s: SpanSeconds = 86_400
    archive: bool = False
    force: bool = False


class ExplainBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A report, as it would be sent."""

    report: dict[str, Any]


class SuppressionDocument(msgspec.Struct, frozen=True):
    """A suppression rule; `where_text` are its conditions as they are typed."""

    id: str
    where: list[ConditionDocument]
    where_text: list[str]
    reason: str
    author: str
    created: str
    created_ms: int
    until: str | None
    until_ms: int | None
    rate: RateDocument | None
    active: bool
    ended: str | None
    ended_ms: int | None
    ended_by: str | None


class SuppressionList(msgspec.Struct, frozen=True):
    """Rules in the order in which they are tried."""

    items: list[SuppressionDocument]


class SuppressedDocument(msgspec.Struct, frozen=True):
    """What was set aside of one id; `cause` is `list:<name>` or `rule:<id>`."""

    threat_id: str
    severity: SeverityWord
    cause: str
    count: int
    first_seen: str
    first_seen_ms: int
    last_seen: str
    last_seen_ms: int
    came_back: str | None
    came_back_ms: int | None
    source: str
    title: str


class SuppressionShown(msgspec.Struct, frozen=True):
    """A rule, how many ids it hides, and the newest of them."""

    rule: SuppressionDocument
    suppressed: int
    newest: list[SuppressedDocument]


class SuppressedPage(msgspec.Struct, frozen=True):
    """A stretch of what is set aside, what was reported last first."""

    items: list[SuppressedDocument]
    next_cursor: str | None
    total: int
    as_of: str
    as_of_ms: int


class Forgotten(msgspec.Struct, frozen=True):
    """An id whose next report starts anew; was anything of it set aside?"""

    forgotten: str
    was_suppressed: bool


class PreviewExample(msgspec.Struct, frozen=True):
    """A threat that the rule would have hidden."""

    threat_id: str
    severity: SeverityWord
    title: str
    source: str
    departed: bool


class PreviewDocument(msgspec.Struct, frozen=True):
    """What a rule would have hidden; `escalated` and `true_positives` of it are a warning."""

    since: str
    since_ms: int
    as_of: str
    as_of_ms: int
    looked_at: int
    matched: int
    departed: int
    sightings: int
    escalated: int
    true_positives: int
    by_severity: dict[str, int]
    by_source: dict[str, int]
    examples: list[PreviewExample]


class MarkDocument(msgspec.Struct, frozen=True):
    """Why a report would be set aside; beyond `most` in `window_ms` it comes back (0: never)."""

    cause: str
    most: int
    window_ms: int
    until: str | None
    until_ms: int | None


class IndicatorLookup(msgspec.Struct, frozen=True):
    """An indicator of the report, and the warninglist that it is on; null: on none."""

    type: str
    value: str
    warninglist: str | None


class NoiseExplained(msgspec.Struct, frozen=True):
    """What would become of a report that came now, and why.

    `threat` is the threat that it is about, `entry` what was set aside of it before.
    """

    suppressed: bool
    because: str
    mark: MarkDocument | None
    rules: list[SuppressionDocument]
    indicators: list[IndicatorLookup]
    threat: ThreatDocument | None
    entry: SuppressedDocument | None


class WarninglistDocument(msgspec.Struct, frozen=True):
    """A warninglist that is loaded; `left_out` counts values that cannot be looked up."""

    name: str
    type: str
    version: str
    description: str
    matching_attributes: list[str]
    indicators: list[str]
    values: int
    left_out: int
    size_bytes: int
    stored_bytes: int
    loaded: str
    loaded_ms: int
    loaded_by: str | None


class WarninglistList(msgspec.Struct, frozen=True):
    """The warninglists that are loaded, by name."""

    items: list[WarninglistDocument]


class WarninglistDropped(msgspec.Struct, frozen=True):
    """The list that is no longer loaded."""

    dropped: str
