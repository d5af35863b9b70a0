"""Sessions: a token in a browser, its SHA-256 in the store.

They end when they are not used for IDLE, after LONGEST in any case, when somebody signs out, and
when the account is disabled or gets another password or other scopes: everywhere within a second,
since what a process knows of a session or an account is never older.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from time import monotonic
from typing import NamedTuple

import msgspec

from periscope.access.calls import AccessCalls, patiently
from periscope.access.register import STALE_S, Register
from periscope.access.stored import StoredAccount
from periscope.access.tokens import digest_of, is_token, new_token
from periscope.access.words import Identity, Session, all_scopes
from periscope.errors import Unauthenticated

IDLE = timedelta(hours=8)
LONGEST = timedelta(hours=24)
RENEW_S = 60.0  # between two notes that a session is used
MOST_KNOWN = 10_000
NOT_GOOD = "no session, or one that has ended; sign in"
_MS = timedelta(milliseconds=1)
_IDLE_MS, _LONGEST_MS = IDLE // _MS, LONGEST // _MS


class _Stored(msgspec.Struct, frozen=True):
    """A session as it is stored."""

    account: str
    epoch: int
    created_ms: int
    ends_ms: int


class _Known(NamedTuple):
    """A session as it was read, and when; and when it was renewed."""

    stored: _Stored
    text: bytes
    read_at: float
    renewed_at: float


class Sessions:
    """The sessions of the accounts of a register."""

    def __init__(self, register: Register, calls: AccessCalls) -> None:
        self._register = register
        self._calls = calls
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def begin(self, account: StoredAccount) -> tuple[str, Session]:
        """Begin a session of an account: the token, which nobody sees again, and the session."""
        token, now_ms = new_token(), self._register.now_ms()
        name = account.account.name
        stored = _Stored(name, account.epoch, now_ms, now_ms + _LONGEST_MS)
        text = msgspec.json.encode(stored)
        await self._calls.keep_session(digest_of(token), text, _IDLE_MS)
        return token, Session(name, account.account.scopes, now_ms, stored.ends_ms)

    async def identify(self, token: str) -> Identity:
        """Say whose session this is. The register must be fresh.

        Raises:
            Unauthenticated: none that is good.
            StoreUnavailable: the store cannot be asked.
        """
        if not is_token(token):
            raise Unauthenticated(NOT_GOOD)
        digest = digest_of(token)
        known = self._known.get(digest)
        if known is None or monotonic() - known.read_at > STALE_S:
            known = await self._read(digest, known)
        account = self._register.accounts.get(known.stored.account)
        if account is None or account.epoch < known.stored.epoch:
            await patiently(self._register.refresh())  # it began where more was known
            account = self._register.accounts.get(known.stored.account)
        if account is None or not self._is_good(known.stored, account):
            self._known.pop(digest, None)
            raise Unauthenticated(NOT_GOOD)
        return _identity(account, known.stored.ends_ms)

    async def end(self, token: str) -> str | None:
        """End a session; whose it was, None if nobody's. Safe to repeat."""
        if not is_token(token):
            return None
        digest = digest_of(token)
        self._known.pop(digest, None)
        text = await self._calls.read_session(digest)
        await self._calls.end_session(digest)
        return None if text is None else _decoded(text).account

    def _is_good(self, stored: _Stored, account: StoredAccount) -> bool:
        return (
            account.account.disabled_ms is None
            and account.epoch == stored.epoch
            and self._register.now_ms() < stored.ends_ms
        )

    async def _read(self, digest: str, known: _Known | None) -> _Known:
        """Read a session, and now and then note that it is used."""
        asked_at = monotonic()
        text = await self._calls.read_session(digest)
        if text is None:
            self._known.pop(digest, None)
            raise Unauthenticated(NOT_GOOD)
        renewed_at = 0.0 if known is None else known.renewed_at
        stored = _decoded(text)
        if asked_at - renewed_at > RENEW_S:
            renewed_at = asked_at
            left_ms = stored.ends_ms - self._register.now_ms()
            if left_ms <= 0 or not await self._calls.keep_session(
                digest, text, min(_IDLE_MS, left_ms), renew=True
            ):
                raise Unauthenticated(NOT_GOOD)
        found = _Known(stored, text, asked_at, renewed_at)
        self._known[digest] = found
        self._known.move_to_end(digest)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return found


def _decoded(text: bytes) -> _Stored:
    try:
        return msgspec.json.decode(text, type=_Stored)
    except msgspec.MsgspecError:
        raise Unauthenticated(NOT_GOOD) from None


def _identity(account: StoredAccount, ends_ms: int) -> Identity:
    name, scopes = account.account.name, all_scopes(account.account.scopes)
    return Identity(name, "account", scopes, analyst=name, expires_ms=ends_ms)
