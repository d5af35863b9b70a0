"""Accounts and sessions: made, changed, begun, ended."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NoReturn

from periscope.access import accounts, checks
from periscope.access.accounts import changing, known_account
from periscope.access.passwords import can_be, checked_password
from periscope.access.register import Edit
from periscope.access.root import ITSELF, AccessRoot
from periscope.access.stored import StoredAccount, read_accounts
from periscope.access.tokens import digest_of
from periscope.access.words import Account, Identity, Scope, Session
from periscope.errors import AccessInvalid, LockedOut, StoreError, Unauthenticated

NOT_GOOD = "unknown name or wrong password"

log = logging.getLogger("periscope")


class AccountsDesk(AccessRoot):
    """What is done about accounts, and by whoever signs in."""

    async def create_account(
        self, name: str, password: str, scopes: Iterable[Scope | str], *, by: str
    ) -> Account:
        """Make an account that signs in with a password (12 to 1,024 characters).

        Raises:
            AccessInvalid: it cannot be; names the field.
        """
        await self._register.refresh()
        checks.checked_name(by, "by")
        account = Account(
            name=checks.checked_account(name),
            scopes=checks.checked_scopes(scopes),
            created_ms=self._register.now_ms(),
            created_by=by,
        )
        hashed = await self._passwords.hash(checked_password(password))
        stored = StoredAccount(account, hashed, 1)
        accounts.adding(self._register, stored)
        await self.remark(by, "create_account", name, {"scopes": " ".join(account.scopes)})
        await self._register.change(lambda register: accounts.adding(register, stored))
        return account

    async def accounts(self) -> list[Account]:
        """All accounts, by name."""
        return accounts.listed(read_accounts((await self._calls.read(-1)).fields))

    async def set_password(self, name: str, password: str, *, by: str) -> Account:
        """Give an account another password, which ends its sessions and its lock-out.

        Raises:
            AccessUnknown: there is none of this name.
            AccessInvalid: no password, or the account is of an OpenID provider.
        """
        await self._register.refresh()
        hashed = await self._passwords.hash(checked_password(password))
        change = accounts.with_password(hashed)
        change(known_account(self._register, name))
        await self.remark(checks.checked_name(by, "by"), "set_password", name)
        account = await self._change(name, changing(name, change))
        await self._calls.succeeded(digest_of(name))
        return account

    async def set_scopes(self, name: str, scopes: Iterable[Scope | str], *, by: str) -> Account:
        """Give an account other scopes, which ends its sessions. Safe to repeat.

        Raises:
            AccessUnknown: there is none of this name.
        """
        await self._register.refresh()
        wanted = checks.checked_scopes(scopes)
        known_account(self._register, name)
        told = {"scopes": " ".join(wanted)}
        await self.remark(checks.checked_name(by, "by"), "set_scopes", name, told)
        return await self._change(name, changing(name, accounts.with_scopes(wanted)))

    async def disable_account(self, name: str, *, by: str) -> Account:
        """Let an account in no more; its sessions end everywhere within a second. Repeatable.

        Raises:
            AccessUnknown: there is none of this name.
            AuditFull, Moving: it is disabled, and that is not on record yet: repeat it later.
        """
        checks.checked_name(by, "by")
        await self._register.refresh()
        change = accounts.with_end(self._register.now_ms())
        account = await self._change(name, changing(name, change))
        await self.remark(by, "disable_account", name)
        return account

    async def enable_account(self, name: str, *, by: str) -> Account:
        """Let an account in again. Safe to repeat.

        Raises:
            AccessUnknown: there is none of this name.
        """
        await self._register.refresh()
        known_account(self._register, name)
        await self.remark(checks.checked_name(by, "by"), "enable_account", name)
        return await self._change(name, changing(name, accounts.with_end(None)))

    async def _change(self, name: str, edit: Edit) -> Account:
        await self._register.change(edit)
        return known_account(self._register, name).account

    async def sign_in(self, name: str, password: str) -> tuple[str, Session]:
        """Begin a session: its token, for the browser alone, and what it is.

        After five failures in a row the name is locked out for a minute, then for twice as long
        each time, up to an hour: whether there is such an account or not, exactly, however many
        processes there are. Unknown names take as long as wrong passwords.

        Raises:
            Unauthenticated: no such account, or not its password.
            LockedOut: too many failures.
            RateLimited: too many sign-ins at once.
        """
        account = await self._proved(name, password)
        await self._rehash(account, password)
        return await self._begin(account)

    async def sign_in_nowhere(self, place: str, name: str, password: str) -> NoReturn:
        """Refuse a sign-in at a place that is not there, as one to an account that is not there.

        Raises:
            Unauthenticated, LockedOut, RateLimited: as `sign_in`, after the same time.
        """
        if not _is_name(name) or not can_be(password):
            raise Unauthenticated(NOT_GOOD)
        await self._attempt(f"{place}\0{name}", None, password)
        raise Unauthenticated(NOT_GOOD)

    async def change_password(self, name: str, old: str, new: str) -> Account:
        """Change one's own password, which ends all sessions; with the old one, as signing in.

        Raises:
            Unauthenticated, LockedOut, RateLimited: as `sign_in`.
            AccessInvalid: the new one is no password.
        """
        checked_password(new)
        await self._proved(name, old)
        return await self.set_password(name, new, by=name)

    async def _proved(self, name: str, password: str) -> StoredAccount:
        """Return the account whose password this is, however often it was wrong before.

        Raises:
            Unauthenticated, LockedOut, RateLimited: as `sign_in`.
        """
        if not _is_name(name) or not can_be(password):
            raise Unauthenticated(NOT_GOOD)
        await self._register.fresh()
        account = self._register.accounts.get(name)
        lock_ms = await self._attempt(name, account, password)
        if lock_ms is None and account is not None:
            return account
        if account is not None:
            self._remark_aside(ITSELF, "failed_sign_in", name)
            if lock_ms:
                await self._remark_gently(name, "lock_out", name, {"seconds": lock_ms // 1000})
        raise Unauthenticated(NOT_GOOD)

    async def _attempt(
        self, called: str, account: StoredAccount | None, password: str
    ) -> int | None:
        """Try a password: None if it is the one, else for how long the name is locked out now.

        Raises:
            LockedOut, RateLimited: it is not even tried.
        """
        may_try, lock_ms = await self._calls.attempt(digest_of(called))
        if not may_try:
            raise LockedOut("too many failed sign-ins; try again later", lock_ms / 1000)
        usable = account is not None and account.account.disabled_ms is None
        hashed = account.password if account is not None and usable else None
        if not await self._passwords.matches(hashed, password):
            return lock_ms
        await self._calls.succeeded(digest_of(called))
        return None

    async def sign_in_as(
        self, name: str, scopes: Iterable[Scope | str], *, issuer: str
    ) -> tuple[str, Session]:
        """Begin a session of somebody whom an OpenID provider vouches for.

        The account is made where there is none; other scopes than before end the sessions before.

        Raises:
            Forbidden: the account is disabled, or was not made by this issuer.
            AccessInvalid: no name, or no scopes.
        """
        await self._register.refresh()
        wanted = checks.checked_scopes(scopes)
        checks.checked_name(issuer, "issuer", 512)
        edit = accounts.vouched(
            checks.checked_account(name), issuer, wanted, self._register.now_ms()
        )
        if edit(self._register):
            told = {"scopes": " ".join(wanted), "issuer": issuer}
            await self.remark(ITSELF, "vouched_account", name, told)
            await self._register.change(edit)
        return await self._begin(known_account(self._register, name))

    async def identify_session(self, token: str) -> Identity:
        """Say whose session this is; a round trip at most every 0.9 s.

        Raises:
            Unauthenticated: none that is good.
            StoreUnavailable: nobody can be let in just now.
        """
        await self._register.fresh()
        return await self._sessions.identify(token)

    async def sign_out(self, token: str) -> None:
        """End a session, everywhere within a second. Safe to repeat; no session is none."""
        name = await self._sessions.end(token)
        if name is not None:
            await self._remark_gently(name, "sign_out", name)

    async def _begin(self, account: StoredAccount) -> tuple[str, Session]:
        token, session = await self._sessions.begin(account)
        await self._remark_gently(session.account, "sign_in", session.account)
        return token, session

    async def _rehash(self, account: StoredAccount, password: str) -> None:
        """Hash a password as passwords are hashed now; the sign-in does not depend on it."""
        before = account.password
        if before is None or not self._passwords.is_outdated(before):
            return
        change = accounts.with_hash(before, await self._passwords.hash(password))
        try:
            await self._register.change(changing(account.account.name, change))
        except StoreError as exc:
            log.warning("a password keeps its old hash: %s", exc)


def _is_name(name: object) -> bool:
    try:
        checks.checked_account(name)
    except AccessInvalid:
        return False
    return True
