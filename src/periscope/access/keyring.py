"""API keys: made, listed, revoked, and recognised without a round trip."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple

from msgspec.structs import replace

from periscope.access.checks import KEY_NAMES
from periscope.access.register import Register
from periscope.access.stored import KEY, USED, StoredKey, encode
from periscope.access.tokens import prefix_of
from periscope.access.words import ApiKey, Identity, all_scopes
from periscope.errors import AccessInvalid, AccessUnknown, Unauthenticated

MOST_KEYS = 5_000
NOTE_USE_MS = 60_000  # between two notes of a key's last use
NOT_GOOD = "unknown, expired or revoked API key"
NEVER = float("inf")
_NOBODY = sha256(b"").digest()


class _Known(NamedTuple):
    """A key that is good until it expires."""

    digest: bytes
    identity: Identity
    expires_ms: float


class Keyring:
    """The API keys of a register."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._known: Mapping[str, _Known] = {}
        self._used: dict[str, int] = {}
        self._noted: dict[str, int] = {}

    def take(self, keys: Mapping[str, StoredKey]) -> None:
        """Recognise these from now on, and no others."""
        self._known = {
            prefix: _known(one) for prefix, one in keys.items() if one.key.revoked_ms is None
        }
        self._noted = {prefix: ms for prefix, ms in self._noted.items() if prefix in keys}

    def identify(self, secret: str) -> Identity:
        """Say who shows this secret, by what the register knows.

        Raises:
            Unauthenticated: nobody (any more).
        """
        prefix = prefix_of(secret)
        if prefix is None:
            raise Unauthenticated(NOT_GOOD)
        known = self._known.get(prefix)
        digest = sha256(secret.encode()).digest()
        if not compare_digest(digest, _NOBODY if known is None else known.digest):
            raise Unauthenticated(NOT_GOOD)
        now_ms = self._register.now_ms()
        if known is None or known.expires_ms <= now_ms:
            raise Unauthenticated(NOT_GOOD)
        self._used[prefix] = now_ms
        return known.identity

    def uses_to_note(self, *, at_once: bool = False) -> dict[str, int]:
        """Return which keys were used when, and are not noted so since a minute ago."""
        due = {
            prefix: used_ms
            for prefix, used_ms in self._used.items()
            if at_once or used_ms - self._noted.get(prefix, 0) >= NOTE_USE_MS
        }
        self._noted.update(due)
        for prefix in due:
            del self._used[prefix]
        return due


def adding(register: Register, new: StoredKey) -> dict[str, bytes]:
    """Return the fields to set for a new key; the oldest that are good no more make room.

    Raises:
        AccessInvalid: the name is that of another key that is not revoked; or there are too many.
    """
    keys, now_ms = register.keys, register.now_ms()
    if new.key.prefix in keys:
        raise AccessInvalid("prefix: drawn twice; try again", field="prefix")
    if any(one.key.name == new.key.name and one.key.revoked_ms is None for one in keys.values()):
        reason = f"name: there is an API key {new.key.name!r}; revoke it, or take another name"
        raise AccessInvalid(reason, field="name")
    fields = {KEY + new.key.prefix: encode(new)}
    if len(keys) >= MOST_KEYS:
        dead = [one.key for one in keys.values() if one.key.state(now_ms) != "good"]
        if not dead:
            reason = f"name: {MOST_KEYS:,} API keys are the limit; revoke some"
            raise AccessInvalid(reason, field="name")
        oldest = min(dead, key=lambda key: key.created_ms).prefix
        fields |= {KEY + oldest: b"", USED + oldest: b""}
    return fields


def revoking(register: Register, prefix: str, by: str) -> dict[str, bytes]:
    """Return the fields to set where a key is revoked; none where it is already.

    Raises:
        AccessUnknown: there is no such key.
    """
    one = known_key(register, prefix)
    if one.key.revoked_ms is not None:
        return {}
    # The last use has its own field: what is stored with the key stays as it was made.
    key = replace(one.key, revoked_ms=register.now_ms(), revoked_by=by, last_used_ms=None)
    return {KEY + prefix: encode(StoredKey(key, one.digest))}


def known_key(register: Register, prefix: str) -> StoredKey:
    """Return a key by its prefix.

    Raises:
        AccessUnknown: there is none.
    """
    found = register.keys.get(prefix)
    if found is None:
        raise AccessUnknown(f"no API key with the prefix {str(prefix)[:40]!r}")
    return found


def _known(one: StoredKey) -> _Known:
    key = one.key
    identity = Identity(
        name=KEY_NAMES + key.name,
        kind="key",
        scopes=all_scopes(key.scopes),
        limits=key.limits,
        analyst=key.analyst,
        prefix=key.prefix,
        rate_per_s=key.rate_per_s,
        burst=key.burst,
        expires_ms=key.expires_ms,
    )
    ends = NEVER if key.expires_ms is None else key.expires_ms
    return _Known(bytes.fromhex(one.digest), identity, ends)


def listed(keys: Mapping[str, StoredKey]) -> list[ApiKey]:
    """Return the keys as they are listed, in the order in which they were made."""
    return sorted((one.key for one in keys.values()), key=lambda key: (key.created_ms, key.prefix))
