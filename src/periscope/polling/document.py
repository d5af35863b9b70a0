"""What a source of documents gives, and what it may be told: the words of this room."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from periscope.errors import FeedError, FetchFailed, FetchRefused

__all__ = [
    "NOTHING",
    "Document",
    "FetchFailed",
    "FetchOptions",
    "FetchRefused",
    "Position",
    "Source",
]

Position = dict[str, Any]
"""How far a feed has come: JSON, at most 64 KiB, understood only by the source that gave it."""

NOTHING = hashlib.sha256().hexdigest()
"""The identity of a document without a byte."""
DEFAULT_TIMEOUT_S = 300.0
DEFAULT_MAX_BYTES = 1024 * 1024 * 1024
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}\Z")
HEADER_VALUE = re.compile(r"[ -~]{0,4096}\Z")
OURS = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-length", "host", "range", "te"),
        *("if-modified-since", "if-none-match", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""Headers that are not anybody else's to set: they say how a request is read and answered."""


@dataclass(frozen=True)
class Document:
    """One thing to read: a local, seekable, bounded file, whatever it was fetched from.

    A document without a byte has no reports: it only moves the position.
    """

    name: str
    """For messages: the URL without credentials or query, or the path."""
    file: BinaryIO
    """At its start; owned by the document. Who takes the document closes it."""
    identity: str
    """The same identity means the same bytes."""
    after: Position
    """The feed's position once all of this document is acknowledged."""
    format: str | None = None
    """Its format, where the source knows better than detection."""


class Source(Protocol):
    """Where a feed's documents come from; one instance for one run."""

    def documents(self, position: Position | None) -> AsyncIterator[Document]:
        """Give what is new since `position` (None: from the beginning), oldest first.

        Raises:
            FetchRefused: where it leads may not be asked; nothing was sent there.
            FetchFailed: fetching failed in a way that may pass. Documents given before stand.
            FeedError: it cannot be read (further); one line that says what, where, what to do.

        """
        ...


@dataclass(frozen=True)
class FetchOptions:
    """How a feed is fetched. Secrets are values here, and in no representation of it.

    `timeout_s` is for a whole answer, redirects included; silence is borne for 30 s of it at most.
    `max_bytes` bounds an answer as it travels. `allow` names the hosts, addresses and networks
    that are not public and are meant. `spool_dir` is where answers are kept while they are read
    (files without a name; None: the system's place). `ca_file` names the authorities to trust
    instead of the system's. `collections` (ids, aliases or titles; none: all that can be read) and
    `added_after` (RFC 3339: nothing older is asked for) concern TAXII only.

    Raises:
        FeedError: something that cannot be sent or does not fit together; never quotes a secret.

    """

    timeout_s: float = DEFAULT_TIMEOUT_S
    max_bytes: int = DEFAULT_MAX_BYTES
    allow: tuple[str, ...] = ()
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    spool_dir: Path | None = None
    ca_file: Path | None = None
    collections: tuple[str, ...] = ()
    added_after: str | None = None

    def __post_init__(self) -> None:
        if not (0 < self.timeout_s <= 86_400 and self.max_bytes > 0):
            raise FeedError("timeout_s must be above 0, a day at most, and max_bytes at least 1")
        if self.token is not None and self.username is not None:
            raise FeedError("give a username and password, or a token: not both")
        if self.password is not None and self.username is None:
            raise FeedError("a password needs a username")
        if ":" in (self.username or "") or not _is_text(f"{self.username}{self.password}"):
            raise FeedError("a username holds no colon, and it and the password are UTF-8")
        if self.token is not None and not HEADER_VALUE.match(self.token):
            raise FeedError("the token holds characters that cannot be sent, or is too long")
        for name, value in self.headers.items():
            _check_header(name, value, taken=self.has_login)

    @property
    def has_login(self) -> bool:
        """Is there a username or a token, so that requests carry an `Authorization`?"""
        return self.username is not None or self.token is not None

    @property
    def has_secrets(self) -> bool:
        """Is there anything that only the feed's own server may see?"""
        return self.has_login or bool(self.headers)


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def _check_header(name: str, value: str, *, taken: bool) -> None:
    if not HEADER_NAME.match(name):
        raise FeedError(f"headers: {name[:80]!r} is not the name of a header")
    if name.lower() in OURS or (taken and name.lower() == "authorization"):
        raise FeedError(f"headers: {name} is set by Periscope itself; leave it out")
    if not HEADER_VALUE.match(value):
        raise FeedError(f"headers: the value of {name} cannot be sent, or is too long")
