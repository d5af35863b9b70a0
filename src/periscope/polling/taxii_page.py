"""One page of a TAXII collection: what its envelope says, and how many objects are really in it.

https://docs.oasis-open.org/cti/taxii/v2.1/. The page is looked at while it streams from its file:
it may hold a whole collection, and an object in it may be one that nobody can decode.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, BinaryIO, NamedTuple

import xxhash

from periscope.errors import FeedError, FetchFailed
from periscope.feeds.inputs import Input
from periscope.feeds.json_split import Piece, decode, split_json
from periscope.feeds.options import MAX_BYTES, MAX_RECORD_BYTES
from periscope.polling.answers import http_date
from periscope.polling.fetch import Fetched

FIRST = "X-TAXII-Date-Added-First"
LAST = "X-TAXII-Date-Added-Last"
MAX_NEXT_CHARS = 4_000
MODULUS = 1 << 128
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Page(NamedTuple):
    """What a page says and holds: so many objects, and a digest of them in whatever order.

    No time in it is later than now (a clock that goes wrong must not hide what comes next year), or
    before 1970 (so that it can be reckoned with).
    """

    more: bool
    next: str | None
    objects: int
    digest: int
    first: datetime | None
    last: datetime | None
    date: datetime | None


def read_page(found: Fetched) -> Page:
    """Look through a page; its file is at the start again afterwards.

    Raises:
        FetchFailed: it is not whole, or no JSON.
        FeedError: it is JSON and no envelope of TAXII 2.1.

    """
    if not found.size:
        raise FetchFailed(f"{found.name}: an empty page, which is no envelope of TAXII 2.1")
    try:
        envelope, count, digest = _looked_through(found.file)
    except _NoEnvelope:
        raise FeedError(f"{found.name}: no envelope of TAXII 2.1; check the URL") from None
    except FeedError:
        raise FetchFailed(f"{found.name}: the page is not whole, or not JSON at all") from None
    found.file.seek(0)
    headers = found.headers
    return Page(
        envelope.get("more") is True,
        _next(envelope.get("next")),
        count,
        digest,
        _past(moment(headers.get(FIRST))),
        _past(moment(headers.get(LAST))),
        _past(http_date(headers.get("Date"))),
    )


class _NoEnvelope(FeedError):
    pass


def _looked_through(file: BinaryIO) -> tuple[dict[str, Any], int, int]:
    source = Input.open(file, max_bytes=MAX_BYTES)
    digest = count = 0
    last: Piece | None = None
    for piece in split_json(source.chunks(), MAX_RECORD_BYTES, (b"objects",)):
        if last is not None:
            if last.envelope:
                raise _NoEnvelope("something follows it")
            count += 1
            digest = (digest + xxhash.xxh3_128_intdigest(last.raw)) % MODULUS
        last = piece
    return _envelope(last, count), count, digest


def _envelope(last: Piece | None, count: int) -> dict[str, Any]:
    """Return the envelope, which is the last thing that the splitter gives.

    One without an array of objects looks like a record: then it must be the only one.
    """
    found = decode(last) if last and last.problem is None else None
    if not isinstance(found, dict) or last is None:
        raise _NoEnvelope("no object")
    if last.envelope or not found:
        return found
    known = found.keys() & {"more", "next", "objects"}
    if count or not known or isinstance(found.get("objects"), list):
        raise _NoEnvelope("another object")
    return found


def _next(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    fit = isinstance(value, str) and 0 < len(value) <= MAX_NEXT_CHARS
    return value if fit and isinstance(value, str) else None


def _past(time: datetime | None) -> datetime | None:
    return None if time is None else min(max(time, EPOCH), datetime.now(UTC))


def moment(text: str | None) -> datetime | None:
    """Return the time that a timestamp states, from 1970 on; None where it states none."""
    try:
        found = datetime.fromisoformat((text or "").strip())
        return max(found if found.tzinfo else found.replace(tzinfo=UTC), EPOCH).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def stamp(time: datetime) -> str:
    """Write a time as TAXII does, to the microsecond."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
