"""The examples that the document shows are real: what a service answers now is the same.

`WRITE_EXAMPLES=1 pytest tests/api/test_examples.py` writes them anew from a run.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import msgspec

import periscope.api.openapi
from periscope.api.openapi import examples
from tests.api.conftest import Served
from tests.api.described import OPERATIONS, described
from tests.api.scenario import ENDLESS, JSON, STEPS, UNIQUE, live
from tests.api.scenario_admin import ELSEWHERE, arrange

FILE = Path(periscope.api.openapi.__file__).parent / "examples.json"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|[\d.]+ (ms|s)")
CHANCE = frozenset(
    (
        *(
            "instance",
            "interaction_id",
            "next_cursor",
            "prefix",
            "secret",
            "undone",
            "id",
            "view_id",
        ),
        *(
            "rule_id",
            "cause",
            "because",
            "entry",
            "request_id",
            "used_memory_bytes",
            "version",
            "held",
            "size",
        ),
    )
)
NOTED = ("last_used", "last_used_ms")
"""What is noted now and then."""
SECRET = re.compile(r"psk_\w{8}_\w{43}")
"""Fields whose values are of one run only."""
WRONG: tuple[tuple[int, str, str, dict[str, str]], ...] = (
    (401, "GET", "/v1/threats", {"Authorization": "Bearer psk_unknown"}),
    (404, "GET", "/v1/threats/unknown", {}),
    (400, "GET", "/v1/threats?sort=score", {}),
    (422, "GET", "/v1/threats?level=2&status=open", {}),
    (415, "POST", "/v1/reports", {"Content-Type": "image/png"}),
)


def test_every_operation_has_its_step() -> None:
    assert {one.name for one in OPERATIONS} == {step.operation for step in STEPS} | ELSEWHERE


async def test_the_examples_are_what_is_answered(served: Served) -> None:
    arrange(served)
    answers = await live(served.admin)
    now: dict[str, Any] = {}
    for step in STEPS:
        made: dict[str, Any] = {"parameters": {**step.path_of(answers), **step.query}}
        if step.body is not None:
            made["body"] = {JSON: step.body}
        answer = answers[step.operation]
        if step.operation not in ENDLESS | UNIQUE.keys() and is_json(answer):
            made["answers"] = {str(answer.status_code): {JSON: answer.json()}}
        now.setdefault(step.operation, {name: value for name, value in made.items() if value})
    now["problems"] = {
        str(status): await wrong(served, method, path, headers)
        for status, method, path, headers in WRONG
    }
    now = {name: now[name] for name in sorted(now) if now[name]}
    if os.environ.get("WRITE_EXAMPLES"):
        told = json.dumps(now, indent=2, ensure_ascii=False) + "\n"
        FILE.write_text(SECRET.sub(f"psk_Example0_{'x' * 43}", told))
    assert lasting(now) == lasting(examples())


async def wrong(served: Served, method: str, path: str, headers: dict[str, str]) -> Any:
    content = b"x" if method == "POST" else None
    answer = await served.admin.request(method, path, headers=headers, content=content)
    return answer.json()


def is_json(answer: Any) -> bool:
    return str(answer.headers.get("content-type", "")).startswith(JSON)


def test_each_is_shown_where_it_belongs() -> None:
    for one in OPERATIONS:
        told = described(one)
        shown = examples().get(one.name, {})
        for status, forms in shown.get("answers", {}).items():
            assert told["responses"][status]["content"][JSON]["example"] == forms[JSON]
        for media_type, body in shown.get("body", {}).items():
            assert told["requestBody"]["content"][media_type]["example"] == body
        named = {given["name"]: given for given in told.get("parameters", ())}
        for name, value in shown.get("parameters", {}).items():
            assert named[name]["example"] == value


def lasting(part: Any, name: str = "") -> Any:
    """What of an example is the same in every run."""
    if name in NOTED:
        return "now or never"
    if isinstance(part, dict) and not name.endswith("_ms"):
        return {inner: lasting(value, inner) for inner, value in part.items()}
    if isinstance(part, list):
        return [lasting(inner) for inner in part]
    is_moment = name == "revision" and isinstance(part, int) and part > 2**40  # of a saved view
    if isinstance(part, float) or name.endswith("_ms") or name in CHANCE or is_moment:
        return type(part).__name__
    return MOMENT.sub("moment", part) if isinstance(part, str) else part


def test_what_is_compared_is_not_nothing() -> None:
    assert lasting({"a": 1, "b_ms": 2, "c": "2026-01-31T12:00:00.000Z"}) == {
        "a": 1,
        "b_ms": "int",
        "c": "moment",
    }
    assert msgspec.json.decode(FILE.read_bytes()) == examples()
