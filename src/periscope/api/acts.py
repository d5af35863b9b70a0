"""What analysts do to a threat: decide, comment, reopen, recall, snooze; and taking that back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from litestar import Request, Response, post
from litestar.params import JSONBody

from periscope import documents
from periscope.access import Scope
from periscope.api.acting import (
    IdempotencyKey,
    ThreatId,
    analyst_of,
    at_work,
    request_id_of,
)
from periscope.api.answers import json_answer
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import check_visible
from periscope.api.problems import RequestRefused
from periscope.errors import ThreatUnknown
from periscope.shapes import (
    ActBody,
    ActDone,
    CommentBody,
    DecideBody,
    NoteBody,
    RecallDone,
    SnoozeBody,
    UndoBody,
    UndoDone,
)

NOBODY = ActBody()
NO_NOTE = NoteBody()
ACTING: dict[str, Any] = {"opt": {"scope": Scope.ACT}, "status_code": 200, "tags": ["acts"]}


@post("/threats/{threat_id:str}/decide", **ACTING)
async def decide(
    request: Request[Any, Any, Any],
    threat_id: ThreatId,
    data: JSONBody[DecideBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[ActDone]:
    """Give a threat its outcome, which closes it and ends its claim.

    True positive promotes it at once; false positive and benign withdraw its validation.
    """
    caller, name = await at_work(request, threat_id)
    analyst = analyst_of(caller, data.analyst_id)
    if data.duplicate_of is not None:
        await check_visible(caller, data.duplicate_of)
    threat = await caller.periscope.decide(
        *(name, analyst, data.outcome, data.note),
        duplicate_of=data.duplicate_of,
        request_id=request_id_of(data.request_id, idempotency_key),
    )
    return json_answer(documents.act("decide", threat, analyst))  # type: ignore[no-any-return]


@post("/threats/{threat_id:str}/comment", **ACTING)
async def comment(
    request: Request[Any, Any, Any],
    threat_id: ThreatId,
    data: JSONBody[CommentBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[ActDone]:
    """Put a comment on record, in the audit trail; the threat stays as it is."""
    caller, name = await at_work(request, threat_id)
    analyst = analyst_of(caller, data.analyst_id)
    request_id = request_id_of(data.request_id, idempotency_key)
    threat = await caller.periscope.comment(name, analyst, data.text, request_id=request_id)
    return json_answer(documents.act("comment", threat, analyst))  # type: ignore[no-any-return]


@post("/threats/{threat_id:str}/reopen", **ACTING)
async def reopen(
    request: Request[Any, Any, Any],
    threat_id: ThreatId,
    data: JSONBody[NoteBody | None] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[ActDone]:
    """Open a threat again; its outcome, and what that withdrew, no longer stands."""
    caller, name = await at_work(request, threat_id)
    given = data or NO_NOTE
    analyst = analyst_of(caller, given.analyst_id)
    request_id = request_id_of(given.request_id, idempotency_key)
    threat = await caller.periscope.reopen(name, analyst, given.note, request_id=request_id)
    return json_answer(documents.act("reopen", threat, analyst))  # type: ignore[no-any-return]


@post("/threats/{threat_id:str}/recall", **ACTING)
async def recall(
    request: Request[Any, Any, Any],
    threat_id: ThreatId,
    data: JSONBody[ActBody | None] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[RecallDone]:
    """Bring a threat of level 2 or 3 back to work; one of level 1 stays as it is."""
    caller, name = await at_work(request, threat_id)
    given = data or NOBODY
    analyst = analyst_of(caller, given.analyst_id)
    request_id = request_id_of(given.request_id, idempotency_key)
    threat, level = await caller.periscope.recall(name, analyst, request_id=request_id)
    return json_answer(documents.act("recall", threat, analyst, from_level=int(level)))  # type: ignore[no-any-return]


@post("/threats/{threat_id:str}/snooze", **ACTING)
async def snooze(
    request: Request[Any, Any, Any],
    threat_id: ThreatId,
    data: JSONBody[SnoozeBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[ActDone]:
    """Take a threat out of the queue until a moment, for a while, or until it gets worse."""
    caller, name = await at_work(request, threat_id)
    analyst = analyst_of(caller, data.analyst_id)
    request_id = request_id_of(data.request_id, idempotency_key)
    threat = await caller.periscope.snooze(name, analyst, _end(data), data.note, request_id)
    return json_answer(documents.act("snooze", threat, analyst))  # type: ignore[no-any-return]


def _end(data: SnoozeBody) -> datetime | timedelta | None:
    """Return when a snooze ends; None if only a raise ends it.

    Raises:
        RequestRefused: not exactly one end is given.
    """
    if (data.until is not None) + (data.for_s is not None) + data.until_worse != 1:
        raise RequestRefused(
            422, "body-unfit", "until: give one of until, for_s and until_worse", field="until"
        )
    return data.until if data.for_s is None else timedelta(seconds=data.for_s)


@post("/undo", **ACTING)
async def undo(request: Request[Any, Any, Any], data: JSONBody[UndoBody]) -> Response[UndoDone]:
    """Take back an analyst's last act on a threat: interaction, decision, reopening or snooze.

    Within ten minutes. Counts and status are as before; the undoing is in the audit trail as well.
    Safe to repeat.
    """
    caller = caller_of(request)
    analyst = analyst_of(caller, data.analyst_id)
    await _check_act_visible(caller, data.interaction_id)
    threat = await caller.periscope.undo(data.interaction_id, analyst)
    return json_answer(documents.act("undo", threat, analyst, undone=data.interaction_id))  # type: ignore[no-any-return]


async def _check_act_visible(caller: Caller, interaction_id: str) -> None:
    """Refuse an act on what a limited key does not see, as one that nobody remembers."""
    if not caller.identity.limits:
        return
    found = await caller.periscope.find_act(interaction_id)
    try:
        if found is not None:
            await check_visible(caller, found.threat_id)
    except ThreatUnknown:
        reason = f"nothing is remembered of {interaction_id!r}; ids are kept for a day"
        raise ThreatUnknown(reason) from None


ROUTES: tuple[Any, ...] = (decide, comment, reopen, recall, snooze, undo)
