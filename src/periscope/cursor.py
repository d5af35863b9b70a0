"""Page cursors: opaque, versioned, bounded, and of no use to anyone who alters one.

A cursor carries evaluation time, position, query and policy revision, so the ranking that it walks
stands still. Its tag is keyed with the database's secret: a cursor that was altered, cut, or comes
from another database is told from ours before anything in it is believed. The rest is masked with
what only that secret and the tag give: a walk may stand at a threat that its walker may not see.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import blake2b, shake_256
from hmac import compare_digest
from typing import Any

import msgspec

from periscope.errors import CursorInvalid, CursorStale

VERSION = 3
MAX_CURSOR_CHARACTERS = 2048
_TAG_BYTES = 12


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a walk stands: under which policy, as of when, over what, and after what."""

    version: int
    policy_revision: int
    as_of_ms: int
    query: tuple[Any, ...]
    position: tuple[Any, ...]


def encode(cursor: Cursor, secret: bytes) -> str:
    """Return the cursor as text that goes into a URL unquoted."""
    body = msgspec.msgpack.encode(cursor)
    tag = _tag(body, secret)
    return _as_text(tag + _masked(body, tag, secret))


def _as_text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str, secret: bytes, *, query: tuple[Any, ...]) -> Cursor:
    """Return the cursor, checked against the query it is used for.

    Raises:
        CursorInvalid: not one of ours, or of another query.
        CursorStale: from another version of this program.
    """
    cursor = _verified(text, secret)
    if cursor.query != query:
        raise CursorInvalid("this cursor belongs to another query; use it with its own")
    return cursor


def rebound(text: str, secret: bytes, *, query: tuple[Any, ...], other: tuple[Any, ...]) -> str:
    """Return the cursor of `query` as one of `other`, which stands at the same place.

    Raises:
        CursorInvalid, CursorStale: as `decode`.
    """
    walk = decode(text, secret, query=query)
    return encode(msgspec.structs.replace(walk, query=other), secret)


def _verified(text: str, secret: bytes) -> Cursor:
    if not isinstance(text, str) or not 0 < len(text) <= MAX_CURSOR_CHARACTERS:
        raise CursorInvalid(_NOT_OURS)
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (Base64Error, ValueError):
        raise CursorInvalid(_NOT_OURS) from None
    if _as_text(raw) != text:
        raise CursorInvalid(_NOT_OURS)
    tag = raw[:_TAG_BYTES]
    body = _masked(raw[_TAG_BYTES:], tag, secret)
    if not compare_digest(tag, _tag(body, secret)):
        raise CursorInvalid(_NOT_OURS)
    try:
        return msgspec.msgpack.decode(body, type=Cursor)
    except msgspec.DecodeError:
        raise CursorStale("this cursor is from another version; start again without it") from None


_NOT_OURS = "this is not a cursor of this database; pass next_cursor of the page before, unchanged"


def _masked(body: bytes, tag: bytes, secret: bytes) -> bytes:
    """Mask a body, or take the mask off: no two bodies have the same tag, and so the same mask."""
    mask = shake_256(b"periscope cursor" + secret + tag).digest(len(body))
    return bytes(one ^ other for one, other in zip(body, mask, strict=True))


def _tag(body: bytes, secret: bytes) -> bytes:
    return blake2b(bytes((VERSION,)) + body, key=secret, digest_size=_TAG_BYTES).digest()
