"""Everything that Periscope raises, in one tree.

    PeriscopeError                  anything below
    ├── UsageError                  the caller asked for something that cannot be
    │   ├── ReportRejected          one report broke a rule; names the field
    │   ├── CursorInvalid           the cursor is not one of ours, or is for another query
    │   ├── CursorStale             the cursor was right once; start the walk again
    │   ├── EventsLost              events since there are no longer kept; read the state anew
    │   ├── SettingInvalid          an option, variable or URL that cannot be used
    │   ├── FeedUnknown             there is no feed of that name
    │   ├── FeedBusy                the feed is paused, or somebody runs it just now
    │   ├── ActInvalid              what an analyst asks for breaks a rule; names the field
    │   ├── NoiseInvalid            a suppression rule or warninglist that cannot be used
    │   ├── NoiseUnknown            there is no such suppression rule or warninglist
    │   └── ActRefused              an analyst's act does not fit the threat as it stands
    │       ├── ThreatUnknown       there is no such threat
    │       ├── Claimed             somebody else holds the threat
    │       ├── ClaimLost           the claim has ended, or is another one
    │       ├── TooLate             the act can no longer be taken back
    │       ├── NotLast             the act is not the analyst's last one on that threat
    │       ├── RequestReused       the request id belongs to another act
    │       ├── SnoozeEnd           a snooze cannot end then: past, or over ten years ahead
    │       ├── ThreatClosed        it has an outcome, which only reopening withdraws
    │       └── NotRemoved          the id is not one that was removed
    ├── StoreError                  the server
    │   ├── StoreUnavailable        cannot be reached, or went away
    │   │   ├── OutcomeUnknown      sent and not answered, or not by enough replicas: repeat it
    │   │   └── PartitionsMissing   what concerns several partitions could not reach some
    │   ├── StoreUnsuitable         reached, and cannot be used as it is set up
    │   ├── StoreFull               out of memory or disk; the write was refused whole
    │   ├── AuditFull               the audit trail is at its limit until it is archived
    │   ├── Moving                  being repartitioned or rebuilt, or was: open it again
    │   ├── StoreDamaged            its files or keys are not as Periscope left them
    │   └── LibraryMismatch         its function library is not one this program can use
    ├── BatchInterrupted            a batch ended early; says what was committed
    ├── AccessError                 who may do what
    │   ├── Unauthenticated         an API key, session or password that is not good (any more)
    │   ├── Forbidden               known, and not allowed to do that
    │   ├── RateLimited             faster than the API key may be; says when to try again
    │   │   └── LockedOut           too many failed sign-ins; says how long it lasts
    │   ├── AccessUnknown           there is no such API key or account
    │   └── AccessInvalid           a key or account cannot be made so; names the field
    ├── FeedError                   a feed cannot be read (further)
    │   ├── FetchFailed             what it is fetched from failed; it may work later
    │   └── FetchRefused            its URL leads to where no feed may lead
    ├── MoveError                   a repartition or rebuild cannot be begun, or not go on
    ├── IndexUnavailable            the read index is being built, or cannot be
    ├── BackupError                 a backup cannot be taken, read or restored
    ├── ArchiveError                the archive cannot be read or written
    │   └── ArchiveMismatch         this archive is not the one of this database
    └── BugError                    Periscope broke its own contract; please report

Each knows its exit code and HTTP status; a message is one line to act upon, attributes tell more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from periscope.error_root import OfField as _OfField
from periscope.error_root import PeriscopeError as PeriscopeError

if TYPE_CHECKING:
    from periscope.models import BatchResult
    from periscope.work import InteractionsResult


class UsageError(PeriscopeError):
    """The call itself cannot be carried out as given; repeating it will not help."""

    exit_code = 2
    http_status = 422


class ReportRejected(_OfField, UsageError):
    """A single report broke a rule and was not stored; `field` names the offender."""


class CursorInvalid(UsageError):
    """The cursor is malformed, altered, or belongs to another query or database."""


class CursorStale(UsageError):
    """The cursor no longer fits (the policy or the partitions changed); start again without it."""

    http_status = 410


class EventsLost(UsageError):
    """Events since that position are no longer kept; read the state anew, then the events."""

    http_status = 410


class SettingInvalid(UsageError):
    """A setting, environment variable or URL has a name or value that cannot be used."""


class FeedUnknown(UsageError):
    """There is no feed of that name that is polled."""

    exit_code = 1
    http_status = 404


class FeedBusy(UsageError):
    """The feed cannot be run just now: it is paused, or somebody else runs it."""

    exit_code = 1
    http_status = 409


class ActInvalid(_OfField, UsageError):
    """What an analyst asks for breaks a rule and was not done; `field` names the offender."""


class NoiseInvalid(UsageError):
    """A suppression rule or warninglist cannot be used as it is; says what is wrong, and where."""


class NoiseUnknown(UsageError):
    """There is no suppression rule of this id, or no warninglist of this name."""

    exit_code = 1
    http_status = 404


class ActRefused(UsageError):
    """An analyst's act does not fit the threat as it stands; nothing was done or counted."""

    exit_code = 1
    http_status = 409
    code: ClassVar[str] = "REFUSED"


class ThreatUnknown(ActRefused):
    """There is no threat of this id in any level."""

    http_status = 404
    code = "UNKNOWN"


class Claimed(ActRefused):
    """Somebody else holds the threat: wait, ask them, or take it over."""

    code = "CLAIMED"


class ClaimLost(ActRefused):
    """The claim has ended, was taken over, or its token is not the current one."""

    code = "NOT_HELD"


