"""/v1/acts: one act on many threats, with a receipt for each; and taking many back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any

from litestar import Request, Response, post
from litestar.params import JSONBody

from periscope import documents
from periscope.access import Scope
from periscope.acts import check_name, check_note
from periscope.api.acting import IdempotencyKey, analyst_of, request_id_of
from periscope.api.answers import json_answer
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import seen_of
from periscope.api.problems import RequestRefused, instance_of, problem_of, tell
from periscope.api.rows import find_rows
from periscope.api.selected import Done, NoteMissing, Selection
from periscope.errors import ActInvalid, PartitionsMissing, PeriscopeError, ThreatUnknown
from periscope.models import Action, Decision
from periscope.shapes import ActsBody, ActsDone, ThreatRow, UndoManyBody, UndoManyDone
from periscope.threat import Threat
from periscope.work import MAX_ANALYST_BYTES, MAX_REQUEST_BYTES, PastAct

COMMON = frozenset(("act", "threat_ids", "analyst_id", "request_id"))
FIELDS: Mapping[str, tuple[str, ...]] = {
    **{action.value: ("note",) for action in Action},
    "claim": ("lease_s", "take_over"),
    "release": ("tokens",),
    "decide": ("outcome", "note", "duplicate_of"),
    "snooze": ("until", "for_s", "until_worse", "note"),
    "reopen": ("note",),
    "comment": ("text",),
    "recall": (),
}
"""What each act takes, beside what all take."""
REASON = ("type", "title", "detail", "status")
NEEDED = {"decide": "outcome", "comment": "text"}
ACTING: dict[str, Any] = {"opt": {"scope": Scope.ACT}, "status_code": 200, "tags": ["acts"]}


@post("/acts", **ACTING)
async def act_on_many(
    request: Request[Any, Any, Any],
    data: JSONBody[ActsBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[ActsDone]:
    """Do the same to up to 100 threats, each for itself; the answer says of each what became of it.

    Each threat is changed as by an act of its own: one that cannot be is skipped with the reason,
    and never stops the others. With the same `request_id` again, what was done is not done a second
    time and is answered as before; what was skipped is tried again. So an answer that says 503 of
    some threats, or that did not arrive, is settled by repeating the request; without a
    `request_id` that would act twice.
    """
    caller = caller_of(request)
    given_id = request_id_of(data.request_id, idempotency_key)
    analyst = analyst_of(caller, data.analyst_id)
    _check(data, analyst, given_id)
    await _check_target(caller, data)
    selection = Selection(caller.periscope, data, analyst, given_id, await _visible(caller, data))
    results = await _each(map(selection.act, data.threat_ids))
    return await _receipt(request, data, results)


@post("/acts/undo", **ACTING)
async def undo_many(
    request: Request[Any, Any, Any], data: JSONBody[UndoManyBody]
) -> Response[UndoManyDone]:
    """Take back up to 100 acts of one analyst; the answer says of each what became of it.

    Each as by itself: an analyst's last act on a threat, within ten minutes. Several on one threat
    are taken back in the order given, so that the latest comes first. Safe to repeat.
    """
    caller = caller_of(request)
    analyst = analyst_of(caller, data.analyst_id)
    check_name(analyst, "analyst_id", MAX_ANALYST_BYTES)
    _check_distinct(data.interaction_ids, "interaction_ids")
    results = await _undo_each(caller, data.interaction_ids, analyst)
    done = {name: one.threat_id for name, one in results.items() if isinstance(one, Threat)}
    rows = await _rows(request, done.values())
    undone = [
        {"interaction_id": name, "threat_id": of, "row": rows.get(of)} for name, of in done.items()
    ]
    skipped = _skipped(request, "interaction_id", results.items())
    return json_answer({"undone": undone, "skipped": skipped})  # type: ignore[no-any-return]


def _check(data: ActsBody, analyst: str, request_id: str | None) -> None:
    """Refuse what would be wrong with every threat, before anything is done.

    Raises:
        RequestRefused, ActInvalid: as they say.
    """
    _check_distinct(data.threat_ids, "threat_ids")
    check_name(analyst, "analyst_id", MAX_ANALYST_BYTES)
    if request_id is not None:
        check_name(request_id, "request_id", MAX_REQUEST_BYTES)
    for name in data.__struct_fields__:
        is_given = getattr(data, name) is not None
        if is_given and name not in COMMON and name not in FIELDS[data.act]:
            raise _unfit(name, f"does not belong to the act {data.act!r}")
    if (needed := NEEDED.get(data.act)) and getattr(data, needed) is None:
        raise _unfit(needed, f"the act {data.act!r} needs it")
    check_note(data.note)
    if data.text is not None:
        check_note(data.text, "text", least=1)
    if data.act == "snooze":
        _check_end(data)
    if data.tokens and (foreign := data.tokens.keys() - set(data.threat_ids)):
        raise _unfit("tokens", f"{len(foreign):,} are of threats that are not selected")


async def _check_target(caller: Caller, data: ActsBody) -> None:
    """Refuse an outcome whose target is missing, wrong, or not there to be seen.

    Raises:
        RequestRefused, ThreatUnknown: as they say.
    """
    if data.act != "decide":
        return
    target = data.duplicate_of
    if (data.outcome is Decision.DUPLICATE) is not (target is not None):
        raise _unfit("duplicate_of", "a duplicate names its target, and only a duplicate does")
    if target is not None and not await seen_of(caller, [target]):
        raise ThreatUnknown(f"duplicate_of: no threat {target!r}")


def _check_end(data: ActsBody) -> None:
    if (data.until is not None) + (data.for_s is not None) + bool(data.until_worse) != 1:
        raise _unfit("until", "give one of until, for_s and until_worse")


def _check_distinct(ids: Sequence[str], field: str) -> None:
    if len(set(ids)) < len(ids):
        raise _unfit(field, "name each only once")


def _unfit(field: str, why: str) -> RequestRefused:
    return RequestRefused(422, "body-unfit", f"{field}: {why}", field=field)


async def _visible(caller: Caller, data: ActsBody) -> set[str] | None:
    """Return the selected threats that a limited key sees; None: it is not limited."""
    if not caller.identity.limits:
        return None
    return {one.threat_id for one in await seen_of(caller, data.threat_ids)}


async def _each(acts: Iterable[Awaitable[Any]]) -> list[Any]:
    """Await all of them at once, so that they travel together; what one raised stands in its place.

    Raises:
        BaseException: what is no error of an act, as a cancellation.
    """
    results = await asyncio.gather(*acts, return_exceptions=True)
    for one in results:
        if isinstance(one, BaseException) and not isinstance(one, Exception):
            raise one
    return results


async def _undo_each(
    caller: Caller, interaction_ids: Sequence[str], analyst: str
) -> dict[str, Threat | Exception]:
    """Return what became of each; those on one threat one after the other, in the order given."""
    results = await _found(caller, interaction_ids)
    lines: dict[str, list[tuple[str, PastAct]]] = {}
    for name, past in results.items():
        if isinstance(past, PastAct):
            lines.setdefault(past.threat_id, []).append((name, past))

    async def undo(line: list[tuple[str, PastAct]]) -> None:
        for name, past in line:
            (results[name],) = await _each([caller.periscope.undo(name, analyst, past=past)])

    await asyncio.gather(*map(undo, lines.values()))
    return results


async def _found(caller: Caller, interaction_ids: Sequence[str]) -> dict[str, Any]:
    """Return the acts of these ids, or why there is none that the caller may know of."""
    results: dict[str, Any] = {}
    for name in interaction_ids:
        try:
            check_name(name, "interaction_id", MAX_REQUEST_BYTES)
            reason = f"nothing is remembered of {name!r}; ids are kept for a day"
            results[name] = ThreatUnknown(reason)
        except ActInvalid as exc:
            results[name] = exc
    asked = [name for name, why in results.items() if isinstance(why, ThreatUnknown)]
    try:
        found, away = await caller.periscope.find_acts(asked), None
    except PartitionsMissing as exc:
        found, away = exc.partial, exc
    threats = {one.threat_id for one in found if one is not None}
    if caller.identity.limits:
        threats = {one.threat_id for one in await seen_of(caller, list(threats))}
    for name, past in zip(asked, found, strict=True):
        if past is not None and past.threat_id in threats:
            results[name] = past
        elif past is None and away is not None:
            results[name] = away
    return results


async def _receipt(
    request: Request[Any, Any, Any], data: ActsBody, results: Sequence[Any]
) -> Response[ActsDone]:
    """Answer what became of each threat."""
    pairs = list(zip(data.threat_ids, results, strict=True))
    rows = await _rows(request, [name for name, one in pairs if isinstance(one, Done)])
    changed = []
    for name, one in pairs:
        if isinstance(one, Done):
            claim = None if one.claim is None else documents.claim(one.claim)
            told = {"threat_id": name, "interaction_id": one.interaction_id, "claim": claim}
            changed.append({**told, "row": rows.get(name)})
    skipped = _skipped(request, "threat_id", pairs)
    return json_answer({"act": data.act, "changed": changed, "skipped": skipped})  # type: ignore[no-any-return]


def _skipped(
    request: Request[Any, Any, Any], key: str, results: Iterable[tuple[str, Any]]
) -> list[dict[str, Any]]:
    """Return what was not done, and why, as problems say it; the log is told of each kind once."""
    instance, found, kinds = instance_of(request.scope), [], set[type]()
    for name, exc in results:
        if not isinstance(exc, Exception):
            continue
        more, cause = "", exc
        if isinstance(exc, NoteMissing):
            more, cause = "It is done, but its note is not on record: ", exc.cause
        problem = problem_of(cause, instance)
        if type(cause) not in kinds:
            kinds.add(type(cause))
            tell(cause, problem.status, instance)
        why = (problem.type, problem.title, more + problem.detail, problem.status)
        found.append({key: name, **dict(zip(REASON, why, strict=True))})
    return found


async def _rows(request: Request[Any, Any, Any], ids: Iterable[str]) -> dict[str, ThreatRow]:
    """Return the rows of these threats as they stand now; of those that can be shown.

    What was done is done: where the store is away by now, the receipt goes without its rows.
    """
    caller, wanted = caller_of(request), list(ids)
    if not wanted:
        return {}
    try:
        _, rows = await find_rows(caller.tenant, wanted, caller.identity.limits)
    except PeriscopeError as exc:
        tell(exc, type(exc).http_status, instance_of(request.scope))
        return {}
    return rows


ROUTES: tuple[Any, ...] = (act_on_many, undo_many)
