"""API keys: made, listed, revoked, told apart."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from periscope.access import checks, keyring
from periscope.access.root import ITSELF, AccessRoot
from periscope.access.stored import StoredKey, read_keys
from periscope.access.tokens import new_secret
from periscope.access.words import NO_LIMITS, ApiKey, Identity, Limits, Scope

FIRST_KEY = "first"


class KeysDesk(AccessRoot):
    """What is done about API keys."""

    async def create_key(
        self,
        name: str,
        scopes: Iterable[Scope | str],
        *,
        by: str,
        limits: Limits = NO_LIMITS,
        analyst: str | None = None,
        expires: timedelta | datetime | None = None,
        rate_per_s: float | None = None,
        burst: int | None = None,
    ) -> tuple[ApiKey, str]:
        """Make an API key: how it is listed, and its secret, which nobody can see again.

        Good everywhere within a second. The name is that of no other key that is not revoked, as
        the audit trail says it. `analyst` is for whom it acts; the `burst` is of a second if none.

        Raises:
            AccessInvalid: it cannot be; names the field.
            OutcomeUnknown: there may be such a key, whose secret nobody knows: revoke it.
        """
        await self._register.refresh()
        (rate, most), new = checks.checked_rate(rate_per_s, burst), new_secret()
        key = ApiKey(
            prefix=new.prefix,
            name=checks.checked_name(name, "name", checks.MAX_KEY_NAME_BYTES),
            scopes=checks.checked_scopes(scopes),
            limits=checks.checked_limits(limits),
            analyst=None if analyst is None else checks.checked_account(analyst, "analyst"),
            rate_per_s=rate,
            burst=most,
            created_ms=self._register.now_ms(),
            created_by=checks.checked_name(by, "by"),
            expires_ms=checks.end_ms(expires, self._register.now_ms()),
        )
        stored = StoredKey(key, new.digest)
        keyring.adding(self._register, stored)  # or it is refused, and not on record
        await self.remark(by, "create_key", _called(key), _told(key))
        await self._register.change(lambda register: keyring.adding(register, stored))
        return key, new.secret

    async def keys(self) -> list[ApiKey]:
        """All API keys, also those that are good no more, in the order in which they were made."""
        return keyring.listed(read_keys((await self._calls.read(-1)).fields))

    async def revoke_key(self, prefix: str, *, by: str) -> ApiKey:
        """Revoke an API key: refused everywhere within a second. Safe to repeat.

        Raises:
            AccessUnknown: there is no such key.
            AuditFull, Moving: it is revoked, and that is not on record yet: repeat it later.
        """
        checks.checked_name(by, "by")
        await self._register.change(lambda register: keyring.revoking(register, prefix, by))
        key = keyring.known_key(self._register, prefix).key
        await self.remark(by, "revoke_key", _called(key), {"prefix": prefix})
        return key

    async def first_key(self) -> tuple[ApiKey, str] | None:
        """An admin key, if there never was a key or account; None if there was.

        Of any number of processes one gets it.
        """
        await self._register.refresh()
        if self._register.revision:
            return None
        new, now_ms = new_secret(), self._register.now_ms()
        scopes = (Scope.ADMIN,)
        key = ApiKey(new.prefix, FIRST_KEY, scopes, NO_LIMITS, None, None, None, now_ms, ITSELF)
        fields = keyring.adding(self._register, StoredKey(key, new.digest))
        if not await self._calls.put(0, fields):
            await self._register.refresh()
            if new.prefix not in self._register.keys:
                return None
        await self._register.refresh()
        await self._remark_gently(ITSELF, "create_key", _called(key), _told(key))
        return key, new.secret

    async def identify_key(self, secret: str) -> Identity:
        """Say who shows this secret; no round trip, as long as the store answers.

        Raises:
            Unauthenticated: unknown, expired or revoked.
            StoreUnavailable: nobody can be let in just now.
        """
        if self._register.is_stale:
            await self._register.fresh()
        return self._keyring.identify(secret)

    async def spend(self, identity: Identity, cost: int = 1) -> None:
        """Count a request of an API key against its rate; over all processes together.

        Raises:
            RateLimited: it has no more just now, and this request is not to be served.
            StoreUnavailable: nobody can say.
        """
        await self._buckets.spend(identity, cost)


def _called(key: ApiKey) -> str:
    return checks.KEY_NAMES + key.name


def _told(key: ApiKey) -> dict[str, str | int | float]:
    """What the audit trail says of a new key."""
    told: dict[str, str | int | float | None] = {
        "prefix": key.prefix,
        "scopes": " ".join(key.scopes),
        "analyst": key.analyst,
        "sources": ", ".join(key.limits.sources),
        "severities": " ".join(key.limits.severities),
        "tlp": " ".join(key.limits.tlp),
        "rate_per_s": key.rate_per_s,
        "burst": key.burst,
        "expires_ms": key.expires_ms,
    }
    return {name: value for name, value in told.items() if value}
