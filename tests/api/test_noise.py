"""/v1/suppressions, /v1/suppressed, /v1/warninglists."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from periscope.access import Limits
from periscope.shapes import (
    Forgotten,
    NoiseExplained,
    PreviewDocument,
    SuppressedDocument,
    SuppressedPage,
    SuppressionDocument,
    SuppressionList,
    SuppressionShown,
    WarninglistDocument,
    WarninglistDropped,
    WarninglistList,
)
from tests.api.conftest import Served
from tests.api.shaped import remarks, shaped

DRILL = {"threat_id": "a/1", "content": "ET SCAN", "severity": "LOW", "source": "siem"}
RULE = {
    "where": ["source=siem", {"field": "severity", "op": "<=", "value": "MEDIUM"}],
    "reason": "a drill",
    "for_s": 3600,
    "rate": {"most": 100, "window_ms": 3_600_000},
}
LIST = {
    "name": "Harmless / hosts",
    "type": "hostname",
    "version": 1,
    "description": "A sample",
    "matching_attributes": ["domain"],
    "list": ["example.com", "example.org"],
}


async def test_previewed_made_seen_at_work_ended(served: Served) -> None:
    admin = served.admin
    await admin.post("/v1/reports", json=DRILL)
    asked = {"where": RULE["where"], "archive": True}
    preview = shaped(await admin.post("/v1/suppressions/preview", json=asked), PreviewDocument)
    assert (preview.matched, preview.by_source) == (1, {"siem": 1})
    assert (await admin.get("/v1/suppressions")).json() == {"items": []}

    rule = shaped(await admin.post("/v1/suppressions", json=RULE), SuppressionDocument, 201)
    assert (rule.author, rule.where_text) == ("key:first", ["source=siem", "severity<=MEDIUM"])
    assert rule.until_ms is not None
    assert rule.until_ms - rule.created_ms == 3_600_000
    told = (await admin.post("/v1/reports", json={**DRILL, "threat_id": "b/2"})).json()
    assert told["suppressed"] == 1

    shown = shaped(await admin.get(f"/v1/suppressions/{rule.id}"), SuppressionShown)
    assert (shown.suppressed, shown.newest[0].threat_id) == (1, "b/2")
    page = shaped(await admin.get(f"/v1/suppressed?cause=rule:{rule.id}"), SuppressedPage)
    assert (page.total, page.items) == (1, shown.newest)
    one = shaped(await admin.get("/v1/suppressed/b%2F2"), SuppressedDocument)
    assert one.count == 1
    gone = shaped(await admin.delete("/v1/suppressed/b%2F2"), Forgotten)
    assert (gone.forgotten, gone.was_suppressed) == ("b/2", True)
    assert (await admin.get("/v1/suppressed/b%2F2")).status_code == 404

    report = {"report": {**DRILL, "threat_id": "c"}}
    why = shaped(await admin.post("/v1/suppressions/explain", json=report), NoiseExplained)
    assert (why.suppressed, [r.id for r in why.rules]) == (True, [rule.id])
    ended = shaped(await admin.delete(f"/v1/suppressions/{rule.id}"), SuppressionDocument)
    assert (ended.active, ended.ended_by) == (False, "key:first")
    assert (await admin.get("/v1/suppressions")).json() == {"items": []}
    every = shaped(await admin.get("/v1/suppressions?ended=true"), SuppressionList)
    assert [one.id for one in every.items] == [rule.id]
    for action in ("add_suppression", "end_suppression", "forget_suppressed"):
        assert [who for who, _ in await remarks(served, action)] == ["key:first"], action


async def test_a_rule_in_force_is_on_record_whatever_is_in_it(served: Served) -> None:
    where = [{"field": "source", "op": "=", "value": "\1" * 200}] * 6
    body = {"where": where, "reason": "r"}
    answer = await served.admin.post("/v1/suppressions", json=body)
    rule = shaped(answer, SuppressionDocument, 201)
    ((who, told),) = await remarks(served, "add_suppression")
    assert (who, told["subject"]) == ("key:first", rule.id)
    assert told["where"].startswith("source=\1\1")


async def test_pages_of_what_is_suppressed(served: Served) -> None:
    await served.admin.post("/v1/suppressions", json=RULE)
    reports = [{**DRILL, "threat_id": f"n{number}"} for number in range(25)]
    await served.admin.post("/v1/reports", json=reports)
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 10}
    while True:
        page = shaped(await served.admin.get("/v1/suppressed", params=params), SuppressedPage)
        seen += [one.threat_id for one in page.items]
        if page.next_cursor is None:
            break
        params["cursor"] = page.next_cursor
    assert sorted(seen) == sorted(one["threat_id"] for one in reports)


async def test_a_list_loaded_at_work_and_dropped(served: Served) -> None:
    body = gzip.compress(json.dumps(LIST).encode())
    answer = await served.admin.post(
        "/v1/warninglists", content=body, headers={"content-encoding": "gzip"}
    )
    loaded = shaped(answer, WarninglistDocument, 201)
    assert (loaded.values, loaded.loaded_by) == (2, "key:first")
    assert shaped(await served.admin.get("/v1/warninglists"), WarninglistList).items == [loaded]
    indicators = [{"type": "domain-name", "value": "www.example.com"}]
    report = {**DRILL, "metadata": {"indicators": indicators}}
    told = (await served.admin.post("/v1/reports", json=report)).json()
    assert told["suppressed"] == 1
    path = "/v1/warninglists/Harmless%20%2F%20hosts"
    dropped = shaped(await served.admin.delete(path), WarninglistDropped)
    assert dropped.dropped == LIST["name"]
    assert (await served.admin.delete(path)).status_code == 404
    for action in ("load_warninglist", "drop_warninglist"):
        assert [told["subject"] for _, told in await remarks(served, action)] == [LIST["name"]]


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"[" * 100_000, b'{"name": "x"}', b"\xff"])
async def test_what_is_no_list(served: Served, body: bytes) -> None:
    answer = await served.admin.post("/v1/warninglists", content=body)
    assert (answer.status_code, answer.json()["type"]) == (
        422,
        "urn:periscope:problem:noise-invalid",
    )


@pytest.mark.parametrize(
    "change",
    [
        {"where": []},
        {"where": ["severity"]},
        {"where": ["no.such=1"]},
        {"where": ["severity<=CRITICAL"]},
        {"where": [{"field": "source", "op": "like", "value": "x"}]},
        {"reason": ""},
        {"for_s": 0},
        {"rate": {"most": 0, "window_ms": 1}},
        {"author": "ann"},
    ],
)
async def test_rules_that_cannot_be(served: Served, change: dict[str, Any]) -> None:
    answer = await served.admin.post("/v1/suppressions", json={**RULE, **change})
    assert answer.status_code == 422, answer.text
    assert (await served.admin.get("/v1/suppressions")).json() == {"items": []}


async def test_who_may(served: Served) -> None:
    reader = await served.key("read")
    assert (await reader.get("/v1/suppressions")).status_code == 200
    assert (await reader.post("/v1/suppressions", json=RULE)).status_code == 403
    assert (await reader.delete("/v1/suppressions/x")).status_code == 403
    assert (await reader.delete("/v1/suppressed/x")).status_code == 403
    assert (await reader.post("/v1/warninglists", json=LIST)).status_code == 403
    assert (await reader.delete("/v1/warninglists/x")).status_code == 403
    limited = await served.key("admin", limits=Limits(("siem",)))
    for path in ("/v1/suppressions", "/v1/suppressed", "/v1/suppressed/x", "/v1/suppressions/x"):
        assert (await limited.get(path)).status_code == 403
    assert (await limited.post("/v1/suppressions", json=RULE)).status_code == 403
    assert (await limited.post("/v1/warninglists", json=LIST)).status_code == 403
    assert (await served.admin.delete("/v1/suppressions/none")).status_code == 404
    assert (await served.admin.get("/v1/suppressions/none")).status_code == 404
