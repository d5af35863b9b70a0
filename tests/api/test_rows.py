"""GET /v1/rows and POST /v1/rows/lookup: lines of a list, and who has them."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from periscope.access import Limits
from periscope.api.rows import find_rows
from periscope.index import IndexState
from periscope.shapes import RowPage, RowsFound, ThreatRow
from tests.api.conftest import Served
from tests.api.support import fits, put, refused, to_level_two
from tests.api.test_busy import unhindered
from tests.support.history import say
from tests.support.nodes import wait_until

IDS = Limits(sources=("ids",))
OF_A_REPORT = {"title", "tlp", "industry", "tags", "indicator", "indicators"}
OF_A_CLAIM = {"holder", "holder_until_ms"}
OF_BOTH = set(ThreatRow.__struct_fields__) - OF_A_REPORT - OF_A_CLAIM


async def rows(client: httpx.AsyncClient, query: str = "") -> list[dict[str, Any]]:
    """The rows of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        more: dict[str, str] = {} if cursor is None else {"cursor": cursor}
        url = httpx.URL(f"/v1/rows{query}").copy_merge_params(more)
        page = fits(await client.get(url), RowPage)
        items += page["items"]
        if (cursor := page["next_cursor"]) is None:
            return items


async def look_up(client: httpx.AsyncClient, *ids: str) -> Any:
    return fits(await client.post("/v1/rows/lookup", json={"threat_ids": ids}), RowsFound)


async def indexed(served: Served) -> None:
    """Wait until the read index knows all."""
    index = served.tenant.index
    assert index is not None

    async def ready() -> bool:
        return index.status.state is IndexState.READY

    await wait_until(ready, "the index is built")
    assert await index.reached(await served.tenant.periscope.get_event_position(), 10)


async def call_it_a_day(served: Served) -> None:
    """Every response target is over at once."""
    p, no_time = served.tenant.periscope, timedelta(milliseconds=1)
    names = ("target_critical", "target_high", "target_medium", "target_low")
    await p.set_policy(replace(await p.get_policy(), **dict.fromkeys(names, no_time)))
    await asyncio.sleep(0.005)


@pytest.fixture
async def busy(served: Served) -> Served:
    """Threats in all states that a list may show, and an index that knows them."""
    p = served.tenant.periscope
    for number in range(12):
        await put(
            served,
            f"t{number:02}",
            severity=("LOW", "MEDIUM", "HIGH", "CRITICAL")[number % 4],
            source=("ids", "edr")[number % 2],
            content=f"beacon {number}",
            metadata={"tags": [f"of-{number % 3}"], "tlp": "green", "industry": "Energy"},
        )
    await to_level_two(served, "t11")
    await p.record_interaction("t00", "ann", "dismiss")
    await p.snooze("t01", "ann", timedelta(hours=1))
    await p.record_interaction("t02", "ann", "view")
    await p.claim("t03", "ann")
    await indexed(served)
    return served


@pytest.mark.parametrize(
    "query",
    [
        "?limit=1000",
        "?limit=3",
        "?severity=CRITICAL",
        "?status=dismissed",
        "?status=snoozed",
        "?min_score=0.3&max_score=0.5",
        "?min_interactions=1",
        "?level=2",
        "?level=3&industry=energy",
        "?text=beacon&source=edr&limit=2",
        "?tag=of-1&severity=LOW",
        "?tlp=GREEN&level=2",
        "?indicator=203.0.113.7",
        "?holder=ann",
        "?holder=",
    ],
)
async def test_rows_are_the_threats_in_a_line_each(busy: Served, query: str) -> None:
    page = fits(await busy.admin.get(f"/v1/rows{query}"), RowPage)
    threats = (await busy.admin.get(f"/v1/threats{query}")).json()
    assert page["total"] == threats["total"]
    assert page.keys() - {"as_of_ms"} == threats.keys() - {"as_of", "as_of_ms", "indexed"}
    assert (page["next_cursor"] is None) == (threats["next_cursor"] is None)
    changing = {"score", "confidence"}
    for row, threat in zip(page["items"], threats["items"], strict=True):
        same = OF_BOTH - changing
        assert {name: row[name] for name in same} == {name: threat[name] for name in same}
        assert row["score"] == pytest.approx(threat["score"], abs=0.01)
        assert (row["tags"], row["tlp"]) == (threat["metadata"]["tags"], "GREEN")
        assert (row["title"], row["industry"]) == (threat["content"], "Energy")
        assert row["holder"] == ("ann" if row["threat_id"] == "t03" else None)


async def test_a_walk_and_its_cursors_are_those_of_threats(busy: Served) -> None:
    whole = [one["threat_id"] for one in await rows(busy.admin, "?limit=1000")]
    assert [one["threat_id"] for one in await rows(busy.admin, "?limit=2")] == whole
    first = (await busy.admin.get("/v1/threats?limit=2")).json()
    rest = {"cursor": first["next_cursor"], "limit": 1000}
    page = fits(await busy.admin.get("/v1/rows", params=rest), RowPage)
    assert [one["threat_id"] for one in page["items"]] == whole[2:]
    assert page["as_of_ms"] == first["as_of_ms"]


