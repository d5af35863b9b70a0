"""What an answer's status means for a feed: one line a person can act upon."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from multidict import CIMultiDictProxy

from periscope.errors import FeedError, FetchFailed

TAKEN = frozenset({200, 203, 204, 304})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_RETRY_AFTER_S = 86_400.0
TRANSIENT = frozenset({408, 421, 423, 425, 429})

MEANING = {
    400: "the request is not understood; check the URL",
    401: "credentials are missing or wrong; check those of the feed",
    403: "these credentials may not read it; ask who runs the server",
    404: "there is nothing at this URL; check it",
    406: "the server cannot answer in the form that is asked for; check the kind of feed",
    407: "a proxy stands in between and wants credentials; Periscope uses none",
    408: "the server was tired of waiting",
    410: "it is gone for good; remove the feed or change its URL",
    429: "too many requests",
}


class Answered(FeedError):
    """The server answered with an error that asking again will not cure."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class AnsweredLater(FetchFailed):
    """The server answered with an error that may pass."""

    def __init__(self, reason: str, status: int, retry_after_s: float | None) -> None:
        super().__init__(reason, retry_after_s)
        self.status = status


def refusal(where: str, status: int, headers: CIMultiDictProxy[str]) -> FeedError:
    """Return the error for an answer that is neither what was asked for nor a redirect."""
    if status >= 500 or status in TRANSIENT:
        wait = retry_after_s(headers.get("Retry-After"))
        meaning = MEANING.get(status, "the server failed")
        later = "" if wait is None else f"; to be asked again after {wait:,.0f} s"
        return AnsweredLater(f"{where}: answered {status}: {meaning}{later}", status, wait)
    meaning = MEANING.get(status, "that is no answer to a request for a feed")
    return Answered(f"{where}: answered {status}: {meaning}", status)


def retry_after_s(text: str | None) -> float | None:
    """Seconds that a `Retry-After` asks for, at most a day; None where it says nothing usable."""
    if text is None or len(text) > 64:
        return None
    number = text.strip()
    if number.isascii() and number.isdigit():
        return min(float(number), MAX_RETRY_AFTER_S)
    moment = http_date(text)
    if moment is None:
        return None
    wait = (moment - datetime.now(UTC)).total_seconds()
    return min(max(0.0, wait), MAX_RETRY_AFTER_S)


def http_date(text: str | None) -> datetime | None:
    """Return the time that a header states (as `Date` does), in UTC; None if it states none."""
    try:
        moment = parsedate_to_datetime(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
