"""The administration's part of a day of the service."""

from __future__ import annotations

from typing import Any

from periscope.models import Unreadable
from periscope.polling import DeadLetters
from periscope.polling.deadletters import letter
from tests.api.steps import Of, Step

PASSWORD = "correct horse battery"
ANA = {"name": "ana"}
KEV = {"name": "kev"}
LISTED = {"name": "Known harmless hosts"}
DRILL = {"where": ["source=drill", "severity<=MEDIUM"]}
DRILLED = {"threat_id": "drill-1", "content": "ET SCAN", "severity": "LOW", "source": "drill"}
VIEW = {"view_id": Of("add_view", "id")}
RULE = {"rule_id": Of("add_suppression", "id")}
LETTER = letter(
    *("kev", "kev.json"),
    Unreadable("severity: missing", "CVE-2024-0002", "record 7", b'{"cveID": "CVE-2024-0002"}'),
    format="kev",
)
OF_LETTER = {"feed": "kev", "letter_id": LETTER.id}


def arrange(served: Any) -> None:
    """What must be there, and cannot be sent: a record that could not be read."""
    DeadLetters(served.tenant.periscope.settings.dead_letters_path).add("kev", [LETTER])


STEPS = (
    Step("get_policy"),
    Step("set_policy", body={"promote_score": 0.75, "working_ttl_ms": 7_200_000}),
    Step("get_stats"),
    Step("list_settings"),
    Step("get_board"),
    Step("get_timeline", query={"for_s": 3600}),
    Step("add_view", body={"name": "Mail gateways", "query": "tag:mail", "shared": True}),
    Step("list_views"),
    Step(
        "change_view",
        VIEW,
        body={"name": "Mail gateways", "query": "tag:mail", "shared": True, "revision": 1},
    ),
    Step("remove_view", VIEW),
    Step("get_kpis", query={"for_s": 3600}),
    Step("get_ledger", query={"deep": True}),
    Step("list_formats"),
    Step(
        "create_key", body={"name": "siem", "scopes": ["ingest"], "limits": {"sources": ["siem"]}}
    ),
    Step("list_keys"),
    Step("revoke_key", {"prefix": Of("create_key", "key", "prefix")}),
    Step("create_account", body={**ANA, "password": PASSWORD, "scopes": ["read", "act"]}),
    Step("list_accounts"),
    Step("sign_in", body={**ANA, "password": PASSWORD}),
    Step("who_am_i"),
    Step("sign_out"),
    Step("set_password", ANA, body={"password": PASSWORD + "!"}),
    Step("set_scopes", ANA, body={"scopes": ["admin"]}),
    Step("disable_account", ANA),
    Step("enable_account", ANA),
    Step(
        "define_feed",
        KEV,
        body={"kind": "http", "place": "https://192.0.2.1/kev.json", "format": "kev"},
    ),
    Step("get_feed", KEV),
    Step("run_feed", KEV, query={"wait_s": 30}),
    Step("pause_feed", KEV),
    Step("list_feeds"),
    Step("resume_feed", KEV),
    Step("remove_feed", KEV),
    Step("list_kept"),
    Step("list_letters", {"feed": "kev"}, query={"limit": 10}),
    Step("get_letter", OF_LETTER),
    Step("replay_letters", {"feed": "kev"}, body={"severity": "HIGH"}),
    Step("drop_letter", OF_LETTER),
    Step("drop_letters", {"feed": "kev"}),
    Step("preview_suppression", body={**DRILL, "since_s": 3600}),
    Step("add_suppression", body={**DRILL, "reason": "An announced drill.", "for_s": 86_400}),
    Step("explain_suppression", body={"report": DRILLED}),
    Step("add_reports", body=DRILLED),
    Step("get_suppression", RULE),
    Step("list_suppressions"),
    Step("list_suppressed", query={"limit": 10}),
    Step("get_suppressed", {"threat_id": "drill-1"}),
    Step("forget_suppressed", {"threat_id": "drill-1"}),
    Step("end_suppression", RULE),
    Step(
        "load_warninglist",
        body={
            **LISTED,
            "type": "hostname",
            "version": 1,
            "description": "Hosts of our own.",
            "matching_attributes": ["domain", "hostname"],
            "list": ["intranet.example"],
        },
    ),
    Step("list_warninglists"),
    Step("drop_warninglist", LISTED),
)

ELSEWHERE = frozenset(("receive", "begin_sign_in", "finish_sign_in"))
"""What needs somebody else as well: test_receivers.py and test_session_oidc.py have them."""
