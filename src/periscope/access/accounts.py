"""Accounts: what may be stored of one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from periscope.access.register import Edit, Register
from periscope.access.stored import ACCOUNT, StoredAccount, encode
from periscope.access.words import Account, Scope
from periscope.errors import AccessInvalid, AccessUnknown, Forbidden

MOST_ACCOUNTS = 5_000


def known_account(register: Register, name: str) -> StoredAccount:
    """Return an account by its name.

    Raises:
        AccessUnknown: there is none.
    """
    found = register.accounts.get(name)
    if found is None:
        raise AccessUnknown(f"no account {str(name)[:128]!r}")
    return found


def adding(register: Register, new: StoredAccount) -> dict[str, bytes]:
    """Return the fields to set for a new account.

    Raises:
        AccessInvalid: there is one of this name, or too many.
    """
    name = new.account.name
    if name in register.accounts:
        raise AccessInvalid(f"name: there is an account {name!r} already", field="name")
    if len(register.accounts) >= MOST_ACCOUNTS:
        raise AccessInvalid(f"name: {MOST_ACCOUNTS:,} accounts are the limit", field="name")
    return {ACCOUNT + name: encode(new)}


def changing(name: str, change: Callable[[StoredAccount], StoredAccount]) -> Edit:
    """Return the edit that changes an account; it raises AccessUnknown where there is none."""

    def edit(register: Register) -> Mapping[str, bytes]:
        before = known_account(register, name)
        after = change(before)
        return {} if after == before else {ACCOUNT + name: encode(after)}

    return edit


def with_password(hashed: str) -> Callable[[StoredAccount], StoredAccount]:
    """Return the change to another password, which ends all sessions."""

    def change(one: StoredAccount) -> StoredAccount:
        if one.account.issuer is not None:
            reason = f"password: {one.account.issuer} vouches for this account, no password does"
            raise AccessInvalid(reason, field="password")
        return StoredAccount(one.account, hashed, one.epoch + 1)

    return change


def with_hash(before: str, hashed: str) -> Callable[[StoredAccount], StoredAccount]:
    """Return the change to another hash of the same password, unless that was changed meanwhile."""
    return lambda one: replace(one, password=hashed) if one.password == before else one


def with_scopes(scopes: tuple[Scope, ...]) -> Callable[[StoredAccount], StoredAccount]:
    """Return the change to other scopes, which ends all sessions; the same change nothing."""

    def change(one: StoredAccount) -> StoredAccount:
        if one.account.scopes == scopes:
            return one
        return StoredAccount(replace(one.account, scopes=scopes), one.password, one.epoch + 1)

    return change


def with_end(disabled_ms: int | None) -> Callable[[StoredAccount], StoredAccount]:
    """Return the change that disables an account, or (None) lets it in again."""

    def change(one: StoredAccount) -> StoredAccount:
        if (one.account.disabled_ms is None) is (disabled_ms is None):
            return one
        account = replace(one.account, disabled_ms=disabled_ms)
        return StoredAccount(account, one.password, one.epoch + 1)

    return change


def vouched(name: str, issuer: str, scopes: tuple[Scope, ...], now_ms: int) -> Edit:
    """Return the edit that makes, or brings up to date, an account that an issuer vouches for.

    It raises Forbidden where the account is disabled, or is one that somebody else vouches for, or
    a password: no issuer takes over what it did not bring.
    """

    def edit(register: Register) -> Mapping[str, bytes]:
        there = register.accounts.get(name)
        if there is None:
            account = Account(name, scopes, now_ms, issuer, issuer)
            return adding(register, StoredAccount(account, None, 1))
        if there.account.disabled_ms is not None or there.account.issuer != issuer:
            raise Forbidden("this account cannot be used in this way; ask an administrator")
        after = with_scopes(scopes)(there)
        return {} if after == there else {ACCOUNT + name: encode(after)}

    return edit


def listed(accounts: Mapping[str, StoredAccount]) -> list[Account]:
    """Return the accounts as they are listed, by name."""
    return [accounts[name].account for name in sorted(accounts)]