class TooLate(ActRefused):
    """The act can no longer be taken back: ten minutes passed, or the threat moved on."""

    code = "TOO_LATE"


class NotLast(ActRefused):
    """The act is not this analyst's last one on that threat, or is of a kind that stays."""

    code = "NOT_LAST"


class RequestReused(ActRefused):
    """The interaction or request id was used before, for another act."""

    code = "CONFLICT"


class SnoozeEnd(ActRefused):
    """A snooze cannot end then: that moment is past, or more than ten years ahead."""

    http_status = 422
    code = "BAD_END"


class ThreatClosed(ActRefused):
    """The threat is closed by an outcome, which only reopening it withdraws."""

    code = "CLOSED"


class NotRemoved(ActRefused):
    """The id is not one that was removed, so there is nothing to allow again."""

    http_status = 404
    code = "NOT_REMOVED"


class StoreError(PeriscopeError):
    """The server that holds the threats failed, refused, or is not fit for use."""

    http_status = 503


class StoreUnavailable(StoreError):
    """The server cannot be reached or did not answer in time; of a change: it was not made."""


class OutcomeUnknown(StoreUnavailable):
    """A change was sent and may be stored: no answer came, or too few replicas have it.

    Repeating it is safe, whatever the call: what was stored is recognised.
    """


class PartitionsMissing(StoreUnavailable):
    """A read of several partitions, or work on all of them, could not reach some.

    What the others answered, or what was done in them, is in `partial` (None: nothing). `missing`
    are the numbers of the partitions that did not answer; `__cause__` is why.
    """

    def __init__(self, reason: str, *, missing: tuple[int, ...], partial: Any = None) -> None:
        super().__init__(reason)
        self.missing = missing
        self.partial = partial

    def having(self, partial: Any) -> PartitionsMissing:
        """The same error with another account of what could be reached; None if nothing could."""
        return PartitionsMissing(str(self), missing=self.missing, partial=partial)


class StoreUnsuitable(StoreError):
    """The server answers, but its version, password, role or settings rule it out."""


class StoreFull(StoreError):
    """The server or its disk is full: the write was refused whole, reads go on."""

    http_status = 507


class AuditFull(StoreError):
    """The audit trail is at its byte limit: analysts' acts wait until it has been archived."""

    http_status = 507


class Moving(StoreError):
    """The database is being repartitioned or rebuilt; or it was, and is to be opened again."""


class StoreDamaged(StoreError):
    """Files or keys of the store are not as Periscope left them; nothing was changed."""

    http_status = 500


class LibraryMismatch(StoreError):
    """The server's function library is missing, older, newer or different, and stays so."""


class BatchInterrupted(PeriscopeError):
    """A batch ended before its input did; every report is accounted for.

    `result` (a `BatchResult`, or an `InteractionsResult`) counts what the server acknowledged and
    what validation rejected; `refused` are those that the server certainly did not store; `unknown`
    those that were sent and never answered: repeating them is safe. `__cause__` is what happened.
    """

    http_status = 503

    def __init__(
        self,
        result: BatchResult | InteractionsResult,
        *,
        refused: int,
        unknown: int,
        cause: Exception,
    ) -> None:
        super().__init__(
            f"{cause} ({result.committed:,} committed, {result.rejected_count:,} rejected, "
            f"{refused:,} refused, {unknown:,} unknown; sending the same again is safe)"
        )
        self.result: Any = result  # of reports or of interactions, as the batch was
        self.refused = refused
        self.unknown = unknown


class AccessError(PeriscopeError):
    """Who may do what; `retry_after_s` is for those that waiting helps against, else 0."""

    http_status = 403

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Unauthenticated(AccessError):
    """An API key, session or password is not good, or not any more. Why is never said."""

    http_status = 401


class Forbidden(AccessError):
    """Whoever asks is known, and is not allowed to do that."""


class RateLimited(AccessError):
    """Faster than allowed: nothing was done; in `retry_after_s` seconds it may be tried again."""

    http_status = 429


class LockedOut(RateLimited):
    """Too many sign-ins failed for this name: none is tried for `retry_after_s` seconds."""


class AccessUnknown(AccessError):
    """There is no API key of this prefix, or no account of this name."""

    http_status = 404


class AccessInvalid(_OfField, AccessError):
    """An API key or account cannot be made so; `field` names the offender."""

    exit_code = 2
    http_status = 422


class FeedError(PeriscopeError):
    """A feed cannot be opened, recognised or read further; names the place and the reason."""

    http_status = 422


class FetchFailed(FeedError):
    """A feed could not be fetched (further), for a reason that may pass: ask again later.

    `retry_after_s`: the pause that the server asked for, at most a day; None without one.
    """

    http_status = 503

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class FetchRefused(FeedError):
    """A URL, or a redirect, leads to where no feed may lead: nothing was sent there."""


class MoveError(PeriscopeError):
    """A repartition or rebuild cannot be begun, or its copy is not as it must be; says which."""

    http_status = 503


class IndexUnavailable(PeriscopeError):
    """The read index cannot answer now: it is being built, or it failed; all else goes on.

    `retry_after_s`: when to ask again.
    """

    http_status = 503

    def __init__(self, reason: str, retry_after_s: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class BackupError(PeriscopeError):
    """A backup cannot be taken, read or restored; names the file or the place, and the reason."""

    http_status = 503


class ArchiveError(PeriscopeError):
    """The archive cannot be opened, read or written; names the place and the reason."""

    http_status = 503


class ArchiveMismatch(ArchiveError):
    """The archive is not the one that the database keeps its departed threats in."""


class BugError(PeriscopeError):
    """An internal contract was broken (an unknown word in a reply, say); please report it."""