async def test_what_is_overdue_and_what_is_known(busy: Served) -> None:
    assert [one["threat_id"] for one in await rows(busy.admin, "?level=2")] == ["t11"]
    assert await rows(busy.admin, "?level=3&industry=energy") == []
    assert await rows(busy.admin, "?overdue=true") == []
    await call_it_a_day(busy)
    for query in ("?overdue=true", "?overdue=true&severity=HIGH", "?overdue=true&limit=2"):
        found = await rows(busy.admin, query)
        name = query.replace("overdue=true&", "").replace("?overdue=true", "")
        listed = (await busy.admin.get(f"/v1/overdue{name}")).json()["items"]
        assert [one["threat_id"] for one in found][: len(listed)] == [
            one["threat_id"] for one in listed
        ]
        assert found
        assert all(one["overdue"] and one["interactions"] == 0 for one in found)
    of_edr = await rows(busy.admin, "?overdue=true&source=edr")
    assert sorted(one["threat_id"] for one in of_edr) == ["t03", "t05", "t07", "t09"]


async def test_level_three_by_industry(served: Served) -> None:
    p = served.tenant.periscope
    await p.set_policy(replace(await p.get_policy(), long_term_consolidations=1))
    await put(served, "t", metadata={"industries": ["Health", "Energy"]})
    await to_level_two(served, "t")
    for _ in range(3):
        await p.decide("t", "ann", "true_positive_impact")
        await p.reopen("t", "ann")
    for word, ids in (("energy", ["t"]), ("health", ["t"]), ("mining", [])):
        found = await rows(served.admin, f"?level=3&industry={word}")
        assert [(one["threat_id"], one["industry"]) for one in found] == [
            (one, "Health") for one in ids
        ]


async def test_who_has_it_and_how_long(busy: Served) -> None:
    p = busy.tenant.periscope
    claim = await p.claim("t05", "bob", timedelta(minutes=5))
    found = {one["threat_id"]: one for one in await rows(busy.admin)}
    assert (found["t05"]["holder"], found["t05"]["holder_until_ms"]) == ("bob", claim.until_ms)
    assert {one["holder"] for one in found.values()} == {None, "ann", "bob"}
    assert found["t07"]["holder_until_ms"] is None
    await p.release(claim)
    await p.claim("t07", "bob", timedelta(seconds=1))

    async def ended() -> bool:
        (row,) = (await look_up(busy.admin, "t07"))["items"]
        return row["holder"] is None and row["holder_until_ms"] is None

    assert not await ended()
    await wait_until(ended, "the claim has ended")
    assert {one["holder"] for one in await rows(busy.admin)} == {None, "ann"}


async def test_a_tag_says_whether_there_is_news(busy: Served) -> None:
    p = busy.tenant.periscope

    async def asked(tag: str, query: str) -> httpx.Response:
        return await busy.admin.get(f"/v1/rows{query}", headers={"If-None-Match": tag})

    for number, query in enumerate(("", "?limit=2", "?source=edr")):
        await indexed(busy)  # a page that it found says how far it has come
        first = await asked("", query)
        one = first.json()["items"][0]["threat_id"]
        same = await asked(first.headers["etag"], query)
        assert (same.status_code, same.content) == (304, b"")
        claim = await p.claim(one, f"w{number}", timedelta(minutes=1), take_over=True)
        held = await asked(same.headers["etag"], query)
        assert held.json()["items"][0]["holder"] == f"w{number}"
        longer = await p.claim(one, f"w{number}", timedelta(minutes=9))
        assert longer.until_ms > claim.until_ms
        assert (await asked(held.headers["etag"], query)).status_code == 200
        await p.release(longer)
        free = await asked(held.headers["etag"], query)
        assert free.json()["items"][0]["holder"] is None
    with_threats = (await busy.admin.get("/v1/threats")).headers["etag"]
    assert (await asked(with_threats, "")).status_code == 200


async def test_rows_by_id(busy: Served) -> None:
    await put(busy, "a/b", "a\0b")
    ids = ["x", "a/b", "t11", "t03", "a\0b", "x", "t03"]
    found = await look_up(busy.admin, *ids)
    assert [one["threat_id"] for one in found["items"]] == ["a/b", "t11", "t03", "a\0b"]
    assert found["missing"] == ["x"]
    assert [(one["level"], one["holder"]) for one in found["items"]][1:3] == [(2, None), (1, "ann")]
    none = await look_up(busy.admin, "x")
    assert (none["items"], none["missing"]) == ([], ["x"])
    assert none["as_of_ms"] > 0
    as_of_ms, by_id = await find_rows(busy.tenant, ids)
    assert as_of_ms >= none["as_of_ms"]
    assert set(by_id) == {"a/b", "a\0b", "t03", "t11"}
    assert by_id["t03"].holder == "ann"


