"""GET /openapi.json: the API described, complete, as OpenAPI 3.1. Made of the handlers at start."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from importlib.resources import files
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.typing import FieldDefinition

from periscope import __version__
from periscope.api.answers import json_answer
from periscope.api.gate import SESSION_COOKIE
from periscope.api.operations import Forms, Operation, given_type, operations_of
from periscope.api.problem_table import all_kinds
from periscope.api.problems import MEDIA_TYPE, TITLES
from periscope.api.schemas import Schema, Schemas
from periscope.shapes import Problem

TAGS = {
    "access": "Who may do what: API keys and accounts.",
    "acts": "What analysts do to threats, and taking that back.",
    "claims": "Who has which threat.",
    "events": "What happens, as it happens.",
    "feeds": "What is polled, and what of it could not be read.",
    "noise": "What is set aside, and by which rule or list.",
    "operations": "Whether the service lives and can serve, and what it can be asked.",
    "policy": "The rules by which all ranks, is promoted, and expires.",
    "records": "What is on record: who did what, and what has departed.",
    "reports": "What sources say: reports in any form that is read here.",
    "session": "People sign in and out; and who one is.",
    "views": "What people look at, saved under a name.",
    "upkeep": "What administrators do to threats.",
    "threats": "What was reported: the queue as it ranks now, and what is known.",
}
"""What the routes are about."""

ABOUT = """\
Exact, live, lossless threat triage.

