"""POST /v1/reports: reports in any form that is read here, answered with exact counts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from http import HTTPStatus
from typing import Annotated, Any, BinaryIO, cast

import msgspec
from litestar import Request, Response, post
from litestar.params import HeaderParameter, Parameter

from periscope.access import Scope
from periscope.api.answers import json_answer
from periscope.api.bodies import (
    Pipe,
    as_sent,
    check_length,
    encoding_of,
    parts,
    stated_length,
    unpacked,
    whole,
)
from periscope.api.forms import REPORTS, format_schema
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import Screen
from periscope.api.media import Media, media_of
from periscope.api.problems import RequestRefused
from periscope.api.strict_json import array_of, is_array, object_of
from periscope.api.strict_lines import FAILURES, lines_of, open_lines
from periscope.errors import ReportRejected
from periscope.feeds import Feed, ReadOptions, StreamReports, open_feed
from periscope.models import BatchResult, Report
from periscope.shapes import Rejected, ReportsTaken

AT_ONCE_BYTES = 4 * 1024 * 1024
"""A body up to this size is read in one go, where it is of Periscope's own fields."""
PACKED_AT_ONCE = AT_ONCE_BYTES // 16
REJECTIONS_TOLD = 1000
KEY_UNFIT = (
    "Idempotency-Key is for reports that are taken at once: NDJSON up to 4 MiB, with its length "
    "(packed: 256 KiB), or JSON; send such a body without it"
)
_lines = msgspec.json.Decoder(Report).decode_lines


FormatName = Annotated[
    str | None,
    Parameter(
        description="Format of the body: one of `periscope formats`, or `auto` to recognise it by "
        "its content. Default: by the media type."
    ),
]
SourceName = Annotated[
    str | None, Parameter(description="Source of all reports, in place of what they say.")
]
Token = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="The same body under the same key within ten minutes counts once, and is "
        "answered as it was then. Not for NDJSON over 4 MiB, and not for documents.",
        min_length=1,
        max_length=128,
    ),
]


@post(
    "/reports",
    opt={"scope": Scope.INGEST, "body": REPORTS, "schemas": {"format": format_schema}},
    status_code=200,
    tags=["reports"],
)
async def add_reports(
    request: Request[Any, Any, Any],
    format: FormatName = None,  # noqa: A002 - the name of the parameter
    source: SourceName = None,
    idempotency_key: Token = None,
) -> Response[ReportsTaken]:
    """Take in reports.

    One report as a JSON object, many as an array or as NDJSON of any length, or a document in any
    format of feeds; also packed with gzip or zstd. A bad report is rejected with its index and a
    reason; the others go in. What the answer counts was acknowledged by the store before. Sending
    the same again changes nothing but the duplicate counter, and with an `Idempotency-Key` not even
    that.
    """
    caller = caller_of(request)
    token = None if idempotency_key is None else f"{caller.who} {idempotency_key}"
    media, name = media_of(request, format)
    settings = request.app.state.tenants.settings
    screen = Screen(caller.identity.limits, source)
    timeout_s, most = settings.serve_body_timeout_s, settings.serve_max_body_mb << 20
    if media is Media.JSON:
        body = await whole(request, most, timeout_s)
        return await _take_at_once(caller, body, media, screen, token)
    coming = parts(request, timeout_s)
    if media is Media.NDJSON and _is_small(request):
        sent = await as_sent(request, AT_ONCE_BYTES, timeout_s)
        small = await _unpacked_if_small(sent, encoding_of(request))
        if small is not None:
            return await _take_at_once(caller, small, media, screen, token)
        coming = _again(sent)
    if token is not None:
        raise RequestRefused(422, "idempotency-key-unfit", KEY_UNFIT, field="Idempotency-Key")
    if media is Media.FEED:
        check_length(request, most)
    encoding_of(request)
    return await _take_stream(coming, caller, media, name, screen, most)


