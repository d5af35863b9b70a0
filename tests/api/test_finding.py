"""What the board does not index: found, counted, exact up to what the answer says."""

from __future__ import annotations

from typing import Any

import pytest

from periscope.access import Limits
from periscope.index import IndexState
from periscope.shapes import FacetsDocument, SimilarList, ThreatPage
from tests.api.conftest import Served
from tests.api.support import fits, refused
from tests.membership.support import wait_until


def report(number: int, **more: Any) -> dict[str, Any]:
    metadata = {
        "tags": ["even" if number % 2 == 0 else "odd"],
        "tlp": ("AMBER", "GREEN")[number % 2],
    }
    return {
        "threat_id": f"t{number:03d}",
        "content": f"beacon {number} to evil.example",
        "severity": ("LOW", "MEDIUM", "HIGH", "CRITICAL")[number % 4],
        "metadata": {**metadata, **more},
        "source": ("edr", "siem")[number % 2],
    }


@pytest.fixture
async def filled(served: Served) -> Served:
    """A service with 40 threats, whose index knows them."""
    index = served.tenant.index
    assert index is not None
    await wait_until(lambda: index.status.state is IndexState.READY, "the index is built")
    await served.admin.post("/v1/reports", json=[report(number) for number in range(40)])
    assert await index.reached(await served.tenant.periscope.get_event_position(), 10)
    return served


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("text=beacon+7", [7]),
        ("source=edr&limit=1000", range(0, 40, 2)),
        ("tag=odd&severity=CRITICAL", range(3, 40, 4)),
        ("tlp=GREEN&text=evil.example&limit=3", range(1, 40, 2)),
        ("holder=ann", []),
        ("text=nothing+like+it", []),
    ],
)
async def test_pages_hold_what_fits(filled: Served, query: str, numbers: Any) -> None:
    found: list[str] = []
    cursor = ""
    while True:
        answer = await filled.admin.get(f"/v1/threats?{query}{cursor}")
        page = fits(answer, ThreatPage)
        assert page["position"]
        found += [one["threat_id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(found) == [f"t{number:03d}" for number in numbers]
    whole = (await filled.admin.get("/v1/threats?limit=1000")).json()
    ranks = [one["threat_id"] for one in whole["items"]]
    assert found == sorted(found, key=ranks.index)


async def test_what_is_held_is_found_by_its_holder(filled: Served) -> None:
    done = await filled.admin.post("/v1/threats/t005/claim", json={"analyst_id": "ann"})
    assert done.status_code == 200
    after = await filled.tenant.periscope.get_event_position()
    page = (await filled.admin.get("/v1/threats", params={"holder": "ann", "after": after})).json()
    assert [one["threat_id"] for one in page["items"]] == ["t005"]


async def test_facets_count_what_fits(filled: Served) -> None:
    counts = fits(await filled.admin.get("/v1/facets?source=edr"), FacetsDocument)
    assert counts["total"] == 20
    assert counts["severity"] == {"LOW": 10, "HIGH": 10}
    assert counts["tag"] == {"even": 20}


async def test_what_is_alike(filled: Served) -> None:
    shared = {"indicators": [{"type": "ipv4-addr", "value": "203.0.113.7"}]}
    await filled.admin.post("/v1/reports", json=[report(60, **shared), report(62, **shared)])
    after = await filled.tenant.periscope.get_event_position()
    assert filled.tenant.index is not None
    assert await filled.tenant.index.reached(after, 10)
    found = fits(await filled.admin.get("/v1/threats/t060/similar"), SimilarList)
    assert found["items"][0]["threat"]["threat_id"] == "t062"
    assert found["items"][0]["indicators"] == ["ipv4-addr:203.0.113.7"]


async def test_a_limited_key_finds_nothing_else(filled: Served) -> None:
    async with await filled.key("read", limits=Limits(sources=("siem",))) as limited:
        page = (await limited.get("/v1/threats?text=beacon&limit=1000")).json()
        assert len(page["items"]) == 20
        assert (await limited.get("/v1/threats?source=edr&text=beacon")).json()["items"] == []
        counts = (await limited.get("/v1/facets")).json()
        assert (counts["total"], counts["source"]) == (20, {"siem": 20})
        refused(await limited.get("/v1/threats/t000/similar"), 404, "threat-unknown")


async def test_without_an_index_it_says_so(serve: Any) -> None:
    one = await serve(serve_index="off")
    refused(await one.admin.get("/v1/threats?text=x"), 501, "index-off")
