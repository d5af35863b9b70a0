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
    """A request: the operation's name, what stands for its parameters, its body.

    What a path has of an earlier answer is a function of the answers until then.
    """

    operation: str
    path: Mapping[str, Any] = MappingProxyType({})
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


ACCOUNT = {"name": "ben"}
PASSWORD = "correct horse battery"
WHERE = ["source=drill", "severity<=MEDIUM"]
DRILL = {"threat_id": "drill-1", "content": "A drill.", "severity": "LOW", "source": "drill"}
LIST = {
    "name": "harmless",
    "type": "hostname",
    "version": 1,
    "description": "A sample",
    "matching_attributes": ["domain"],
    "list": ["example.com"],
}
FEED = {"kind": "http", "place": "https://feeds.example/kev.json", "format": "kev"}


def rule(answers: dict[str, Any]) -> str:
    return str(answers["add_suppression"].json()["id"])


def new_key(answers: dict[str, Any]) -> str:
    return str(answers["create_key"].json()["key"]["prefix"])


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
    Step("list_similar", THREAT),
    Step("count_facets"),
    Step("who_am_i"),
    Step("create_key", body={"name": "sensor", "scopes": ["ingest"], "rate_per_s": 50}),
    Step("list_keys"),
    Step("revoke_key", {"prefix": new_key}),
    Step("create_account", body={**ACCOUNT, "password": PASSWORD, "scopes": ["read"]}),
    Step("sign_in", body={**ACCOUNT, "password": PASSWORD, "namespace": "periscope"}),
    Step("sign_out"),
    Step("set_scopes", ACCOUNT, body={"scopes": ["read", "act"]}),
    Step("set_password", ACCOUNT, body={"password": f"{PASSWORD} staple"}),
    Step("disable_account", ACCOUNT),
    Step("enable_account", ACCOUNT),
    Step("list_accounts"),
    Step("get_policy"),
    Step("set_policy", body={"working_ttl_ms": 7_200_000}),
    Step("get_stats"),
    Step("get_ledger"),
    Step("list_formats"),
    Step("define_feed", {"name": "exploited"}, body=FEED),
    Step("get_feed", {"name": "exploited"}),
    Step("pause_feed", {"name": "exploited"}),
    Step("resume_feed", {"name": "exploited"}),
    Step("list_feeds"),
    Step("list_kept"),
    Step("list_letters", {"feed": "exploited"}),
    Step("replay_letters", {"feed": "exploited"}, body={"ids": []}),
    Step("drop_letters", {"feed": "exploited"}),
    Step("remove_feed", {"name": "exploited"}),
    Step("preview_suppression", body={"where": WHERE}),
    Step("add_suppression", body={"where": WHERE, "reason": "A drill.", "for_s": 3600}),
    Step("explain_suppression", body={"report": DRILL}),
    Step("add_reports", body=DRILL),
    Step("list_suppressions"),
    Step("get_suppression", {"rule_id": rule}),
    Step("list_suppressed"),
    Step("get_suppressed", {"threat_id": "drill-1"}),
    Step("forget_suppressed", {"threat_id": "drill-1"}),
    Step("end_suppression", {"rule_id": rule}),
    Step("load_warninglist", body=LIST),
    Step("list_warninglists"),
    Step("drop_warninglist", {"name": "harmless"}),
    Step("export_threats", query={"level": 2}),
    Step("follow_events"),
    Step("metrics"),
    Step("remove", {"threat_id": "host-17"}, body={**WHO, "note": "Test data."}),
    Step("list_history"),
    Step("allow", {"threat_id": "host-17"}, body=WHO),
    Step("erase", {"threat_id": "host-17"}, body=WHO),
)
"""In this order; every operation is among them or ELSEWHERE, a test says so."""

ELSEWHERE = {
    "begin_sign_in": "needs a provider of identities: test_session_oidc.py",
    "finish_sign_in": "needs a provider of identities: test_session_oidc.py",
    "receive": "needs a receiver that is configured: test_receivers.py",
    "run_feed": "fetches from another host: test_feeds.py",
    "get_letter": "needs a letter that could not be read: test_feeds.py",
    "drop_letter": "needs a letter that could not be read: test_feeds.py",
}
"""Operations that need more than a request to answer well: scanned, and without an example."""

ENDLESS = frozenset(("follow_events",))
UNIQUE = {"openapi": "the document itself"}
SAMPLES = {
    "threat_id": "CVE-2024-0001",
    "name": "exploited",
    "feed": "exploited",
    "letter_id": "letter-1",
    "prefix": "unknownn",
    "rule_id": "rule-1",
}
"""What stands for each parameter of a path in a scan."""


def path_of(step: Step, answers: dict[str, Any]) -> dict[str, str]:
    """What stands for the parameters of a step's path."""
    return {name: value(answers) if callable(value) else value for name, value in step.path.items()}


def request_of(
    client: httpx.AsyncClient, step: Step, answers: dict[str, Any] | None = None
) -> httpx.Request:
    """The request of a step."""
    one = next(one for one in OPERATIONS if one.name == step.operation)
    path = one.path
    for name, value in path_of(step, answers or {}).items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    body: dict[str, Any] = {} if step.body is None else {"json": step.body}
    own = {"Origin": str(client.base_url)}
    return client.build_request(
        one.method, path, params=dict(step.query) or None, headers=own, **body
    )


async def live(client: httpx.AsyncClient, steps: Iterable[Step] = STEPS) -> dict[str, Any]:
    """Do all of it; the answers by operation."""
    answers: dict[str, Any] = {}
    for step in steps:
        request = request_of(client, step, answers)
        answer = await client.send(request, stream=step.operation in ENDLESS)
        assert answer.status_code < 300, (step, answer.status_code, await answer.aread())
        if step.operation in ENDLESS:
            await answer.aclose()
        answers.setdefault(step.operation, answer)
    return answers
