"""What a source gives to the runner, and what it is told: one small interface for all kinds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from periscope.errors import FeedError

Position = dict[str, Any]
"""How far a feed has come, as JSON of at most 64 KiB; what it holds is the source's own affair."""


class FetchFailed(FeedError):
    """Fetching failed in a way that may be over soon; `retry_after_s` is what the server asked."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Document:
    """One thing to read: a local, seekable, bounded file, whatever it was fetched from.

    `name` is for messages: a path, or a URL without credentials and query. The runner closes
    `file`. The same `identity` means the same bytes, or more of them. `after` is the feed's
    position once all of this document is acknowledged. `format` is given where the source knows
    better than detection.
    """

    name: str
    file: BinaryIO
    identity: str
    after: Position
    format: str | None = None


class Source(Protocol):
    """Where a feed's documents come from; one instance for one run."""

    def documents(self, position: Position | None) -> AsyncIterator[Document]:
        """Documents that come after the position, in order; None is the very beginning.

        Raises:
            FeedError: fetching failed; one line: what, where, what to do. Documents given before
                stand. FetchFailed where trying again later may help.
        """
        ...


@dataclass(frozen=True, repr=False)
class FetchOptions:
    """How to fetch; secrets are here as values, so it is never shown."""

    timeout_s: float = 60.0
    max_bytes: int = 1024 * 1024 * 1024
    allow: tuple[str, ...] = ()
    username: str | None = None
    password: str | None = None
    token: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    spool_dir: Path | None = None
    collections: tuple[str, ...] = ()
    added_after: str | None = None
