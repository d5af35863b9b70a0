"""What a handler asks for: parameters (which a client gives, where, by which name), a scope."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import CookieParameter, HeaderParameter
from litestar.typing import FieldDefinition
from litestar.utils.signature import ParsedSignature

from periscope.access import Scope

_IN_PATH = re.compile(r"{(\w+)[:}]")
_GIVEN_BY_LITESTAR = frozenset(
    ("request", "data", "state", "body", "headers", "cookies", "query", "scope")
)
_KNOWN = "query_fields"


def parameters_of(handler: BaseRouteHandler) -> tuple[tuple[str, str, FieldDefinition], ...]:
    """Return place (path, query, header, cookie), name and field of each parameter.

    Those of what a handler depends on are among them, each once.
    """
    in_path = {name for path in handler.paths for name in _IN_PATH.findall(path)}
    found = []
    for field in _fields_of(handler.parsed_fn_signature, handler.resolve_dependencies()):
        kwarg = field.kwarg_definition
        place = "path" if field.name in in_path else "query"
        for where, kind in (("header", HeaderParameter), ("cookie", CookieParameter)):
            if isinstance(kwarg, kind):
                place = where
        found.append((place, str(getattr(kwarg, "name", None) or field.name), field))
    return tuple(found)


def _fields_of(
    signature: ParsedSignature, dependencies: dict[str, Provide]
) -> Iterator[FieldDefinition]:
    """Give the fields of a signature, those of its dependencies where these stand in it."""
    for field in signature.parameters.values():
        if field.name in dependencies:
            yield from _fields_of(dependencies[field.name].parsed_fn_signature, dependencies)
        elif field.name not in _GIVEN_BY_LITESTAR:
            yield field


def scopes_of(handler: BaseRouteHandler) -> tuple[Scope, ...]:
    """Return the scopes any of which lets one in; none where it is open to all."""
    given: Scope | tuple[Scope, ...] = handler.opt.get("scope", ())
    return (given,) if isinstance(given, Scope) else given


class QueryField(NamedTuple):
    """A query parameter: would "null" be read as none, and how often may it be given?"""

    has_null: bool
    most: int


def query_fields(handler: BaseRouteHandler) -> dict[str, QueryField]:
    """Return a handler's query parameters by name, remembered in the handler itself."""
    found: dict[str, QueryField] | None = handler.opt.get(_KNOWN)
    if found is None:
        named = parameters_of(handler)
        found = {name: _query_field(field) for place, name, field in named if place == "query"}
        handler.opt[_KNOWN] = found
    return found


def _query_field(field: FieldDefinition) -> QueryField:
    if field.is_non_string_sequence:
        return QueryField(has_null=False, most=getattr(field.kwarg_definition, "max_items", 0) or 1)
    has_null = field.is_optional and all(one.annotation is not str for one in field.inner_types)
    return QueryField(has_null, 1)
