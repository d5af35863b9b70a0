"""Filters that all lists have: what is left out, bounds of time; and how often they are given."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from periscope.access import Limits
from periscope.index import IndexState
from periscope.shapes import FacetsDocument, HistogramDocument, RowPage, ThreatPage
from tests.api.conftest import Served
from tests.api.support import fits, refused, to_level_two
from tests.membership.support import wait_until

SEVERITIES = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
SOURCES = ("edr", "siem", "null", "a,b")
TLPS = ("AMBER", "white", "TLP:RED")
TAGS = ("Even", "odd", "third")


def report(number: int) -> dict[str, Any]:
    tags = [TAGS[number % 2], *([TAGS[2]] if number % 3 == 0 else [])]
    tlp = {"tlp": TLPS[number % 4]} if number % 4 < 3 else {}
    return {
        "threat_id": f"t{number:02d}",
        "content": f"beacon {number}",
        "severity": SEVERITIES[number % 4],
        "source": SOURCES[number // 2 % 4],
        "metadata": {"tags": tags, **tlp},
    }


@pytest.fixture
async def filled(served: Served) -> Served:
    """A service with 32 threats, each first seen at a moment of its own, whose index knows them."""
    index = served.tenant.index
    assert index is not None
    await wait_until(lambda: index.status.state is IndexState.READY, "the index is built")
    for number in range(32):
        await served.admin.post("/v1/reports", json=[report(number)])
    await to_level_two(served, "t31")
    assert await index.reached(await served.tenant.periscope.get_event_position(), 10)
    return served


async def ids(served: Served, path: str, query: str, shape: Any) -> list[str]:
    """Of all pages of this list."""
    found, cursor = list[str](), ""
    while True:
        page = fits(await served.admin.get(f"{path}?limit=9&{query}{cursor}"), shape)
        found += [one["threat_id"] for one in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


CASES = (
    ("not_source=edr", lambda one: one["source"] != "edr"),
    ("not_source=edr&not_source=null", lambda one: one["source"] in ("siem", "a,b")),
    ("not_source=a,b&not_source=edr", lambda one: one["source"] in ("siem", "null")),
    ("not_tag=EVEN", lambda one: "Even" not in one["metadata"]["tags"]),
    ("not_tag=odd&not_tag=Third", lambda one: one["metadata"]["tags"] == ["Even"]),
    ("not_tlp=clear", lambda one: one["metadata"].get("tlp") != "white"),
    ("not_tlp=&not_tlp=red", lambda one: one["metadata"].get("tlp") in ("AMBER", "white")),
    ("not_severity=LOW&not_severity=HIGH", lambda one: one["severity"] in ("MEDIUM", "CRITICAL")),
    (
        "text=beacon&source=edr&not_tag=third&not_severity=LOW",
        lambda one: (
            one["source"] == "edr"
            and "third" not in one["metadata"]["tags"]
            and one["severity"] != "LOW"
        ),
    ),
)


@pytest.mark.parametrize(("query", "is_such"), CASES, ids=[case[0] for case in CASES])
async def test_what_is_left_out_is_on_no_list(filled: Served, query: str, is_such: Any) -> None:
    reports = {one["threat_id"]: one for one in map(report, range(32))}
    expected = [name for name, one in reports.items() if is_such(one)]
    listed = await ids(filled, "/v1/threats", query, ThreatPage)
    assert sorted(listed) == [name for name in expected if name != "t31"]
    assert listed == await ids(filled, "/v1/rows", query, RowPage)
    of_2 = await ids(filled, "/v1/threats", f"level=2&{query}", ThreatPage)
    assert of_2 == [name for name in expected if name == "t31"]
    counts = fits(await filled.admin.get(f"/v1/facets?{query}"), FacetsDocument)
    assert counts["total"] == len(expected)
    assert counts["source"] == Counter(reports[name]["source"] for name in expected)
    assert counts["severity"] == Counter(reports[name]["severity"] for name in expected)
    shown = fits(await filled.admin.get(f"/v1/histogram?{query}"), HistogramDocument)
    assert shown["total"] == sum(shown["counts"]) == len(expected)


async def test_bounds_of_time(filled: Served) -> None:
    rows = (await filled.admin.get("/v1/rows?limit=100")).json()["items"]
    first = {one["threat_id"]: one["first_seen_ms"] for one in rows}
    low, high = first["t05"], first["t20"]
    query = f"first_seen_from={low}&first_seen_until={high}"
    expected = sorted(name for name, moment in first.items() if low <= moment < high)
    assert sorted(await ids(filled, "/v1/threats", query, ThreatPage)) == expected
    counts = (await filled.admin.get(f"/v1/facets?level=1&{query}")).json()
    assert counts["total"] == len(expected)
    last = {one["threat_id"]: one["last_activity_ms"] for one in rows}
    query = f"last_activity_from={last['t05'] + 1}&last_activity_until={last['t20']}"
    expected = sorted(n for n, moment in last.items() if last["t05"] < moment < last["t20"])
    assert sorted(await ids(filled, "/v1/rows", query, RowPage)) == expected
    assert not await ids(filled, "/v1/rows", "first_seen_until=0", RowPage)


async def test_a_histogram_counts_by_when_they_were_first_seen(filled: Served) -> None:
    rows = (await filled.admin.get("/v1/rows?limit=100")).json()["items"]
    moments = sorted(one["first_seen_ms"] for one in rows)
    begin, end = moments[0], moments[20]
    query = f"from={begin}&until={end}&buckets=5&status=open"
    shown = fits(await filled.admin.get(f"/v1/histogram?{query}"), HistogramDocument)
    assert (shown["from_ms"], shown["until_ms"]) == (begin, end)
    within = Counter((one - begin) // shown["bucket_ms"] for one in moments if one < end)
    assert shown["counts"] == [within[number] for number in range(len(shown["counts"]))]
    assert shown["position"]
    day = fits(await filled.admin.get("/v1/histogram"), HistogramDocument)
    assert (day["until_ms"] - day["from_ms"], day["bucket_ms"]) == (86_400_000, 1_800_000)
    assert abs(day["until_ms"] - 1000 * time.time()) < 60_000
    assert len(day["counts"]) == 48
    assert day["total"] == sum(day["counts"]) == 32
    early = fits(await filled.admin.get("/v1/histogram?until=5&level=2"), HistogramDocument)
    assert (early["from_ms"], early["counts"]) == (0, [0] * 5)


async def test_facets_of_a_part(filled: Served) -> None:
    async def total(query: str) -> Any:
        return (await filled.admin.get(f"/v1/facets?{query}")).json()["total"]

    assert await total("") == 32
    assert await total("severity=LOW") == 8
    assert await total("severity=LOW&not_severity=LOW") == 0
    assert [await total(f"level={level}") for level in (1, 2, 3)] == [31, 1, 0]
    assert await total("level=2&severity=CRITICAL&not_source=edr") == 1
    assert await total("status=open&level=1&severity=CRITICAL") == 7
    assert await total("overdue=true") == 0
    assert await total("overdue=false&not_tag=odd") == 16


@pytest.mark.parametrize("path", ["/v1/threats", "/v1/rows", "/v1/facets", "/v1/histogram"])
async def test_only_lists_repeat_and_not_for_ever(filled: Served, path: str) -> None:
    get = filled.admin.get
    twenty = "&".join(f"not_source=s{number}" for number in range(20))
    assert (await get(f"{path}?{twenty}")).status_code == 200
    refused(await get(f"{path}?{twenty}&not_source=s20"), 400, "parameter-repeated", "not_source")
    refused(await get(f"{path}?source=a&source=b"), 400, "parameter-repeated", "source")
    refused(await get(f"{path}?not_sources=a"), 400, "parameter-unknown", "not_sources")
    for query in (
        "not_severity=SEVERE",
        "not_severity=null",
        "not_source=" + "x" * 257,
        "first_seen_from=-1",
        "first_seen_until=281474976710656",
        "last_activity_from=2h",
    ):
        name = query.partition("=")[0]
        refused(await get(f"{path}?{query}"), 400, "bad-request", name)
    assert (await get(f"{path}?not_tag=")).status_code == 422


@pytest.mark.parametrize(
    "query",
    ["from=5&until=5", "from=6&until=5", "level=2&status=open", "level=3&overdue=true"],
)
async def test_what_does_not_fit_together_is_not_counted(served: Served, query: str) -> None:
    refused(
        await served.admin.get(f"/v1/histogram?{query}"),
        *(422, "parameters-unfit"),
        query.replace("level=2&", "").replace("level=3&", "").partition("=")[0],
    )


@pytest.mark.parametrize("name", ["buckets=0", "buckets=121", "from=-1", "until=now"])
async def test_no_histogram_of_what_is_no_stretch(served: Served, name: str) -> None:
    answer = await served.admin.get(f"/v1/histogram?{name}")
    refused(answer, 400, "bad-request", name.partition("=")[0])


async def test_a_limited_key_counts_what_it_sees(filled: Served) -> None:
    limits = Limits(sources=("edr", "siem"), tlp=("RED",))
    async with await filled.key("read", limits=limits) as limited:
        seen = [n for n in range(32) if n // 2 % 4 < 2 and n % 4 == 2]
        shown = (await limited.get("/v1/histogram")).json()
        assert shown["total"] == len(seen)
        page = (await limited.get("/v1/rows?not_source=edr")).json()
        expected = [f"t{n:02d}" for n in seen if n // 2 % 4 == 1]
        assert sorted(one["threat_id"] for one in page["items"]) == expected
        assert (await limited.get("/v1/facets?not_source=null")).json()["total"] == len(seen)
        assert (await limited.get("/v1/facets?not_tlp=RED")).json()["total"] == 0


async def test_without_an_index_it_says_so(serve: Any) -> None:
    one = await serve(serve_index="off")
    for path in ("/v1/threats?not_tag=x", "/v1/rows?first_seen_from=1", "/v1/histogram"):
        refused(await one.admin.get(path), 501, "index-off")


async def test_parameters_are_described_once_for_all(served: Served) -> None:
    paths = (await served.admin.get("/openapi.json")).json()["paths"]
    described = {
        path: {one["name"]: one for one in paths[path]["get"]["parameters"]}
        for path in ("/v1/threats", "/v1/rows", "/v1/facets", "/v1/histogram")
    }
    for given in described.values():
        schema = given["not_source"]["schema"]
        assert (schema["type"], schema["maxItems"]) == ("array", 20)
        assert schema["items"] == {"type": "string", "maxLength": 256}
        assert given["not_severity"]["schema"]["items"]["$ref"].endswith("/Severity")
        assert given["first_seen_from"]["schema"]["type"] == "integer"
        assert not given["not_tag"]["required"]
    assert set(described["/v1/threats"]) == set(described["/v1/rows"]) | {"fields"}
    assert "from" in described["/v1/histogram"]
