"""/v1/suppressions: rules that say what is noise, looked at before they are made."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.params import JSONBody, Parameter

from periscope import documents
from periscope.access import Scope
from periscope.api.answers import json_answer
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import refuse_limited
from periscope.api.paths import text_of
from periscope.errors import NoiseUnknown
from periscope.models import Mark
from periscope.noise import Rate
from periscope.noise_desk import NoiseExplanation
from periscope.shapes import (
    ConditionDocument,
    ExplainBody,
    NewSuppression,
    NoiseExplained,
    PreviewBody,
    PreviewDocument,
    SuppressionDocument,
    SuppressionList,
    SuppressionShown,
)

NEWEST = 10
TOLD_CHARACTERS = 1000
TOLD_BYTES = 3500
"""Of a rule at most in the audit trail, as JSON: a rule in force must not be too long for it."""
RuleId = Annotated[str, Parameter(description="The id of the rule.")]


@get("/suppressions", opt={"scope": Scope.READ}, tags=["noise"])
async def list_suppressions(
    request: Request[Any, Any, Any],
    ended: Annotated[bool, Parameter(description="Also those that have ended.")] = False,
) -> Response[SuppressionList]:
    """List the suppression rules in force, in the order in which they are tried."""
    rules = await _caller(request).periscope.get_suppressions(ended=ended)
    return json_answer({"items": [documents.suppression_rule(one) for one in rules]})  # type: ignore[no-any-return]


@post("/suppressions", opt={"scope": Scope.ADMIN}, tags=["noise"])
async def add_suppression(
    request: Request[Any, Any, Any], data: JSONBody[NewSuppression]
) -> Response[SuppressionDocument]:
    """Suppress reports that fulfil all conditions, for everybody, from the next one on.

    Look at a preview first. What is suppressed is counted and listed, and comes back when it gets
    worse or exceeds the rate.
    """
    caller = _caller(request)
    rule = await caller.periscope.add_suppression(
        _where(data.where),
        data.reason,
        caller.who,
        until=None if data.for_s is None else timedelta(seconds=data.for_s),
        rate=None if data.rate is None else Rate(data.rate.most, data.rate.window_ms),
        force=data.force,
    )
    told = " and ".join(map(str, rule.where))[:TOLD_CHARACTERS]
    await _remark(caller, "add_suppression", rule.id, {"where": _cut(told)})
    return json_answer(documents.suppression_rule(rule), status=201)  # type: ignore[no-any-return]


@get("/suppressions/{rule_id:str}", opt={"scope": Scope.READ}, tags=["noise"])
async def get_suppression(
    request: Request[Any, Any, Any], rule_id: RuleId
) -> Response[SuppressionShown]:
    """Show one rule, and what it hides."""
    caller, wanted = _caller(request), text_of(rule_id)
    rules = await caller.periscope.get_suppressions(ended=True)
    rule = next((one for one in rules if one.id == wanted), None)
    if rule is None:
        raise NoiseUnknown("there is no suppression rule of this id")
    page = await caller.periscope.get_suppressed(count=NEWEST, cause=f"rule:{rule.id}")
    told = {
        "rule": documents.suppression_rule(rule),
        "suppressed": page.total,
        "newest": [documents.suppressed(one) for one in page],
    }
    return json_answer(told)  # type: ignore[no-any-return]


@delete(
    "/suppressions/{rule_id:str}",
    opt={"scope": Scope.ADMIN, "problems": (507,)},
    tags=["noise"],
    status_code=200,
)
async def end_suppression(
    request: Request[Any, Any, Any], rule_id: RuleId
) -> Response[SuppressionDocument]:
    """End a rule: the next report goes the usual way. Safe to repeat."""
    caller = _caller(request)
    rule = await caller.periscope.end_suppression(text_of(rule_id), caller.who)
    await _remark(caller, "end_suppression", rule.id, {})
    return json_answer(documents.suppression_rule(rule))  # type: ignore[no-any-return]


@post("/suppressions/preview", opt={"scope": Scope.READ}, tags=["noise"], status_code=200)
async def preview_suppression(
    request: Request[Any, Any, Any], data: JSONBody[PreviewBody]
) -> Response[PreviewDocument]:
    """Show what such a rule would have hidden; changes nothing.

    It reads all threats, about a second for 20,000; one preview at a time, the others wait.
    """
    caller = _caller(request)
    archive = await caller.tenant.archive() if data.archive else None
    async with caller.tenant.one_scan:
        found = await caller.periscope.preview_suppression(
            _where(data.where), timedelta(seconds=data.since_s), archive=archive, force=data.force
        )
    return json_answer(documents.preview(found))  # type: ignore[no-any-return]


@post("/suppressions/explain", opt={"scope": Scope.READ}, tags=["noise"], status_code=200)
async def explain_suppression(
    request: Request[Any, Any, Any], data: JSONBody[ExplainBody]
) -> Response[NoiseExplained]:
    """Say what would become of a report that came now, and why; changes nothing."""
    found = await _caller(request).periscope.explain_noise(data.report)
    return json_answer(_explained(found))  # type: ignore[no-any-return]


def _explained(found: NoiseExplanation) -> dict[str, Any]:
    return {
        "suppressed": found.suppressed,
        "because": found.because,
        "mark": None if found.mark is None else _mark(found.mark),
        "rules": [documents.suppression_rule(one) for one in found.rules],
        "indicators": [one._asdict() for one in found.indicators],
        "threat": None if found.threat is None else documents.threat(found.threat),
        "entry": None if found.entry is None else documents.suppressed(found.entry),
    }


def _mark(one: Mark) -> dict[str, Any]:
    told = {"cause": one.cause, "most": one.most, "window_ms": one.window_ms}
    return told | documents.times("until", one.until_ms or None)


def _where(given: list[str | ConditionDocument]) -> list[Any]:
    return [
        one if isinstance(one, str) else {"field": one.field, "op": one.op, "value": one.value}
        for one in given
    ]


def _caller(request: Request[Any, Any, Any]) -> Caller:
    caller = caller_of(request)
    refuse_limited(caller)
    return caller


def _cut(text: str) -> str:
    """Return as much of a text as the audit trail has room for: a character takes up to six."""
    while len(msgspec.json.encode(text)) > TOLD_BYTES:
        text = text[: len(text) * 3 // 4]
    return text


async def _remark(caller: Caller, action: str, subject: str, detail: dict[str, Any]) -> None:
    await caller.tenant.access.remark(caller.who, action, subject, detail)


ROUTES: tuple[Any, ...] = (
    *(list_suppressions, add_suppression, get_suppression, end_suppression),
    *(preview_suppression, explain_suppression),
)