@pytest.mark.parametrize("ids", [[], ["x"] * 101, [7], "x", [""]])
async def test_what_is_no_lookup(served: Served, ids: Any) -> None:
    answer = await served.admin.post("/v1/rows/lookup", json={"threat_ids": ids})
    assert refused(answer, 422, "body-unfit", answer.json()["field"]).startswith("threat_ids")
    answer = await served.admin.post("/v1/rows/lookup", json={"threat_ids": ["x"], "fields": []})
    assert answer.status_code == 422


async def test_what_is_no_list(served: Served) -> None:
    for name in ("industry", "severity"):
        answer = await served.admin.get(f"/v1/rows?level=2&{name}=HIGH")
        refused(answer, 422, "parameters-unfit", name)
    refused(await served.admin.get("/v1/rows?fields=score"), 400, "parameter-unknown", "fields")
    refused(await served.admin.get("/v1/rows?limit=1001"), 400, "bad-request", "limit")
    refused(await (await served.key("act")).get("/v1/rows"), 403, "forbidden")
    other = await served.admin.post("/v1/rows/lookup", json={"threat_ids": ["x"]})
    assert other.status_code == 200
    refused(await served.client(None).get("/v1/rows"), 401, "unauthenticated")


async def test_without_an_index_only_the_board_answers(serve: Any) -> None:
    one = await serve(serve_index="off")
    assert await rows(one.admin) == []
    refused(await one.admin.get("/v1/rows?text=x"), 501, "index-off")


async def test_a_limited_key_sees_its_own_only(busy: Served) -> None:
    client = await busy.key("read", limits=IDS)
    everything = await rows(busy.admin)
    own = [one["threat_id"] for one in everything if one["source"] == "ids"]
    for query in ("", "?limit=2", "?source=ids", "?text=beacon&limit=1"):
        assert [one["threat_id"] for one in await rows(client, query)] == own
    assert await rows(client, "?level=2") == []
    assert await rows(client, "?source=edr") == []
    assert (await client.get("/v1/rows")).json()["total"] is None
    found = await look_up(client, "t11", "t02", "t05", "nobody")
    assert [one["threat_id"] for one in found["items"]] == ["t02"]
    assert found["missing"] == ["t11", "t05", "nobody"]


READ = {"periscope_rank", "periscope_threats", "periscope_holders"}


async def test_claims_are_read_in_one_turn_and_shared(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await serve(serve_index="off")  # which reads by itself
    await put(served, *(f"t{number}" for number in range(300)))
    await served.tenant.periscope.claim("t299", "ann")
    functions, calls = served.tenant.periscope.functions, Counter[str]()
    call = functions.call

    async def counting(name: str, *given: Any, **more: Any) -> Any:
        calls[name] += name in READ  # others are the stream's and the timeline's, by themselves
        return await call(name, *given, **more)

    monkeypatch.setattr(functions, "call", counting)
    await served.admin.get("/v1/rows?limit=100")
    await look_up(served.admin, *(f"t{number}" for number in range(100)))
    assert +calls == {"periscope_rank": 1, "periscope_threats": 1, "periscope_holders": 2}
    calls.clear()
    answers = await asyncio.gather(*(served.admin.get("/v1/rows") for _ in range(30)))
    assert {one.status_code for one in answers} == {200}
    assert calls["periscope_holders"] < 15
    whole = await rows(served.admin, "?limit=1000")
    assert [one["holder"] for one in whole if one["threat_id"] == "t299"] == ["ann"]
    assert len(whole) == 300


async def test_rows_of_many_partitions(serve: Any) -> None:
    served = await serve(partitions=8)
    ids = [f"t{number:03}" for number in range(200)]
    await put(served, *ids)
    held = set(ids[::7])
    for one in held:
        await served.tenant.periscope.claim(one, "ann")
    whole = await rows(served.admin, "?limit=70")
    assert sorted(one["threat_id"] for one in whole) == ids
    assert {one["threat_id"] for one in whole if one["holder"] == "ann"} == held
    found = await look_up(served.admin, *ids[:100])
    assert [one["threat_id"] for one in found["items"]] == ids[:100]
    assert {one["threat_id"] for one in found["items"] if one["holder"]} == held & set(ids[:100])


async def test_a_hundred_large_reports_are_a_small_page(served: Served) -> None:
    kinds: list[dict[str, Any]] = [
        {"content": '\x01\u2028"' * 6000},
        {"content": " " * 65_000},
        {"metadata": {"title": "\u202e\n" * 6000}},
        {"metadata": {"indicators": [{"value": "v"}] * 4000}},
        {"metadata": {"indicators": [{}] * 20_000}},
        {"metadata": {"tags": [str(number) for number in range(7000)]}},
    ]
    for number in range(100):
        await put(served, f"t{number:02}", **kinds[number % len(kinds)])
    async with unhindered():
        first = await served.admin.get("/v1/rows")
        again = await served.admin.get("/v1/rows")
    assert len(fits(first, RowPage)["items"]) == 100
    say(f"a page of 100 rows of large reports: {len(first.content):,} bytes")
    assert len(first.content) < 120_000
    assert [one["title"] for one in again.json()["items"]] == [
        one["title"] for one in first.json()["items"]
    ]
