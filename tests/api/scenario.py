"""A day of the service, request by request: what the document shows as examples, and scans with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from periscope.api.selected import derived_id
from tests.api import scenario_admin
from tests.api.described import OPERATIONS
from tests.api.steps import Step

JSON = "application/json"
WHO = {"analyst_id": "ana"}
THREAT = {"threat_id": "CVE-2024-0001"}
MANY = {"threat_ids": ["CVE-2024-0001", "unknown"]}


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
    Step("act_on_many", body={**WHO, **MANY, "act": "investigate", "request_id": "many-1"}),
    Step(
        "undo_many",
        body={**WHO, "interaction_ids": [derived_id("many-1", "CVE-2024-0001")]},
    ),
    Step("recall", THREAT, body=WHO),
    Step("decide", THREAT, body={**WHO, "outcome": "true_positive_impact", "note": "Confirmed."}),
    Step("get_threat", THREAT),
    Step("list_rows", query={"level": 2}),
    Step("look_up_rows", body={"threat_ids": ["host-17", "unknown"]}),
    Step("look_up", body={"ids": ["CVE-2024-0001", "unknown"], "fields": ["threat_id", "level"]}),
    Step("seen", body={"ids": ["CVE-2024-0001", "unknown"]}),
    Step("count_facets"),
    Step("count_by_time", query={"not_source": ["edr", "proxy"], "buckets": 4}),
    Step("list_similar", THREAT),
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
    *scenario_admin.STEPS,
)
"""In this order; every operation is among them, a test says so."""

ENDLESS = frozenset(("follow_events",))
UNIQUE = {
    "openapi": "the document itself",
    "list_settings": "of this machine",
    "get_timeline": "as many samples as minutes began",
    "count_facets": "as far as the index has come",
    "count_by_time": "as far as the index has come",
    "list_similar": "as far as the index has come",
}
SAMPLES = {
    name: value if isinstance(value, str) else "unknown"
    for step in STEPS
    for name, value in step.path.items()
}
"""What stands for each parameter of a path."""


def request_of(client: httpx.AsyncClient, step: Step, answers: Mapping[str, Any]) -> httpx.Request:
    """The request of a step after others, as a page of the service's own would send it."""
    one = next(one for one in OPERATIONS if one.name == step.operation)
    path = one.path
    for name, value in step.path_of(answers).items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    body: dict[str, Any] = {} if step.body is None else {"json": step.body}
    origin = {"Origin": str(client.base_url).rstrip("/")}
    query = dict(step.query) or None
    return client.build_request(one.method, path, params=query, headers=origin, **body)


async def live(client: httpx.AsyncClient, steps: Iterable[Step] = STEPS) -> dict[str, Any]:
    """Do all of it; the first answer of each operation."""
    answers: dict[str, Any] = {}
    for step in steps:
        answer = await client.send(
            request_of(client, step, answers), stream=step.operation in ENDLESS
        )
        assert answer.status_code < 300, (step, answer.status_code, await answer.aread())
        if step.operation in ENDLESS:
            await answer.aclose()
        answers.setdefault(step.operation, answer)
    return answers
