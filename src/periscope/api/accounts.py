"""/v1/accounts: people's accounts, added, changed, disabled."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any

from litestar import Request, Response, get, post, put
from litestar.params import JSONBody, Parameter

from periscope.access import Account, Scope
from periscope.access.documents import account
from periscope.api.answers import json_answer
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import refuse_limited
from periscope.api.paths import text_of
from periscope.api.problems import RequestRefused
from periscope.errors import Forbidden, Unauthenticated
from periscope.shapes import (
    AccountDocument,
    AccountList,
    AccountPassword,
    AccountScopes,
    NewAccount,
)

Name = Annotated[str, Parameter(description="The account's name, percent-encoded.")]


@get("/accounts", opt={"scope": Scope.ADMIN}, tags=["access"])
async def list_accounts(request: Request[Any, Any, Any]) -> Response[AccountList]:
    """List the accounts, by name."""
    caller = _administrator(request)
    found = await caller.tenant.access.accounts()
    return json_answer({"items": [account(one) for one in found]})  # type: ignore[no-any-return]


@post("/accounts", opt={"scope": Scope.ADMIN}, tags=["access"])
async def create_account(
    request: Request[Any, Any, Any], data: JSONBody[NewAccount]
) -> Response[AccountDocument]:
    """Make an account that signs in with a password."""
    caller = _administrator(request)
    made = await caller.tenant.access.create_account(
        data.name, data.password, data.scopes, by=caller.who
    )
    return json_answer(account(made), status=201)  # type: ignore[no-any-return]


@put("/accounts/{name:str}/password", opt={"scope": tuple(Scope)}, tags=["access"])
async def set_password(
    request: Request[Any, Any, Any], name: Name, data: JSONBody[AccountPassword]
) -> Response[AccountDocument]:
    """Give an account another password, which ends all its sessions.

    Administrators do so for others; everybody for themselves, with the old one.
    """
    caller, wanted = caller_of(request), text_of(name)
    access = caller.tenant.access
    if caller.identity.kind == "account" and wanted == caller.identity.name:
        changing = access.change_password(wanted, data.old_password or "", data.password)
        return await _own(changing)
    if not caller.may(Scope.ADMIN):
        raise Forbidden("this needs the scope admin; your own password is another matter")
    refuse_limited(caller)
    return await _done(access.set_password(wanted, data.password, by=caller.who))


@put("/accounts/{name:str}/scopes", opt={"scope": Scope.ADMIN}, tags=["access"])
async def set_scopes(
    request: Request[Any, Any, Any], name: Name, data: JSONBody[AccountScopes]
) -> Response[AccountDocument]:
    """Give an account other scopes, which ends its sessions. Safe to repeat."""
    caller = _administrator(request)
    access = caller.tenant.access
    return await _done(access.set_scopes(text_of(name), data.scopes, by=caller.who))


@post(
    "/accounts/{name:str}/disable",
    opt={"scope": Scope.ADMIN, "problems": (507,)},
    tags=["access"],
    status_code=200,
)
async def disable_account(request: Request[Any, Any, Any], name: Name) -> Response[AccountDocument]:
    """Let an account in no more; its sessions end everywhere within a second. Safe to repeat."""
    caller = _administrator(request)
    return await _done(caller.tenant.access.disable_account(text_of(name), by=caller.who))


@post(
    "/accounts/{name:str}/enable",
    opt={"scope": Scope.ADMIN, "problems": (507,)},
    tags=["access"],
    status_code=200,
)
async def enable_account(request: Request[Any, Any, Any], name: Name) -> Response[AccountDocument]:
    """Let an account in again. Safe to repeat."""
    caller = _administrator(request)
    return await _done(caller.tenant.access.enable_account(text_of(name), by=caller.who))


def _administrator(request: Request[Any, Any, Any]) -> Caller:
    caller = caller_of(request)
    refuse_limited(caller)
    return caller


async def _own(changing: Awaitable[Account]) -> Response[AccountDocument]:
    """Answer a change of one's own password; the session is good, whatever the old password is."""
    try:
        return await _done(changing)
    except Unauthenticated:
        raise RequestRefused(
            422, "password-wrong", "this is not the old password", field="old_password"
        ) from None


async def _done(changing: Awaitable[Account]) -> Response[AccountDocument]:
    return json_answer(account(await changing))  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (
    *(list_accounts, create_account, set_password, set_scopes),
    *(disable_account, enable_account),
)