def _is_small(request: Request[Any, Any, Any]) -> bool:
    length, is_packed = stated_length(request), encoding_of(request) != "identity"
    return length is not None and length <= (PACKED_AT_ONCE if is_packed else AT_ONCE_BYTES)


async def _unpacked_if_small(sent: bytes, encoding: str) -> bytes | None:
    """Return a body that can be read in one go; None if it unpacks to more than that."""
    try:
        return await unpacked(sent, encoding, AT_ONCE_BYTES)
    except RequestRefused as exc:
        if exc.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise
        return None


async def _again(sent: bytes) -> AsyncIterator[bytes]:
    """Give a body that has come, as if it came only now."""
    yield sent


async def _take_at_once(
    caller: Caller, body: bytes, media: Media, screen: Screen, token: str | None
) -> Response[ReportsTaken]:
    if media is not Media.NDJSON and not is_array(body):
        return await _take_one(caller, object_of(body), screen, token)
    items = _of_lines(body) if media is Media.NDJSON else await array_of(body)
    result = await caller.periscope.add_threats_batch(screen.all(items), request_id=token)
    return answer_taken(result, media.value, {})


async def _take_one(
    caller: Caller, item: Any, screen: Screen, token: str | None
) -> Response[ReportsTaken]:
    """Take in a single object: here a rejection is an error, as nothing else was sent."""
    result = await caller.periscope.add_threats_batch(screen.all([item]), request_id=token)
    if result.rejected:
        reason = result.rejected[0].reason
        raise ReportRejected(reason, field=reason.partition(":")[0])
    return answer_taken(result, Media.JSON.value, {})


async def _take_stream(
    body: AsyncIterator[bytes],
    caller: Caller,
    media: Media,
    name: str | None,
    screen: Screen,
    most: int,
) -> Response[ReportsTaken]:
    """Take in a body while it comes: a thread reads it, as that may take long."""
    pipe = Pipe()
    options = ReadOptions(source=screen.source, max_bytes=most)

    def open_it() -> Feed:
        if media is Media.NDJSON:
            return open_lines(pipe)
        return open_feed(cast(BinaryIO, pipe), format=name, options=options, name="the body")

    filling = asyncio.create_task(pipe.fill(body))
    reports = StreamReports(open_it)
    try:
        feed = await reports.opened()
        assert feed is not None  # noqa: S101 - nobody stops it but we
        result = await caller.periscope.add_threats_batch(screen.each(reports))
    finally:
        reports.close()
        pipe.close()
        filling.cancel()
        with contextlib.suppress(asyncio.CancelledError, RequestRefused):
            await filling
    if isinstance(pipe.failure, RequestRefused):
        raise _cut_short(pipe.failure, result)
    if feed.failure is not None:
        refusal = RequestRefused(400, "body-unreadable", f"the body breaks off: {feed.failure}")
        raise _cut_short(refusal, result)
    return answer_taken(result, feed.format, dict(feed.skipped))


def _cut_short(cause: RequestRefused, result: BatchResult) -> RequestRefused:
    """Return the refusal of a body that was not whole: who sent it must not take it for done."""
    detail = (
        f"{cause}; of what came before, {result.committed:,} were stored. Sending all of it again "
        "is safe."
    )
    return RequestRefused(cause.status, cause.kind, detail)


def answer_taken(
    result: BatchResult, format_name: str, skipped: dict[str, int]
) -> Response[ReportsTaken]:
    """Answer what became of a batch."""
    told = [Rejected(*one) for one in result.rejected[:REJECTIONS_TOLD]]
    taken = ReportsTaken(
        result.received,
        result.added,
        result.sightings,
        result.duplicates,
        result.suppressed,
        result.rejected_count,
        told,
        format_name,
        skipped,
    )
    return json_answer(taken)  # type: ignore[no-any-return]


def _of_lines(body: bytes) -> Iterable[Any]:
    try:
        return _lines(body)
    except FAILURES:
        return lines_of(body)


ROUTES: tuple[Any, ...] = (add_reports,)