Every request but those to open routes bears `Authorization: Bearer psk_...`. An id in a path is
percent-encoded, a slash in it as `%2F`. Every error is a problem (RFC 9457) with a stable `type`.
Parameters and fields that there are none of are refused. Times are RFC 3339 text and, in a field
that ends in `_ms`, milliseconds since 1970 (UTC). A document may gain fields; those that are here
stay.
"""

HEADERS: dict[str, Schema] = {
    "X-Request-ID": {
        "description": "The id of the request, which the server's log has as well.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "ETag": {
        "description": "The version of the answer; send it back in `If-None-Match`.",
        "required": True,
        "schema": {"type": "string", "pattern": '^(W/"[0-9a-f]{32}"|"[0-9]{1,20}")$'},
    },
    "Retry-After": {
        "description": "In so many seconds it makes sense to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "How to say who you are.",
        "required": True,
        "schema": {"type": "string"},
    },
}
OF_STATUS = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
"""Headers of problems, beside the id of the request."""


def document(app: Litestar) -> dict[str, Any]:
    """Return the description of an application."""
    return _Document(operations_of(app)).made()


class _Document:
    def __init__(self, operations: list[Operation]) -> None:
        self._operations = operations
        self._schemas = Schemas(_types(operations))
        self._examples = examples()

    def made(self) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = {}
        for one in self._operations:
            paths.setdefault(one.path, {})[one.method.lower()] = self._operation(one)
        used = {tag for one in self._operations for tag in one.tags}
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Periscope",
                "version": __version__,
                "description": ABOUT,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "tags": [{"name": name, "description": TAGS.get(name, "")} for name in sorted(used)],
            "security": [{"key": []}, {"session": []}],
            "paths": paths,
            "components": self._components(),
        }

    def _components(self) -> dict[str, Any]:
        statuses = {status for one in self._operations for status in one.problems}
        responses = {_name_of(status): self._problem(status) for status in sorted(statuses)}
        return {
            "schemas": self._schemas.components,
            "responses": {**responses, "Problem": self._problem(None)},
            "headers": HEADERS,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "psk_...",
                    "description": "An API key; it is shown once, when it is made.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": SESSION_COOKIE,
                    "description": "The session of somebody who signed in; for pages of this "
                    "server's own origin only.",
                },
            },
        }

    def _operation(self, one: Operation) -> dict[str, Any]:
        made: dict[str, Any] = {
            "operationId": one.name,
            "summary": one.summary,
            "description": _description(one),
            "tags": one.tags,
            "security": _security(one),
            "parameters": [self._parameter(one, *given) for given in one.parameters],
            "responses": self._responses(one),
        }
        if one.has_etag:
            made["parameters"].append(IF_NONE_MATCH)
        if not made["parameters"]:
            del made["parameters"]
        if one.body:
            example = self._examples.get(one.name, {}).get("body", {})
            content = self._content(one.body, self._schemas.of, example)
            made["requestBody"] = {"required": one.needs_body, "content": content}
        return made

    def _parameter(
        self, one: Operation, place: str, name: str, field: FieldDefinition
    ) -> dict[str, Any]:
        made_here = (one.handler.opt.get("schemas") or {}).get(name)
        made = {
            "name": name,
            "in": place,
            "required": place == "path" or field.is_required,
            "description": getattr(field.kwarg_definition, "description", None) or "",
            "schema": made_here() if made_here else self._schemas.of_parameter(field),
        }
        example = self._examples.get(one.name, {}).get("parameters", {}).get(name)
        return made if example is None else {**made, "example": example}

    def _responses(self, one: Operation) -> dict[str, Any]:
        found = self._examples.get(one.name, {}).get("answers", {})
        schemas, made = self._schemas, dict[str, Any]()
        schema_of = schemas.with_some_fields if one.picks_fields else schemas.of
        for status, forms in one.answers.items():
            names = ["X-Request-ID", *(["ETag"] if one.has_etag and status in (200, 304) else [])]
            made[str(status)] = {
                "description": HTTPStatus(status).phrase,
                "headers": _headers(names),
            }
            if forms:
                example = found.get(str(status), {})
                made[str(status)]["content"] = self._content(forms, schema_of, example)
        for status in one.problems:
            made[str(status)] = {"$ref": f"#/components/responses/{_name_of(status)}"}
        return {**made, "default": {"$ref": "#/components/responses/Problem"}}

    def _content(
        self, forms: Forms, schema_of: Callable[[Any], Schema], found: dict[str, Any]
    ) -> dict[str, Any]:
        made = {}
        for media_type, form in forms.items():
            example = {"example": found[media_type]} if media_type in found else {}
            made[media_type] = {"schema": schema_of(form), **example}
        return made

    def _problem(self, status: int | None) -> dict[str, Any]:
        kinds = [one for one in all_kinds() if one.status == status]
        lines = [f"- `{one.kind}`: {one.when}" for one in kinds]
        title = "Any other problem." if status is None else _title(status)
        names = ["X-Request-ID", *([OF_STATUS[status]] if status in OF_STATUS else [])]
        example = self._examples.get("problems", {}).get(str(status))
        media: dict[str, Any] = {"schema": self._schemas.of(Problem)}
        if example is not None:
            media["example"] = example
        return {
            "description": "\n\n".join([title, "\n".join(lines)]).strip(),
            "headers": _headers(names),
            "content": {MEDIA_TYPE: media},
        }


IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of an answer that you have: 304 if it is still the one.",
    "schema": {"type": "string"},
}


def examples() -> dict[str, Any]:
    """Return the examples: requests and what a real service answered to them."""
    text = files("periscope.api").joinpath("examples.json").read_bytes()
    found: dict[str, Any] = msgspec.json.decode(text)
    return found


def _types(operations: Iterable[Operation]) -> Iterable[Any]:
    yield Problem
    for one in operations:
        for forms in (one.body, *one.answers.values()):
            yield from (form for form in forms.values() if not isinstance(form, dict))
        yield from (given_type(field) for _, _, field in one.parameters)


def _description(one: Operation) -> str:
    scopes = " or ".join(f"`{scope.value}`" for scope in one.scopes)
    needs = f"Needs the scope {scopes}." if scopes else "Open to all."
    return "\n\n".join(part for part in (one.description, needs) if part)


def _security(one: Operation) -> list[dict[str, list[str]]]:
    """Who may; to `security` of a scheme that is not OAuth the roles are named."""
    return [{scheme: [scope.value]} for scope in one.scopes for scheme in ("key", "session")]


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _title(status: int) -> str:
    return TITLES.get(status) or HTTPStatus(status).phrase


def _name_of(status: int) -> str:
    return "".join(part.title() for part in HTTPStatus(status).phrase.replace("-", " ").split())


@get("/openapi.json", tags=["operations"], security=[])
async def openapi(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
    """Describe this API: OpenAPI 3.1."""
    return json_answer(request.app.state.openapi)  # type: ignore[no-any-return]


ROUTES: tuple[Any, ...] = (openapi,)
