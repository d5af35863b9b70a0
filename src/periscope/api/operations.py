"""What the application can be asked: every operation, read off the handlers themselves.

A handler says most by its signature and its docstring. What those cannot say stands in its `opt`:
`scope` (who may; a tuple: any of them), `body` and `answers` (forms by media type: a type, or a
JSON schema), `schemas` (of parameters by name, where their type does not say it: a function that
makes one), `problems` (statuses beyond those that follow from the rest), `etag` (its answer has
one).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition

from periscope.access import Scope
from periscope.api.answers import JSON
from periscope.api.parameters import parameters_of, scopes_of


class Forms(dict[str, Any]):
    """Of a body: by media type, a type or a JSON schema. Litestar copies `opt`; types stay."""

    def __deepcopy__(self, memo: Any) -> Forms:
        return self


@dataclass(frozen=True)
class Operation:
    """A method on a path."""

    path: str
    method: str
    handler: HTTPRouteHandler

    @property
    def name(self) -> str:
        """Its id: the name of its handler."""
        return str(self.handler.fn.__name__)

    @property
    def summary(self) -> str:
        """The first paragraph of the docstring."""
        return self._text.partition("\n\n")[0].replace("\n", " ")

    @property
    def description(self) -> str:
        """The rest of the docstring."""
        return self._text.partition("\n\n")[2].strip()

    @property
    def tags(self) -> list[str]:
        """The nouns that it is about."""
        return sorted(self.handler.tags or ())

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Any of these is needed; none: open to all."""
        return scopes_of(self.handler)

    @property
    def has_etag(self) -> bool:
        """Whether its answer bears a version that the next request can name."""
        return bool(self.handler.opt.get("etag"))

    @property
    def parameters(self) -> tuple[tuple[str, str, FieldDefinition], ...]:
        """Place, name and field of each parameter."""
        return parameters_of(self.handler)

    @cached_property
    def body(self) -> Forms:
        """The forms in which its body may come; empty: it has none."""
        declared: Forms | None = self.handler.opt.get("body")
        if declared is not None:
            return declared
        return Forms() if self._data is None else Forms({JSON: self._data.annotation})

    @property
    def needs_body(self) -> bool:
        """Whether there must be a body."""
        return bool(self.body) and not (self._data is not None and self._data.is_optional)

    @property
    def _data(self) -> FieldDefinition | None:
        return self.handler.parsed_fn_signature.parameters.get("data")

    @cached_property
    def answers(self) -> dict[int, Forms]:
        """What it answers when all is well, by status; without forms: no content."""
        more: dict[int, Forms] = dict(self.handler.opt.get("answers") or {})
        status = int(self.handler.status_code)
        if status not in more:
            inner = self.handler.parsed_fn_signature.return_type.inner_types
            shape = inner[0].annotation if inner else Any
            more[status] = Forms() if shape is type(None) else Forms({JSON: shape})
        if self.has_etag:
            more[304] = Forms()
        return dict(sorted(more.items()))

    @property
    def picks_fields(self) -> bool:
        """Whether it can be asked for some fields of its items only."""
        shape = self.body.get(JSON)
        in_body = "fields" in getattr(shape, "__struct_fields__", ())
        return in_body or any(name == "fields" for _, name, _ in self.parameters)

    @cached_property
    def problems(self) -> list[int]:
        """The statuses of what can go wrong; any other is a fault of the service."""
        found = {400, *self.handler.opt.get("problems", ())}
        if self.scopes:
            found |= {401, 403, 429, 503}
        if any(place == "path" for place, _, _ in self.parameters):
            found |= {404}
        if self.body:
            found |= {408, 413, 415, 422}
        if self.body and Scope.READ not in self.scopes:
            found |= {507}
        if Scope.ACT in self.scopes:
            found |= {404, 409}
        names = {name for place, name, _ in self.parameters if place != "path"}
        if names:
            found |= {422}
        if "cursor" in names:
            found |= {410}
        return sorted(found)

    @property
    def _text(self) -> str:
        return inspect.cleandoc(self.handler.fn.__doc__ or "")


def given_type(field: FieldDefinition) -> Any:
    """Return the type of what is given, where it may be left out."""
    inner = [one.annotation for one in field.inner_types if one.annotation is not type(None)]
    return inner[0] if field.is_optional and len(inner) == 1 else field.annotation


def operations_of(app: Litestar, *, hidden: bool = False) -> list[Operation]:
    """Return the operations in the order of their paths and methods; `hidden`: all there are."""
    found = (one for one in _each(app) if hidden or one.handler.include_in_schema is not False)
    return sorted(found, key=lambda one: (one.path, one.method))


def _each(app: Litestar) -> Iterator[Operation]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            for method in sorted(handler.http_methods):
                if method != "OPTIONS":
                    yield Operation(route.path_format, str(method), handler)
