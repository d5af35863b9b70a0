"""GET and PUT /v1/policy: the rules in force, and others in their place."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, put
from litestar.params import HeaderParameter, JSONBody

from periscope.access import Scope
from periscope.api.answers import json_answer, unchanged
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import refuse_limited
from periscope.api.problems import RequestRefused
from periscope.errors import SettingInvalid
from periscope.policy import Policy
from periscope.shapes import PolicyDocument, PolicyShown
from periscope.spans import MILLISECOND

DETAIL_FIELDS = 12
"""Changes that the audit trail tells one by one."""


@get("/policy", opt={"scope": Scope.READ, "etag": True}, tags=["policy"])
async def get_policy(request: Request[Any, Any, Any]) -> Response[PolicyShown]:
    """Show the policy in force; its entity tag is its revision."""
    caller = caller_of(request)
    await caller.periscope.get_policy()
    tag = _tag(caller.periscope.functions.rules.revision)
    return unchanged(request, tag) or _shown(caller, {"ETag": tag})


@put("/policy", opt={"scope": Scope.ADMIN, "problems": (412,)}, tags=["policy"])
async def set_policy(
    request: Request[Any, Any, Any],
    data: JSONBody[PolicyDocument],
    if_match: Annotated[
        str | None,
        HeaderParameter(
            name="If-Match",
            description="The `ETag` of the policy that this one is to replace.",
            max_length=200,
        ),
    ] = None,
) -> Response[PolicyShown]:
    """Put a policy in force for everybody; what the body leaves out is by default.

    With `If-Match` only in place of the revision that it names. The caps are changed by `periscope
    rebuild` alone.
    """
    caller = caller_of(request)
    refuse_limited(caller)
    wanted = policy_of(data)
    before = await caller.periscope.get_policy()
    _check_match(if_match, caller)
    await caller.periscope.set_policy(wanted)
    changes = _changes(before, wanted)
    revision = caller.periscope.functions.rules.revision
    await caller.tenant.access.remark(caller.who, "set_policy", f"revision {revision}", changes)
    return _shown(caller)


def policy_of(document: PolicyDocument) -> Policy:
    """Return the policy that a document is.

    Raises:
        RequestRefused: it cannot be; names the field.
    """
    found: dict[str, Any] = {}
    for name, like in _fields(Policy()).items():
        if isinstance(like, timedelta):
            found[name] = getattr(document, f"{name}_ms") * MILLISECOND
        else:
            found[name] = getattr(document, name)
    try:
        return Policy(**found)
    except SettingInvalid as exc:
        reason = str(exc).removeprefix("policy.")
        raise RequestRefused(422, "policy-invalid", reason, field=reason.split()[0]) from None


def document_of(policy: Policy) -> PolicyDocument:
    """Return a policy as it travels."""
    return PolicyDocument(**dict(_named(name, value) for name, value in _fields(policy).items()))


def _fields(policy: Policy) -> dict[str, Any]:
    return msgspec.structs.asdict(policy)


def _named(name: str, value: Any) -> tuple[str, Any]:
    return (f"{name}_ms", value // MILLISECOND) if isinstance(value, timedelta) else (name, value)


def _changes(before: Policy, after: Policy) -> dict[str, Any]:
    found = dict(
        _named(name, value)
        for name, value in _fields(after).items()
        if value != getattr(before, name)
    )
    return dict(list(found.items())[:DETAIL_FIELDS])


def _shown(caller: Caller, headers: dict[str, str] | None = None) -> Response[PolicyShown]:
    rules = caller.periscope.functions.rules
    document, usual = document_of(rules.policy), PolicyDocument()
    names = [name for name in document.__struct_fields__ if _differs(name, document, usual)]
    shown = PolicyShown(rules.revision, document, names)
    return json_answer(shown, headers=headers)  # type: ignore[no-any-return]


def _differs(name: str, one: PolicyDocument, other: PolicyDocument) -> bool:
    return bool(getattr(one, name) != getattr(other, name))


def _tag(revision: int) -> str:
    return f'"{revision}"'


def _check_match(given: str | None, caller: Caller) -> None:
    if given is None or given.strip() == "*":
        return
    revision = caller.periscope.functions.rules.revision
    if _tag(revision) not in (one.strip() for one in given.split(",")):
        raise RequestRefused(
            412,
            "policy-changed",
            f"the policy in force has revision {revision}: look at it, and decide anew",
            field="If-Match",
        )


ROUTES: tuple[Any, ...] = (get_policy, set_policy)
