"""A day of the service, request by request: what the document shows as examples, and scans with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from tests.api.described import OPERATIONS

JSON = "application/json"
WHO = {"analyst_id": "ana"}
THREAT = {"threat_id": "CVE-2024-0001"}


class Step(NamedTuple):
    """A request: the operation's name, what stands for its parameters, its body."""

    operation: str
    path: Mapping[str, str] = MappingProxyType({})
    query: Mapping[str, Any] = MappingProxyType({})
    body: Any = None


def report(threat_id: str, severity: str) -> dict[str, Any]:
    return {
        "threat_id": threat_id,
        "content": "Remote code execution in a mail gateway.",
        "severity": severity,
        "metadata": {"vendor": "Example", "tags": ["mail", "rce"]},
        "source": "scanner",
        "observed_at": "2026-01-31T12:00:00Z",
    }


STEPS = (
    Step("healthz"),
    Step("readyz"),
    Step("openapi"),
    Step("add_reports", body=[report("CVE-2024-0001", "CRITICAL"), report("host-17", "HIGH")]),
    Step("list_threats", query={"severity": "CRITICAL", "limit": 1}),
    Step("interact", body={**WHO, **THREAT, "action": "escalate", "interaction_id": "act-1"}),
    Step("interact_batch", body=[{**WHO, **THREAT, "action": "view"}]),
    Step("claim", THREAT, body={**WHO, "lease_s": 900}),
    Step("release", THREAT, body={**WHO, "token": 1}),
    Step("claim_next", body={**WHO, "severity": "HIGH"}),
    Step("comment", THREAT, body={**WHO, "text": "Seen on two hosts."}),
    Step("snooze", THREAT, body={**WHO, "for_s": 3600, "note": "Patch window."}),
    Step("reopen", THREAT, body={**WHO, "request_id": "act-2"}),
    Step("undo", body={**WHO, "interaction_id": "act-2"}),
    Step("recall", THREAT, body=WHO),
    Step("decide", THREAT, body={**WHO, "outcome": "true_positive_impact", "note": "Confirmed."}),
    Step("get_threat", THREAT),
    Step("look_up", body={"ids": ["CVE-2024-0001", "unknown"], "fields": ["threat_id", "level"]}),
    Step("seen", body={"ids": ["CVE-2024-0001", "unknown"]}),
    Step("get_threat_interactions", THREAT),
    Step("get_threat_history", THREAT),
    Step("list_knowledge", query={"level": 2}),
    Step("list_overdue", query={"severity": "LOW"}),
    Step("list_audit", query={"threat_id": "host-17"}),
    Step("promote"),
    Step("export_threats", query={"level": 2}),
    Step("follow_events"),
    Step("metrics"),
    Step("remove", {"threat_id": "host-17"}, body={**WHO, "note": "Test data."}),
    Step("list_history"),
    Step("allow", {"threat_id": "host-17"}, body=WHO),
    Step("erase", {"threat_id": "host-17"}, body=WHO),
)
"""In this order; every operation is among them, a test says so."""

ENDLESS = frozenset(("follow_events",))
UNIQUE = {"openapi": "the document itself"}
SAMPLES = {name: value for step in STEPS for name, value in step.path.items()}
"""What stands for each parameter of a path."""


def request_of(client: httpx.AsyncClient, step: Step) -> httpx.Request:
    """The request of a step."""
    one = next(one for one in OPERATIONS if one.name == step.operation)
    path = one.path
    for name, value in step.path.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    body: dict[str, Any] = {} if step.body is None else {"json": step.body}
    return client.build_request(one.method, path, params=dict(step.query) or None, **body)


async def live(client: httpx.AsyncClient, steps: Iterable[Step] = STEPS) -> dict[str, Any]:
    """Do all of it; the answers by operation."""
    answers = {}
    for step in steps:
        answer = await client.send(request_of(client, step), stream=step.operation in ENDLESS)
        assert answer.status_code < 300, (step, answer.status_code, await answer.aread())
        if step.operation in ENDLESS:
            await answer.aclose()
        answers[step.operation] = answer
    return answers
