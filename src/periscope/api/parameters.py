"""What a handler asks for: parameters (which a client gives, where, by which name), a scope."""

from __future__ import annotations

import re
from functools import cache

from litestar.handlers import BaseRouteHandler
from litestar.params import CookieParameter, HeaderParameter
from litestar.typing import FieldDefinition

from periscope.access import Scope

_IN_PATH = re.compile(r"{(\w+)[:}]")
_GIVEN_BY_LITESTAR = frozenset(
    ("request", "data", "state", "body", "headers", "cookies", "query", "scope")
)


@cache
def parameters_of(handler: BaseRouteHandler) -> tuple[tuple[str, str, FieldDefinition], ...]:
    """Return place (path, query, header, cookie), name and field of each parameter."""
    in_path = {name for path in handler.paths for name in _IN_PATH.findall(path)}
    found = []
    for field in handler.parsed_fn_signature.parameters.values():
        if field.name in _GIVEN_BY_LITESTAR:
            continue
        kwarg = field.kwarg_definition
        place = "path" if field.name in in_path else "query"
        for where, kind in (("header", HeaderParameter), ("cookie", CookieParameter)):
            if isinstance(kwarg, kind):
                place = where
        found.append((place, str(getattr(kwarg, "name", None) or field.name), field))
    return tuple(found)


def scopes_of(handler: BaseRouteHandler) -> tuple[Scope, ...]:
    """Return the scopes any of which lets one in; none where it is open to all."""
    given: Scope | tuple[Scope, ...] = handler.opt.get("scope", ())
    return (given,) if isinstance(given, Scope) else given


@cache
def query_fields(handler: BaseRouteHandler) -> dict[str, bool]:
    """Return a handler's query parameters by name; is it one that "null" would be read as none?"""
    return {
        name: field.is_optional and all(one.annotation is not str for one in field.inner_types)
        for place, name, field in parameters_of(handler)
        if place == "query"
    }
