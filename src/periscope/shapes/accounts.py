"""Accounts of people, as they are made, changed and listed."""

from __future__ import annotations

from typing import Annotated

import msgspec

from periscope.shapes.keys import ScopeWord, Word

Password = Annotated[str, msgspec.Meta(max_length=1024)]
Scopes = Annotated[list[ScopeWord], msgspec.Meta(min_length=1, max_length=4)]


class NewAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account to be made: its name is the analyst's id; the password has 12 to 1,024 characters.

    Whoever made it knows the password: the person should change it.
    """

    name: Word
    password: Password
    scopes: Scopes


class AccountPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another password; with the old one where somebody changes their own."""

    password: Password
    old_password: Password | None = None


class AccountScopes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an account may do from now on."""

    scopes: Scopes


class AccountDocument(msgspec.Struct, frozen=True):
    """An account as it is listed; `issuer` is null where a password vouches for it."""

    name: str
    scopes: list[ScopeWord]
    issuer: str | None
    created: str
    created_ms: int
    created_by: str
    disabled: str | None
    disabled_ms: int | None


class AccountList(msgspec.Struct, frozen=True):
    """All accounts, by name."""

    items: list[AccountDocument]
