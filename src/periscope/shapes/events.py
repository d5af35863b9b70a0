"""What happens, as it is told."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class EventDocument(msgspec.Struct, frozen=True):
    """Something that happened; `position` resumes right after it.

    `added` and `sighted` name all threats of one chunk; every other kind has one, its level and
    status afterwards, and the analyst if there was one.
    """

    kind: str
    at: str
    at_ms: int
    threat_ids: list[str]
    analyst_id: str | None
    level: Literal[1, 2, 3] | None
    status: Literal["open", "dismissed", "snoozed", "closed"] | None
    detail: Any
    position: str
