"""Signing in, and who is signed in."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from periscope.shapes.accounts import Password
from periscope.shapes.keys import KeyLimits, ScopeWord, Word


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name and password of an account; `namespace` where the service serves several."""

    name: Annotated[str, msgspec.Meta(max_length=256)]
    password: Password
    namespace: Word | None = None


class SessionDocument(msgspec.Struct, frozen=True):
    """Who asks: an account by its session, or an API key.

    `scopes` are all that hold: with `admin` all there are. `analyst` is who acts, null where
    requests must name somebody. It `expires` at the latest then, null: never.
    """

    name: str
    kind: Literal["key", "account"]
    namespace: str
    scopes: list[ScopeWord]
    limits: KeyLimits
    analyst: str | None
    expires: str | None
    expires_ms: int | None
