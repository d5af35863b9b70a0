"""Signed bodies: whether a webhook is from somebody who knows the secret.

All of them are HMAC-SHA256 over the body as it was sent, before anything reads it. Which of several
secrets fits is not told, nor how near another came.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from hashlib import sha256
from hmac import compare_digest, digest
from time import time
from typing import Literal, NamedTuple

from litestar.datastructures import Headers

TOLERANCE_S = 300
MOST_SIGNATURES = 8
MOST_CHARACTERS = 1024
WHSEC = "whsec_"
_MOMENT = re.compile(r"\d{1,15}", re.ASCII)  # more digits are no time, and no float either


class Signature(NamedTuple):
    """How a webhook is signed: in which header, after which prefix, and written how."""

    header: str
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"


GITHUB = Signature("X-Hub-Signature-256", "sha256=")


def is_signed(
    how: Signature | None, secrets: Sequence[bytes], headers: Headers, body: bytes
) -> bool:
    """Say whether a body is signed with one of the secrets; `how` None: as a standard webhook.

    The digest is made whether or not there is a signature to compare it with, so that the time
    does not tell which kind of signature is looked for, or that none is.
    """
    content, given = _standard(headers, body) if how is None else _own(how, headers, body)
    good = [digest(secret, content, sha256) for secret in secrets]
    return sum(compare_digest(one, other) for one in good for other in given) > 0


def standard_secret(text: str) -> bytes:
    """Return the key that a secret of Standard Webhooks stands for.

    Raises:
        ValueError: it is none.
    """
    return b64decode(text.removeprefix(WHSEC), validate=True)


def _own(how: Signature, headers: Headers, body: bytes) -> tuple[bytes, list[bytes]]:
    """Return what is signed, and the signature, if there is one."""
    given = _one(headers, how.header)
    if given is None or not given.startswith(how.prefix):
        return body, []
    found = _read(given.removeprefix(how.prefix), how.encoding)
    return body, [] if found is None else [found]


def _standard(headers: Headers, body: bytes) -> tuple[bytes, list[bytes]]:
    """Return what https://www.standardwebhooks.com signs, and the signatures of a recent one.

    The id is signed and not remembered: whoever sends a delivery once more within the tolerance
    sends reports that are known, and what is known is a duplicate.
    """
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    delivery, moment, given = (_one(headers, name) for name in names)
    if delivery is None or moment is None or given is None:
        return body, []
    if not _MOMENT.fullmatch(moment) or abs(time() - int(moment)) > TOLERANCE_S:
        return body, []
    texts = [one.removeprefix("v1,") for one in given.split(" ") if one.startswith("v1,")]
    found = [one for text in texts[:MOST_SIGNATURES] if (one := _read(text, "base64")) is not None]
    return f"{delivery}.{moment}.".encode() + body, found


def _one(headers: Headers, name: str) -> str | None:
    """The header, if it is there once and no longer than it may be."""
    found = headers.getall(name, [])
    return found[0] if len(found) == 1 and len(found[0]) <= MOST_CHARACTERS else None


def _read(text: str, encoding: str) -> bytes | None:
    read: Callable[[str], bytes] = bytes.fromhex if encoding == "hex" else _base64
    try:
        return read(text)
    except (ValueError, binascii.Error):
        return None


def _base64(text: str) -> bytes:
    return b64decode(text, validate=True)
