"""GET /v1/threats and one threat: pages, fields, tags, and what a limited key sees."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Any

import httpx
import pytest

from periscope import documents
from periscope.access import Limits
from periscope.shapes import ThreatDocument, ThreatPage, ThreatShown
from tests.api.conftest import Served
from tests.api.support import fits, put, refused, to_level_two

IDS = Limits(sources=("ids",))


async def walk(client: httpx.AsyncClient, path: str, limit: int) -> list[str]:
    """The ids of all pages of a list."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        url = httpx.URL(path).copy_merge_params({"limit": limit, **more})
        page = fits(await client.get(url), ThreatPage)
        assert len(page["items"]) <= limit
        found += [one["threat_id"] for one in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            return found


async def test_one_threat_is_shown_whole(served: Served) -> None:
    await put(served, "t", source="ids", metadata={"title": "<b>"}, observed_at=1_700_000_000_000)
    p = served.tenant.periscope
    await p.record_interaction("t", "ann", "escalate", "i1")
    await p.claim("t", "ann")
    shown = fits(await served.admin.get("/v1/threats/t"), ThreatShown)
    threat = await p.get_threat("t")
    assert threat is not None
    assert set(documents.shown(threat, await p.get_desk("t"))) == set(shown)
    assert [one["interaction_id"] for one in shown["desk"]["acts"]] == ["i1"]
    assert shown["desk"]["claim"]["analyst_id"] == "ann"
    assert sum(one["value"] for one in shown["explanation"]["terms"]) == pytest.approx(
        shown["score"]
    )


async def test_a_tag_says_whether_there_is_news(served: Served) -> None:
    await put(served, "t")
    for path in ("/v1/threats/t", "/v1/threats", "/v1/threats?fields=threat_id"):
        first = await served.admin.get(path)
        same = await served.admin.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
    tag = {"If-None-Match": first.headers["etag"]}
    whole = await served.admin.get("/v1/threats", headers=tag)
    assert whole.status_code == 200
    shown = await served.admin.get("/v1/threats/t")
    await served.tenant.periscope.claim("t", "ann")
    news = await served.admin.get(
        "/v1/threats/t", headers={"If-None-Match": f'"x", {shown.headers["etag"]}'}
    )
    assert news.status_code == 200


async def test_some_fields_only(served: Served) -> None:
    await put(served, "t", "u", metadata={"a": [1, "\u2028"]})
    whole = (await served.admin.get("/v1/threats")).json()["items"]
    names = "metadata,threat_id,due_ms"
    for path in ("/v1/threats", "/v1/threats?overdue=false"):
        answer = await served.admin.get(httpx.URL(path).copy_merge_params({"fields": names}))
        items = answer.json()["items"]
        assert items == [{name: one[name] for name in names.split(",")} for one in whole]
    every = ",".join(ThreatDocument.__struct_fields__)
    fits(await served.admin.get(f"/v1/threats?fields={every}"), ThreatPage)
    for wrong in ("nonsense", "threat_id,", "desk"):
        answer = await served.admin.get("/v1/threats", params={"fields": wrong})
        refused(answer, 422, "parameters-unfit", "fields")


async def test_levels_and_overdue_by_name(served: Served) -> None:
    await put(served, "t", "u", metadata={"industry": "energy"})
    await to_level_two(served, "t")
    assert await walk(served.admin, "/v1/knowledge", 10) == ["t"]
    assert await walk(served.admin, "/v1/knowledge?level=3", 10) == []
    assert await walk(served.admin, "/v1/knowledge?industry=energy", 10) == []
    assert await walk(served.admin, "/v1/overdue?severity=HIGH", 10) == []
    answer = await served.admin.get("/v1/knowledge?level=2&industry=energy")
    refused(answer, 422, "parameters-unfit", "industry")
    refused(await served.admin.get("/v1/knowledge?level=1"), 400, "bad-request", "level")
    refused(await served.admin.get("/v1/overdue?level=2"), 400, "parameter-unknown", "level")
    refused(
        await served.admin.get("/v1/threats/t?threat_id=u"), 400, "parameter-unknown", "threat_id"
    )


@pytest.mark.parametrize("limit", [1, 3, 7, 1000])
async def test_a_limited_key_walks_what_it_sees_in_order(served: Served, limit: int) -> None:
    sources, severities = ("ids", "edr"), ("CRITICAL", "LOW", "HIGH")
    for number in range(40):
        more: dict[str, Any] = {"source": sources[number % 2], "severity": severities[number % 3]}
        await put(served, f"t{number:02}", **more)
    everything = (await served.admin.get("/v1/threats?limit=1000")).json()["items"]
    client = await served.key("read", limits=IDS)
    expected = [one["threat_id"] for one in everything if one["source"] == "ids"]
    assert await walk(client, "/v1/threats", limit) == expected
    both = await served.key("read", limits=Limits(sources=("ids",), severities=("LOW",)))  # type: ignore[arg-type]
    low = [one["threat_id"] for one in everything if one["severity"] == "LOW"]
    assert await walk(both, "/v1/threats", limit) == [one for one in expected if one in low]
    assert await walk(both, "/v1/threats?severity=LOW", limit) == [
        one for one in expected if one in low
    ]


async def test_a_limited_key_counts_nothing(served: Served) -> None:
    await put(served, "mine", source="ids")
    await put(served, "theirs-1", "theirs-2", source="edr", severity="CRITICAL")
    client = await served.key("read", limits=IDS)
    page = fits(await client.get("/v1/threats?limit=1"), ThreatPage)
    assert (page["total"], [one["threat_id"] for one in page["items"]]) == (None, ["mine"])
    for theirs, nobody in (("theirs-1", "nobody"), ("theirs-1/history", "nobody/history")):
        one = await client.get(f"/v1/threats/{theirs}")
        other = await client.get(f"/v1/threats/{nobody}")
        assert refused(one, 404, "threat-unknown") == refused(other, 404, "threat-unknown")
    for path in ("/v1/history",):
        refused(await client.get(path), 403, "forbidden")


async def test_a_cursor_does_not_say_where_it_stands(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("periscope.api.pages.LOOKED_AT", 2)
    monkeypatch.setattr("periscope.api.pages.LOOKS", 1)
    await put(served, *(f"secret-{number}" for number in range(9)), source="edr")
    client = await served.key("read", limits=IDS)
    page = (await client.get("/v1/threats?limit=2")).json()
    assert page["items"] == []
    cursor = str(page["next_cursor"])
    raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert b"secret" not in raw
    assert b"queue" not in raw
    assert await walk(client, "/v1/threats", 2) == []


async def test_tlp_limits(served: Served) -> None:
    for tlp in ("TLP:AMBER", "amber+strict", "RED", None):
        await put(served, f"{tlp}", metadata={} if tlp is None else {"tlp": tlp})
    client = await served.key("read", limits=Limits(tlp=("AMBER", "AMBER+STRICT")))
    assert sorted(await walk(client, "/v1/threats", 9)) == ["TLP:AMBER", "amber+strict"]
