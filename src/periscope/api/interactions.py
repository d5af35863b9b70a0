"""POST /v1/interactions: what analysts do, one by one or many at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.params import JSONBody

from periscope import documents
from periscope.access import Scope
from periscope.access.checks import is_reserved
from periscope.api.acting import NO_ANALYST, IdempotencyKey, analyst_of, request_id_of
from periscope.api.answers import json_answer
from periscope.api.bodies import check_values, slices, whole
from periscope.api.forms import INTERACTIONS
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import check_visible, seen_of
from periscope.api.media import Media, media_of
from periscope.api.problems import RequestRefused
from periscope.api.strict_bodies import decoded
from periscope.api.strict_lines import FAILURES
from periscope.feeds.json_split import explained
from periscope.feeds.lines import split_lines
from periscope.feeds.options import MAX_RECORD_BYTES
from periscope.models import Unreadable
from periscope.shapes import ActDone, InteractionBody, InteractionsTaken, Rejected
from periscope.work import InteractionsResult

REJECTIONS_TOLD = 1000
AT_ONCE = 500
MOST_LINES = 1_000_000
_any = msgspec.json.Decoder().decode


@post("/interactions", opt={"scope": Scope.ACT}, status_code=200, tags=["acts"])
async def interact(
    request: Request[Any, Any, Any],
    data: JSONBody[InteractionBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[ActDone]:
    """Record what an analyst did to a threat.

    A threat of level 2 or 3 is recalled. Those that come at the same time are stored together.
    """
    caller = caller_of(request)
    analyst = analyst_of(caller, data.analyst_id)
    request_id = request_id_of(data.interaction_id, idempotency_key)
    await check_visible(caller, data.threat_id)
    threat = await caller.periscope.record_interaction(
        data.threat_id, analyst, data.action, request_id
    )
    return json_answer(documents.act(data.action.value, threat, analyst))  # type: ignore[no-any-return]


@post(
    "/interactions/batch",
    opt={"scope": Scope.ACT, "body": INTERACTIONS},
    status_code=200,
    tags=["acts"],
)
async def interact_batch(request: Request[Any, Any, Any]) -> Response[InteractionsTaken]:
    """Record many interactions, in the order given: an array of them, or NDJSON.

    A bad one (no such threat or action, no analyst, claimed by somebody else) is rejected with its
    index and a reason; the others are recorded. Sending all of it again is safe where every
    interaction has its id.
    """
    caller = caller_of(request)
    media, _ = media_of(request, None)
    if media is Media.FEED:
        raise RequestRefused(
            415,
            "media-type-unknown",
            "interactions are sent as application/json or application/x-ndjson",
            field="Content-Type",
        )
    settings = request.app.state.tenants.settings
    body = await whole(request, settings.serve_max_body_mb << 20, settings.serve_body_timeout_s)
    check_values(body, b"\n", MOST_LINES)
    items = lines_of(body) if media is Media.NDJSON else decoded(body, list[Any])
    result = await caller.periscope.record_interactions_batch(_screened(caller, items))
    return answer_taken(result)


def lines_of(body: bytes) -> Iterator[Any]:
    """Give what the lines of a body are; in place of one that is no JSON, why it is none."""
    for number, line in enumerate(split_lines(slices(body), MAX_RECORD_BYTES), 1):
        if line is None:
            yield Unreadable(f"line {number:,}: longer than {MAX_RECORD_BYTES:,} bytes")
        elif line and not line.isspace():
            yield _item(line, number)


def _item(line: bytes, number: int) -> Any:
    try:
        return _any(line)
    except FAILURES as exc:
        return Unreadable(f"line {number:,}: {explained(exc, line)}")


def _screened(caller: Caller, items: Iterable[Any]) -> Iterable[Any] | AsyncIterator[Any]:
    """Return the items as the caller's own: who acts is filled in, what may not be is refused."""
    if caller.identity.limits:
        return _within(caller, iter(items))
    return (_own(item, caller.identity.analyst) for item in items)


def _own(item: Any, analyst: str | None) -> Any:
    """Return an item as an act of whom the key stands for, or of whom it names."""
    if not isinstance(item, dict):
        return item
    given = item.get("analyst_id")
    if analyst is None:
        is_none = isinstance(given, str) and is_reserved(given)
        return Unreadable(f"analyst_id: {NO_ANALYST}", _id_of(item)) if is_none else item
    if given not in (None, analyst):
        reason = f"analyst_id: you act as {analyst!r}, and cannot act for others"
        return Unreadable(reason, _id_of(item))
    return {**item, "analyst_id": analyst}


async def _within(caller: Caller, items: Iterator[Any]) -> AsyncIterator[Any]:
    """Give the items; those about what a limited key does not see as if that were not there."""
    while some := list(islice(items, AT_ONCE)):
        visible = await _visible(caller, some)
        for item in some:
            name = _id_of(item)
            if name is not None and name not in visible:
                yield Unreadable("no such threat", name)
            else:
                yield _own(item, caller.identity.analyst)


async def _visible(caller: Caller, items: Sequence[Any]) -> set[str]:
    ids = {name for item in items if (name := _id_of(item)) is not None}
    return {one.threat_id for one in await seen_of(caller, list(ids))}


def _id_of(item: Any) -> str | None:
    found = item.get("threat_id") if isinstance(item, dict) else None
    return found if isinstance(found, str) else None


def answer_taken(result: InteractionsResult) -> Response[InteractionsTaken]:
    """Answer what became of a batch."""
    told = [Rejected(*one) for one in result.rejected[:REJECTIONS_TOLD]]
    counts = (result.received, result.recorded, result.repeated, result.rejected_count)
    return json_answer(InteractionsTaken(*counts, told))  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (interact, interact_batch)
