"""Who has which threat: claim one, take the next one, give one back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from litestar import Request, Response, post
from litestar.params import JSONBody

from periscope import documents
from periscope.access import Scope
from periscope.api.acting import IdempotencyKey, ThreatId, analyst_of, at_work, request_id_of
from periscope.api.answers import json_answer
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import sees
from periscope.api.operations import Forms
from periscope.errors import ActRefused
from periscope.models import Severity
from periscope.periscope import Periscope
from periscope.shapes import ClaimBody, ClaimDocument, Next, NextBody, ReleaseBody, Released
from periscope.threat import Page
from periscope.work import Claim

AT_ONCE = 250
MOST_LOOKED_AT = 20_000
"""Threats that a limited key's request for the next one looks at, at most."""
CLAIM = ClaimBody()
NEXT = NextBody()
ACTING: dict[str, Any] = {"opt": {"scope": Scope.ACT}, "status_code": 200, "tags": ["claims"]}


@post("/threats/{threat_id:str}/claim", **ACTING)
async def claim(
    request: Request[Any, Any, Any],
    threat_id: ThreatId,
    data: JSONBody[ClaimBody | None] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[ClaimDocument]:
    """Give an analyst a threat of level 1 for a while.

    The holder gets the same claim again, with at least this lease to run. It ends by itself; the
    holder's interactions renew it. Others may look and interact, but not decide, snooze or dismiss.
    """
    caller, name = await at_work(request, threat_id)
    given = data or CLAIM
    got = await caller.periscope.claim(
        *(name, analyst_of(caller, given.analyst_id), timedelta(seconds=given.lease_s)),
        take_over=given.take_over,
        request_id=request_id_of(given.request_id, idempotency_key),
    )
    return json_answer(documents.claim(got))  # type: ignore[no-any-return]


@post("/threats/{threat_id:str}/release", **ACTING)
async def release(
    request: Request[Any, Any, Any],
    threat_id: ThreatId,
    data: JSONBody[ReleaseBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[Released]:
    """Give a claim back."""
    caller, name = await at_work(request, threat_id)
    analyst = analyst_of(caller, data.analyst_id)
    request_id = request_id_of(data.request_id, idempotency_key)
    await caller.periscope.release(Claim(name, analyst, data.token, 0), request_id=request_id)
    return json_answer(Released(name, analyst))  # type: ignore[no-any-return]


@post("/next", **{**ACTING, "opt": {"scope": Scope.ACT, "answers": {204: Forms()}}})
async def claim_next(
    request: Request[Any, Any, Any],
    data: JSONBody[NextBody | None] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Next]:
    """Claim the highest ranked open threat that nobody holds; 204 when nothing is left.

    Any number of analysts may ask at once: no two get the same.
    """
    caller, given = caller_of(request), data or NEXT
    pull = _limited if caller.identity.limits else _unlimited
    args = {
        "analyst_id": analyst_of(caller, given.analyst_id),
        "lease": timedelta(seconds=given.lease_s),
        "request_id": request_id_of(given.request_id, idempotency_key),
    }
    while (got := await pull(caller, given, args)) is not None:
        found = await caller.periscope.get_threat(got.threat_id)
        if found is not None:
            desk = await caller.periscope.get_desk(got.threat_id)
            shown = documents.shown(found, desk)
            return json_answer({"claim": documents.claim(got), "threat": shown})  # type: ignore[no-any-return]
        if args["request_id"] is not None:
            raise ActRefused("what this request claimed has departed; ask again with a new id")
    return Response(None, status_code=204)  # type: ignore[arg-type]


async def _unlimited(caller: Caller, given: NextBody, args: dict[str, Any]) -> Claim | None:
    return await caller.periscope.claim_next(severity=given.severity, **args)


async def _limited(caller: Caller, given: NextBody, args: dict[str, Any]) -> Claim | None:
    """Claim the first that is within the limits: the queue is walked as far as need be."""
    async for ids in _queue_within(caller, given):
        if (got := await caller.periscope.claim_first(ids, **args)) is not None:
            return got
    return None


async def _queue_within(caller: Caller, given: NextBody) -> AsyncIterator[list[str]]:
    """Give the queue's ids within the limits, in rank order, in parts.

    Raises:
        ActRefused: it is longer than what one request looks at.
    """
    cursor, limits = None, caller.identity.limits
    severity = given.severity
    if severity is None and len(limits.severities) == 1:
        severity = limits.severities[0]
    for _ in range(MOST_LOOKED_AT // AT_ONCE):
        page = await _page(caller.periscope, severity, cursor)
        ids = [one.threat_id for one in page.items if sees(limits, one)]
        if ids:
            yield ids
        if (cursor := page.next_cursor) is None:
            return
    raise ActRefused(
        f"nothing that your key may see is free among the first {MOST_LOOKED_AT:,} of the queue; "
        "list the threats, and claim one by its id"
    )


async def _page(periscope: Periscope, severity: Severity | None, cursor: str | None) -> Page:
    if severity is None:
        return await periscope.get_active_paginated(cursor, AT_ONCE)
    return await periscope.get_by_severity(severity, cursor, AT_ONCE)


ROUTES: tuple[Any, ...] = (claim, release, claim_next)
