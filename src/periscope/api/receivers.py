"""POST /v1/ingest/{feed}: webhooks, each with secrets of its own.

A body is read whole and its signature checked before anything looks into it. What then cannot be
read is kept as a dead letter, as of feeds that are polled.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections import Counter
from secrets import token_bytes
from time import monotonic
from typing import Annotated, Any, NamedTuple

from litestar import Request, Response, post
from litestar.params import Parameter

from periscope.api.bodies import check_length, encoding_of, parts, too_large, unpacked
from periscope.api.forms import WEBHOOK
from periscope.api.problems import RequestRefused
from periscope.api.receiver_settings import Receiver
from periscope.api.reports import answer_taken
from periscope.api.signatures import GITHUB, is_signed
from periscope.api.tenants import Tenant, Tenants
from periscope.errors import FeedError, RateLimited, Unauthenticated
from periscope.feeds import ReadOptions, open_feed
from periscope.feeds.problems import EXCERPT_BYTES
from periscope.models import BatchResult, Rejection, Unreadable
from periscope.polling import DeadLetters, Letter
from periscope.polling.deadletters import letter
from periscope.polling.run import problem_of
from periscope.shapes import ReportsTaken

MAX_BODY_BYTES = 25 * 1024 * 1024
"""Of a webhook as it is sent: what the largest senders allow themselves."""
UNPROVEN_BYTES = 128 * 1024 * 1024
"""Of all bodies whose sender is not known yet."""
BUSY_S = 2.0
NOBODY = Receiver("", "", None, None, GITHUB, (token_bytes(32),))
"""Stands for receivers that are not there, so that their answer and its time are the same."""

log = logging.getLogger("periscope.api")


class Parsed(NamedTuple):
    """What stands in a body."""

    items: list[Any]
    format: str
    skipped: Counter[str]


class Unproven:
    """How many bytes are held of bodies whose sender is not known yet."""

    def __init__(self, most: int = UNPROVEN_BYTES) -> None:
        self._most = most
        self._held = 0

    def take(self, size: int) -> None:
        """Hold some bytes more.

        Raises:
            RateLimited: there is no room.
        """
        if self._held + size > self._most:
            raise RateLimited("too many webhooks at once; send it again in a moment", BUSY_S)
        self._held += size

    def give(self, size: int) -> None:
        """Hold so many bytes no more."""
        self._held -= size


@post(
    "/ingest/{feed:str}",
    opt={"body": WEBHOOK, "problems": (401, 429, 503, 507)},
    status_code=200,
    tags=["reports"],
    security=[],
)
async def receive(
    request: Request[Any, Any, Any],
    feed: Annotated[str, Parameter(description="The receiver's name in periscope.toml.")],
) -> Response[ReportsTaken]:
    """Take in a signed webhook.

    How it is signed, and what it holds, stands under `[receivers.NAME]` in periscope.toml. A
    receiver that is not there is answered as a signature that is not good. What cannot be read is
    counted as rejected, and kept as a dead letter. The same delivery again changes nothing but the
    duplicate counter.
    """
    tenants: Tenants = request.app.state.tenants
    receiver = tenants.receivers.get(feed, NOBODY)
    encoding, timeout_s = encoding_of(request), tenants.settings.serve_body_timeout_s
    most = min(MAX_BODY_BYTES, tenants.settings.serve_max_body_mb << 20)
    body = await _proven(request, receiver, most, timeout_s)
    tenant = next(one for one in tenants.all if one.name == receiver.namespace)
    if receiver.how is GITHUB and request.headers.get("x-github-event") == "ping":
        return answer_taken(BatchResult(), receiver.format or "auto", {})
    body = await unpacked(body, encoding, tenants.settings.serve_max_body_mb << 20)
    return await _take(tenant, receiver, body)


async def _proven(
    request: Request[Any, Any, Any], receiver: Receiver, most: int, timeout_s: float
) -> bytes:
    """Return the body, whole and as it was sent, once its sender is known.

    Raises:
        Unauthenticated: it is not signed as it must be, or there is no such receiver.
        RequestRefused, RateLimited: it is too large, or comes with too many others.
    """
    check_length(request, most)
    unproven: Unproven = request.app.state.unproven
    found: list[bytes] = []
    size, ends_at = 0, monotonic() + timeout_s
    try:
        # In time as a whole: bodies that trickle would take the room of all others, for nothing.
        async for part in parts(request, timeout_s, ends_at):
            unproven.take(len(part))
            size += len(part)
            if size > most:
                raise too_large(most)
            found.append(part)
        body = b"".join(found)
        args = (receiver.how, receiver.secrets, request.headers, body)
        if await asyncio.to_thread(is_signed, *args) and receiver is not NOBODY:
            return body
    finally:
        unproven.give(size)
    if receiver is not NOBODY:
        log.warning("a webhook for receiver %s is not signed as it must be", receiver.name)
    raise Unauthenticated("no such receiver, or not signed as it must be")


async def _take(tenant: Tenant, receiver: Receiver, body: bytes) -> Response[ReportsTaken]:
    """Take in what a body holds; what of it cannot be used is on disk before it is answered."""
    parsed = await asyncio.to_thread(_parsed, receiver, body)
    found: list[Letter] = []

    def rejected(rejection: Rejection, item: Any) -> None:
        own = parsed.format if isinstance(item, Unreadable) else "ndjson"
        problem = problem_of(rejection, item)
        found.append(letter(receiver.name, "webhook", problem, format=own))

    result = await tenant.periscope.add_threats_batch(parsed.items, rejected=rejected)
    if found:
        letters = DeadLetters(tenant.periscope.settings.dead_letters_path)
        try:
            await asyncio.to_thread(letters.add, receiver.name, found)
        except FeedError as exc:
            log.error("receiver %s: %s", receiver.name, exc)
            raise RequestRefused(
                503,
                "letters-not-kept",
                "what cannot be read could not be kept; all else is stored. Send it again",
                retry_after_s=60,
            ) from None
    return answer_taken(result, parsed.format, dict(parsed.skipped))


def _parsed(receiver: Receiver, body: bytes) -> Parsed:
    """Return what stands in a body; where nothing can be read, all of it as one bad record."""
    options = ReadOptions(source=receiver.source, max_bytes=max(1, len(body)))
    name = f"webhook {receiver.name}"
    try:
        with open_feed(
            io.BytesIO(body), format=receiver.format, options=options, name=name
        ) as feed:
            items = list(feed)
            return Parsed([_with_place(one, body) for one in items], feed.format, feed.skipped)
    except FeedError as exc:
        whole = Unreadable(str(exc), None, None, body[:EXCERPT_BYTES])
        return Parsed([whole], receiver.format or "auto", Counter())


def _with_place(item: Any, body: bytes) -> Any:
    """Return a record that cannot be read with the body, where the record itself was not kept."""
    if isinstance(item, Unreadable) and item.excerpt is None:
        return item._replace(excerpt=body[:EXCERPT_BYTES])
    return item


ROUTES: tuple[Any, ...] = (receive,)
