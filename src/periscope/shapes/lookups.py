"""Many ids at once: which of them are known, and what is known of them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from periscope.shapes.threats import ThreatDocument

MOST_LOOKED_UP = 1000
MOST_ASKED = 100_000


class LookupBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ids of threats, and which fields of them (default: all)."""

    ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MOST_LOOKED_UP)]
    fields: Annotated[list[str], msgspec.Meta(max_length=100)] = []


class ThreatsFound(msgspec.Struct, frozen=True):
    """The known ones among the ids, in the order given, and the others."""

    items: list[ThreatDocument]
    missing: list[str]
    as_of: str | None
    as_of_ms: int | None


class SeenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ids of threats; `exact` asks the store about all of them, whatever the filter here says."""

    ids: Annotated[list[str], msgspec.Meta(max_length=MOST_ASKED)]
    exact: bool = False


class SeenDocument(msgspec.Struct, frozen=True):
    """A known id."""

    threat_id: str
    level: Literal[1, 2, 3]
    last_activity: str
    last_activity_ms: int


class Known(msgspec.Struct, frozen=True):
    """How many ids were asked about, and those that are known, in no order."""

    asked: int
    known: list[SeenDocument]
