"""GET /v1/settings: how the service is set up."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get

from periscope.access import Scope
from periscope.api.answers import json_answer
from periscope.api.gate import caller_of
from periscope.api.limits import refuse_limited
from periscope.api.problems import RequestRefused
from periscope.settings import ENV_PREFIX, Settings, describe
from periscope.shapes import SettingDocument, SettingList


@get("/settings", opt={"scope": Scope.ADMIN}, tags=["operations"])
async def list_settings(request: Request[Any, Any, Any]) -> Response[SettingList]:
    """List the settings that are in force, each with its default; of a secret no value is told.

    Where one service has several namespaces, its settings are its operator's alone (403): they
    tell of the others.
    """
    caller = caller_of(request)
    refuse_limited(caller)
    if len(request.app.state.tenants.all) > 1:
        raise RequestRefused(
            403,
            "settings-operators",
            "with several namespaces the settings are the operator's: see the server's log",
        )
    return json_answer(SettingList(_told(caller.periscope.settings)))  # type: ignore[no-any-return]


def _told(settings: Settings) -> list[SettingDocument]:
    values = msgspec.to_builtins(settings)
    return [
        SettingDocument(
            name=name,
            variable=f"{ENV_PREFIX}{name.upper()}",
            type=kind,
            value=None if is_secret else values[name],
            default=None if is_secret else default,
            secret=is_secret,
            help=text,
        )
        for name, kind, default, text, is_secret in describe()
    ]


ROUTES: tuple[Any, ...] = (list_settings,)
