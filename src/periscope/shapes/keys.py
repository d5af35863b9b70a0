"""API keys: what is asked of a new one, and how they are listed."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

ScopeWord = Literal["ingest", "read", "act", "admin"]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class KeyLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of the threats a key is for; an empty list limits nothing."""

    sources: list[Word] = []
    severities: list[Literal["CRITICAL", "HIGH", "MEDIUM", "LOW"]] = []
    tlp: list[Literal["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"]] = []


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key to be made.

    `analyst` is for whom it acts; it expires after `expires_in_s` seconds, or never. `rate_per_s`
    are requests a second, `burst` those that may come at once (default: those of a second).
    """

    name: Word
    scopes: Annotated[list[ScopeWord], msgspec.Meta(min_length=1, max_length=4)]
    limits: KeyLimits = KeyLimits()
    analyst: Word | None = None
    expires_in_s: Annotated[int, msgspec.Meta(ge=1, le=3_155_760_000)] | None = None
    rate_per_s: Annotated[float, msgspec.Meta(ge=0.001, le=1_000_000)] | None = None
    burst: Annotated[int, msgspec.Meta(ge=1)] | None = None


class KeyDocument(msgspec.Struct, frozen=True):
    """A key as it is listed; `prefix` recognises it, and is no secret."""

    prefix: str
    name: str
    scopes: list[ScopeWord]
    limits: KeyLimits
    analyst: str | None
    rate_per_s: float | None
    burst: int | None
    state: Literal["good", "expired", "revoked"]
    created: str
    created_ms: int
    created_by: str
    expires: str | None
    expires_ms: int | None
    revoked: str | None
    revoked_ms: int | None
    revoked_by: str | None
    last_used: str | None
    last_used_ms: int | None


class KeyCreated(msgspec.Struct, frozen=True):
    """A new key and its secret, which is shown this once."""

    key: KeyDocument
    secret: str


class KeyList(msgspec.Struct, frozen=True):
    """All keys, also those that are good no more, in the order in which they were made."""

    items: list[KeyDocument]
