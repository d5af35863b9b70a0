"""The nouns: scopes, limits, API keys, accounts, sessions, and who is asking."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

import msgspec

from periscope.models import Severity


class Scope(StrEnum):
    """What somebody may do."""

    INGEST = "ingest"
    """Send reports, and ask which ids are known."""
    READ = "read"
    """See threats and everything about them."""
    ACT = "act"
    """Do what analysts do."""
    ADMIN = "admin"
    """All of the above; and keys, accounts, policy, feeds, suppression."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of the threats a key is for; what is empty limits nothing."""

    sources: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    tlp: tuple[str, ...] = ()
    """Words of TLP 2: CLEAR, GREEN, AMBER, AMBER+STRICT, RED."""

    def permit(self, source: str, severity: Severity, tlp: str | None) -> bool:
        """Is what is so described within the limits? What bears no TLP is in no limit to TLP."""
        return (
            (not self.sources or source in self.sources)
            and (not self.severities or severity in self.severities)
            and (not self.tlp or tlp in self.tlp)
        )

    def __bool__(self) -> bool:
        return bool(self.sources or self.severities or self.tlp)


NO_LIMITS = Limits()


class Identity(msgspec.Struct, frozen=True):
    """Who is asking, as an API key or a session shows.

    `name` is what the audit trail says: `key:` and the key's name, or the account's name. `scopes`
    are all that hold: with `admin` all there are. `analyst` is who acts where it is asked for
    something that analysts do: the account itself, or whom the key stands for (None: nobody).
    `expires_ms` is when it ends at the latest (None: never).
    """

    name: str
    kind: Literal["key", "account"]
    scopes: frozenset[Scope]
    limits: Limits = NO_LIMITS
    analyst: str | None = None
    prefix: str | None = None
    rate_per_s: float | None = None
    burst: int | None = None
    expires_ms: int | None = None

    def may(self, scope: Scope) -> bool:
        """Is this within the scopes?"""
        return scope in self.scopes


class ApiKey(msgspec.Struct, frozen=True):
    """An API key as it is listed; times in milliseconds of the server's clock.

    `prefix` recognises it: the first eight characters after `psk_`. Whoever has it has nothing.
    """

    prefix: str
    name: str
    scopes: tuple[Scope, ...]
    limits: Limits
    analyst: str | None
    rate_per_s: float | None
    burst: int | None
    created_ms: int
    created_by: str
    expires_ms: int | None = None
    revoked_ms: int | None = None
    revoked_by: str | None = None
    last_used_ms: int | None = None

    def state(self, now_ms: int) -> Literal["good", "expired", "revoked"]:
        """Is it good at this moment?"""
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if self.expires_ms is not None and self.expires_ms <= now_ms else "good"


class Account(msgspec.Struct, frozen=True):
    """A person's account as it is listed; the name is the analyst's id.

    `issuer` is who vouches for the person where that is not a password (OpenID Connect).
    """

    name: str
    scopes: tuple[Scope, ...]
    created_ms: int
    created_by: str
    issuer: str | None = None
    disabled_ms: int | None = None


class Session(msgspec.Struct, frozen=True):
    """A session as it began; it ends at `ends_ms` at the latest, earlier if it is not used."""

    account: str
    scopes: tuple[Scope, ...]
    created_ms: int
    ends_ms: int


def all_scopes(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """Return the scopes with all that they include."""
    found = frozenset(scopes)
    return frozenset(Scope) if Scope.ADMIN in found else found
