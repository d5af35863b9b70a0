"""Keys and accounts as they are stored: what is listed, and what proves them.

A field of `Limits` that this program does not know makes the key useless to it, and not wider.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from periscope.access.words import Account, ApiKey
from periscope.errors import StoreDamaged

KEY, USED, ACCOUNT = "k:", "u:", "a:"

log = logging.getLogger("periscope")


class StoredKey(msgspec.Struct, frozen=True):
    """An API key and the SHA-256 of its secret, in hexadecimal."""

    key: ApiKey
    digest: str


class StoredAccount(msgspec.Struct, frozen=True):
    """An account and the argon2id hash of its password; None: it has none.

    `epoch` grows whenever sessions that began before are to end.
    """

    account: Account
    password: str | None
    epoch: int


S = TypeVar("S", StoredKey, StoredAccount)


def encode(one: StoredKey | StoredAccount) -> bytes:
    """Return what is stored."""
    return msgspec.json.encode(one)


def read_keys(fields: Mapping[str, bytes]) -> dict[str, StoredKey]:
    """Return the API keys by prefix; those that this program cannot read are none to it."""
    found = _read(fields, KEY, StoredKey)
    return {
        prefix: StoredKey(_with_use(one.key, fields.get(USED + prefix)), one.digest)
        for prefix, one in found.items()
        if one.key.prefix == prefix
    }


def read_accounts(fields: Mapping[str, bytes]) -> dict[str, StoredAccount]:
    """Return the accounts by name; those that this program cannot read are none to it."""
    found = _read(fields, ACCOUNT, StoredAccount)
    return {name: one for name, one in found.items() if one.account.name == name}


def check_number(value: Any) -> int:
    """Return a number that the store holds.

    Raises:
        StoreDamaged: it is none.
    """
    try:
        return int(value)
    except ValueError:
        raise StoreDamaged("a number about keys and accounts is none") from None


def _read(fields: Mapping[str, bytes], start: str, kind: type[S]) -> dict[str, S]:
    found = {}
    for field, value in fields.items():
        if not field.startswith(start):
            continue
        try:
            found[field.removeprefix(start)] = msgspec.json.decode(value, type=kind)
        except msgspec.MsgspecError:
            log.warning("a stored %s cannot be read by this program", kind.__name__)
    return found


def _with_use(key: ApiKey, used: bytes | None) -> ApiKey:
    if used is None:
        return key
    return msgspec.structs.replace(key, last_used_ms=check_number(used))
