"""What is on record, through HTTP; and what administrators do to threats."""

from __future__ import annotations

from typing import Any

import pytest

from periscope.access import Limits
from periscope.shapes import (
    Allowed,
    AuditPage,
    DeparturePage,
    Erased,
    Promoted,
    Removed,
    ThreatDesk,
    ThreatHistory,
)
from tests.api.conftest import Served
from tests.api.support import fits, put, refused

BY_ZOE = {"analyst_id": "zoe"}


async def audit(served: Served, limit: int = 1000, **filters: Any) -> list[dict[str, Any]]:
    """All pages of the audit trail, the newest first."""
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": limit, **filters}
    while True:
        page = fits(await served.admin.get("/v1/audit", params=params), AuditPage)
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        params["cursor"] = page["next_cursor"]


@pytest.mark.parametrize("where", ["in the store", "in the archive", "in both"])
async def test_the_audit_trail_page_by_page(served: Served, where: str) -> None:
    p = served.tenant.periscope
    await put(served, "t", "u")
    for number in range(12):
        await p.record_interaction("tu"[number % 2], f"a{number % 3}", "view", f"i{number}")
        if number == 6 and where == "in both":
            await p.archive_audit(await served.tenant.archive())
    if where == "in the archive":
        await p.archive_audit(await served.tenant.archive())
    views = await audit(served, action="view")
    assert [one["request_id"] for one in views] == [f"i{number}" for number in reversed(range(12))]
    everything = await audit(served)
    for limit in (1, 5):
        assert await audit(served, limit=limit) == everything
    mine = await audit(served, analyst="a0", threat_id="t", limit=1)
    assert [one["request_id"] for one in mine] == ["i6", "i0"]
    since, until = views[8]["at"], views[4]["at"]
    between = await audit(served, since=since, until=until, action="view")
    assert between == [one for one in views if since <= one["at"] <= until]
    assert await audit(served, until="2h") == []
    assert await audit(served, since="2h") == everything


async def test_what_is_no_page_of_the_trail(served: Served) -> None:
    for path in ("/v1/audit", "/v1/history"):
        for cursor in ("x", "1.2", "-1", "9" * 30, "1.2.3.4.5x"):
            refused(await served.admin.get(path, params={"cursor": cursor}), 422, "cursor-invalid")
        refused(await served.admin.get(f"{path}?since=soon"), 422, "parameters-unfit", "since")
    refused(await served.admin.get("/v1/history?reason=x"), 400, "bad-request", "reason")
    refused(await (await served.key("read")).get("/v1/audit"), 403, "forbidden")
    limited = await served.key("admin", limits=Limits(sources=("ids",)))
    for path in ("/v1/audit", "/v1/history"):
        refused(await limited.get(path), 403, "forbidden")
    for path in ("/v1/promote", "/v1/threats/t/allow", "/v1/threats/t/erase"):
        refused(await limited.post(path, json={}), 403, "forbidden")


async def test_removed_allowed_erased(served: Served) -> None:
    await put(served, "t", source="ids")
    admin = served.admin
    gone = await admin.post("/v1/threats/t/remove", json={**BY_ZOE, "note": "spam"})
    assert fits(gone, Removed) == {"removed": "t", "analyst_id": "zoe"}
    refused(await admin.get("/v1/threats/t"), 404, "threat-unknown")
    refused(await admin.post("/v1/threats/t/remove", json=BY_ZOE), 404, "threat-unknown")
    past = fits(await admin.get("/v1/threats/t/history"), ThreatHistory)
    told = {one["kind"]: one for one in past["items"]}
    assert (told["act"]["action"], told["departure"]["note"]) == ("remove", "spam")
    left = fits(
        await admin.get("/v1/history?source=ids&reason=removed&severity=HIGH"), DeparturePage
    )
    assert [one["threat_id"] for one in left["items"]] == ["t"]
    assert (await admin.get("/v1/history?source=edr")).json()["items"] == []
    assert fits(await admin.post("/v1/threats/t/allow", json=BY_ZOE), Allowed)["allowed"] == "t"
    refused(await admin.post("/v1/threats/t/allow", json=BY_ZOE), 404, "not-removed")
    erased = fits(await admin.post("/v1/threats/t/erase", json=BY_ZOE), Erased)
    assert erased["rows_blanked"] > 0
    past = fits(await admin.get("/v1/threats/t/history"), ThreatHistory)
    assert [one["title"] for one in past["items"] if one["kind"] == "departure"] == [""]


async def test_departures_page_by_page(served: Served) -> None:
    ids = [f"t{number}" for number in range(7)]
    await put(served, *ids)
    for one in ids:
        await served.admin.post(f"/v1/threats/{one}/remove", json=BY_ZOE)
    found: list[str] = []
    params: dict[str, Any] = {"limit": 3}
    while True:
        page = fits(await served.admin.get("/v1/history", params=params), DeparturePage)
        found += [one["threat_id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert found == ids[::-1]


async def test_the_history_of_one_threat(served: Served) -> None:
    await put(served, "t", "quiet")
    p = served.tenant.periscope
    for number in range(5):
        await p.comment("t", "ann", f"word {number}")
    history = fits(await served.admin.get("/v1/threats/t/history?limit=3"), ThreatHistory)
    said = [one["detail"]["comment"] for one in history["items"]]
    assert said == ["word 2", "word 3", "word 4"]
    quiet = fits(await served.admin.get("/v1/threats/quiet/history"), ThreatHistory)
    assert quiet["items"] == []
    refused(await served.admin.get("/v1/threats/nobody/history"), 404, "threat-unknown")


async def test_who_is_at_work(served: Served) -> None:
    await put(served, "t")
    p = served.tenant.periscope
    await p.record_interaction("t", "ann", "escalate")
    await p.claim("t", "bob")
    desk = fits(await served.admin.get("/v1/threats/t/interactions"), ThreatDesk)
    assert desk["claim"]["analyst_id"] == "bob"
    assert [(one["analyst_id"], one["action"]) for one in desk["acts"]] == [("ann", "escalate")]
    refused(await served.admin.get("/v1/threats/x/interactions"), 404, "threat-unknown")


async def test_promotion_is_on_record_with_who(served: Served) -> None:
    await put(served, "t")
    p = served.tenant.periscope
    for analyst in ("ann", "bob", "carl"):
        await p.record_interaction("t", analyst, "escalate")
        await p.record_interaction("t", analyst, "investigate")
    done = fits(await served.admin.post("/v1/promote"), Promoted)
    assert done == {"promoted": 1, "failed": 0, "promoted_ids": ["t"]}
    remark = (await audit(served, action="promote"))[0]
    assert remark["analyst_id"].startswith("key:")
    assert remark["detail"]["promoted"] == 1
    refused(await (await served.key("act")).post("/v1/promote"), 403, "forbidden")
