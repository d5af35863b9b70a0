"""The API as it describes itself, for tests that hold it to that."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import httpx
import msgspec

from periscope.api.app import assembled
from periscope.api.openapi import document
from periscope.api.operations import Operation, operations_of
from periscope.api.problem_table import all_kinds
from periscope.api.problems import MEDIA_TYPE, PREFIX
from periscope.shapes import Problem

APP = assembled(1 << 20)
DOCUMENT = document(APP)
OPERATIONS = operations_of(APP)
KINDS = {(one.status, PREFIX + one.kind) for one in all_kinds()}
NO_PATH = {PREFIX + "not-found", PREFIX + "method-not-allowed"}


def described(one: Operation) -> dict[str, Any]:
    """What the document says of an operation."""
    found: dict[str, Any] = DOCUMENT["paths"][one.path][one.method.lower()]
    return found


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """What a part of the document is, or refers to."""
    while "$ref" in part:
        found: Any = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def operation_of(method: str, path: str) -> Operation | None:
    """The operation that a request was for; a path without parameters goes before one with."""
    found = [one for one in OPERATIONS if one.method == method and _pattern(one).fullmatch(path)]
    return min(found, key=lambda one: one.path.count("{"), default=None)


@cache
def _pattern(one: Operation) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(one.path)))


async def hold_to_it(response: httpx.Response) -> None:
    """Every answer is one that the document knows; every error is a problem."""
    if response.status_code >= 400:
        await response.aread()
        check_problem(response)
    path = response.request.url.raw_path.partition(b"?")[0].decode()
    one = operation_of(response.request.method, path)
    if one is not None:
        check_described(one, response)


def check_problem(response: httpx.Response) -> None:
    """An error is a problem of a known type, and nothing else."""
    assert response.headers["content-type"] == MEDIA_TYPE, response.text
    problem = msgspec.json.decode(response.content, type=Problem)
    assert set(response.json()) <= set(Problem.__struct_fields__)
    assert problem.status == response.status_code
    assert (problem.status, problem.type) in KINDS, problem
    assert problem.instance == response.headers["x-request-id"]
    assert problem.title
    assert problem.detail
    assert ("retry-after" in response.headers) == (problem.retry_after_s is not None)


def check_described(one: Operation, response: httpx.Response) -> None:
    """Status, media type and headers are those that the document names for the operation."""
    answers = described(one)["responses"]
    place = f"{one.method} {one.path} answered {response.status_code}"
    assert str(response.status_code) in answers, f"{place}, which is not described"
    answer = resolved(answers[str(response.status_code)])
    for name, header in answer["headers"].items():
        assert not resolved(header)["required"] or name in response.headers, f"{place}: no {name}"
    assert ("etag" in response.headers) == ("ETag" in answer["headers"]), place
    if response.status_code < 400:
        check_request(one, response.request)
    kind = response.headers.get("content-type", "").partition(";")[0]
    assert kind in answer.get("content", {"": None}), f"{place} as {kind}"


def check_request(one: Operation, request: httpx.Request) -> None:
    """What was taken is described: its query, and its body by its media type."""
    told = described(one)
    names = {given["name"] for given in told.get("parameters", ()) if given["in"] == "query"}
    takes_any = one.handler.opt.get("any_query")
    assert takes_any or set(request.url.params) <= names, f"{one.name} took {request.url.params}"
    if request.headers.get("content-length", "0") != "0":
        forms = told.get("requestBody", {}).get("content", {})
        kind = request.headers.get("content-type", "").partition(";")[0]
        is_any = "format" in names  # says what the body is, whatever its type
        assert kind in forms or (forms and (is_any or not kind)), f"{one.name} took {kind!r}"
