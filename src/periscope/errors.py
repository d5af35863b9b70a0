"""Everything that Periscope raises, in one tree.

    PeriscopeError                  anything below
    ├── UsageError                  the caller asked for something that cannot be
    │   ├── ReportRejected          one report broke a rule; names the field
    │   ├── CursorInvalid           the cursor is not one of ours, or is for another query
    │   ├── CursorStale             the cursor was right once; start the walk again
    │   └── SettingInvalid          an option, variable or URL that cannot be used
    ├── StoreError                  the server
    │   ├── StoreUnavailable        cannot be reached, or went away
    │   ├── StoreUnsuitable         reached, and cannot be used as it is set up
    │   ├── StoreFull               out of memory or disk; the write was refused whole
    │   ├── StoreDamaged            its files or keys are not as Periscope left them
    │   └── LibraryMismatch         its function library is not one this program can use
    ├── BatchInterrupted            a batch ended early; says what was committed
    ├── FeedError                   a feed cannot be read (further)
    └── BugError                    Periscope broke its own contract; please report

Each class knows the exit code of the command line and the status of the HTTP API. The message is
one line that a person can act upon; what a program needs stands in attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from periscope.models import BatchResult


class PeriscopeError(Exception):
    """The root: catch this to catch whatever Periscope raises."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500


class UsageError(PeriscopeError):
    """The call itself cannot be carried out as given; repeating it will not help."""

    exit_code = 2
    http_status = 400


class ReportRejected(UsageError):
    """A single report broke a rule and was not stored; `field` names the offender."""

    http_status = 422

    def __init__(self, reason: str, *, field: str) -> None:
        super().__init__(reason)
        self.field = field


class CursorInvalid(UsageError):
    """The cursor is malformed, altered, or belongs to another query or database."""


class CursorStale(UsageError):
    """The cursor no longer fits (the policy or the partitions changed); start again without it."""

    http_status = 410


class SettingInvalid(UsageError):
    """A setting, environment variable or URL has a name or value that cannot be used."""


class StoreError(PeriscopeError):
    """The server that holds the threats failed, refused, or is not fit for use."""

    http_status = 503


class StoreUnavailable(StoreError):
    """The server cannot be reached or did not answer in time."""


class StoreUnsuitable(StoreError):
    """The server answers, but its version, password, role or settings rule it out."""


class StoreFull(StoreError):
    """The server or its disk is full: the write was refused whole, reads go on."""

    http_status = 507


class StoreDamaged(StoreError):
    """Files or keys of the store are not as Periscope left them; nothing was changed."""

    http_status = 500


class LibraryMismatch(StoreError):
    """The server's function library is missing, older, newer or different, and stays so."""


class BatchInterrupted(PeriscopeError):
    """A batch ended before its input did; every report is accounted for.

    `result` counts what the server acknowledged and what validation rejected; `refused` are the
    reports that the server certainly did not store; `unknown` those that were sent and never
    answered: repeating them is safe. `__cause__` is what happened.
    """

    http_status = 503

    def __init__(
        self, result: BatchResult, *, refused: int, unknown: int, cause: Exception
    ) -> None:
        super().__init__(
            f"{cause} ({result.committed:,} committed, {result.rejected_count:,} rejected, "
            f"{refused:,} refused, {unknown:,} unknown; sending the same reports again is safe)"
        )
        self.result = result
        self.refused = refused
        self.unknown = unknown


class FeedError(PeriscopeError):
    """A feed cannot be opened, recognised or read further; names the place and the reason."""

    http_status = 422


class BugError(PeriscopeError):
    """An internal contract was broken (an unknown word in a reply, say); please report it."""
