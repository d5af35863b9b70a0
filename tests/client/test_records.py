"""What is known and what was done, through the client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from periscope.client import ApiProblem, Client, NotFound
from periscope.errors import UsageError
from periscope.shapes import FeedList, KeyCreated, KeyList
from tests.api.conftest import Served
from tests.support.nodes import wait_until
from tests.support.rough import Harm, Mood, RoughProxy


async def add(client: Client, ids: Iterable[str]) -> None:
    given = [{"threat_id": one, "content": "x", "severity": "HIGH"} for one in ids]
    assert (await client.add_reports(given)).received == len(given)


async def test_the_queue_page_by_page(client: Client) -> None:
    names = {f"t{number}" for number in range(250)}
    await add(client, names)
    page = await client.threats_page(limit=100, severity="HIGH", status="open", overdue=False)
    assert (len(page.items), page.total) == (100, 250)
    assert [one.threat_id async for one in client.threats(min_score=1.0)] == []
    walked = [one.threat_id async for one in client.threats(limit=60)]
    assert (len(walked), set(walked)) == (250, names)
    with pytest.raises(ApiProblem) as caught:
        await client.threats_page(level=2, severity="LOW")
    assert (caught.value.status, caught.value.field) == (422, "severity")


async def test_the_queue_in_rows(client: Client) -> None:
    names = [f"t{number}" for number in range(250)]
    await add(client, names)
    page = await client.rows_page(severity="HIGH", limit=200)
    assert (len(page.items), page.total) == (200, 250)
    rest = await client.rows_page(severity="HIGH", limit=200, cursor=page.next_cursor)
    assert {one.threat_id for one in (*page.items, *rest.items)} == set(names)
    await client.claim("t7", analyst_id="ann")
    found = await client.lookup_rows(["x", *names])
    assert [one.threat_id for one in found] == names
    assert [one.threat_id for one in found if one.holder == "ann"] == ["t7"]
    assert await client.lookup_rows([]) == []


async def test_what_the_board_does_not_index(served: Served, client: Client) -> None:
    given = [
        {"threat_id": f"t{n}", "content": f"beacon {n}", "severity": "LOW", "source": f"s{n % 2}"}
        for n in range(40)
    ]
    await client.add_reports(given)

    async def found() -> list[str]:
        return [one.threat_id async for one in client.threats(source="s1", text="beacon", limit=7)]

    async def is_indexed() -> bool:
        return len(await found()) == 20

    await wait_until(is_indexed, "the index has come so far")
    assert set(await found()) == {f"t{n}" for n in range(1, 40, 2)}
    assert (await client.threats_page(text="beacon")).position
    assert (await client.facets(source="s1")).source == {"s1": 20}
    left_out: dict[str, Any] = {"not_source": ["s0", "none"], "not_severity": ["HIGH"]}
    assert (await client.facets(**left_out, severity="LOW", level=1)).total == 20
    assert (await client.histogram(**left_out, buckets=2)).counts == [0, 20]
    assert (await client.histogram(from_ms=0, until_ms=10, buckets=3)).counts == [0, 0, 0]
    page = await client.threats_page(not_source=("s0",), first_seen_from=1)
    assert {one.source for one in page.items} == {"s1"}
    assert (await client.rows_page(not_source=["s1", "s0"])).total == 0
    assert (await client.similar("t1")).items == []
    assert (await client.kpis(for_s=3600)).flow


async def test_many_ids_at_once(client: Client) -> None:
    names = [f"t{number}" for number in range(2_500)]
    await add(client, names)
    asked = [*names, "nobody", "a b"]
    assert [one.threat_id for one in await client.lookup(asked)] == names
    assert set(await client.seen(asked, exact=True)) == set(names)
    assert (await client.seen(iter(["t7", "t8"])))["t7"].level == 1
    with pytest.raises(UsageError):
        await client.seen("t7")


async def test_what_was_done(client: Client) -> None:
    await add(client, ["a", "b"])
    await client.interact("a", "escalate", "ann")
    await client.comment("a", "hm", "bob")
    await client.remove("b", "ann", "test")
    assert [one.analyst_id for one in (await client.desk("a")).acts] == ["ann"]
    assert len((await client.history("a")).items) == 2
    assert (await client.history("b")).items
    with pytest.raises(NotFound):
        await client.history("nobody")
    done = [one.action async for one in client.audit(limit=1)]
    assert done[:3] == ["remove", "comment", "escalate"]
    assert [one.action async for one in client.audit(analyst="bob")] == ["comment"]
    gone = [one async for one in client.departures(reason="removed", limit=1)]
    assert [one.threat_id for one in gone] == ["b"]


async def test_counts_rules_and_oneself(client: Client) -> None:
    await add(client, ["a"])
    assert (await client.stats()).queue == 1
    assert (await client.ledger(deep=True)).balanced
    assert (await client.policy()).policy
    assert "admin" in (await client.who_am_i()).scopes


async def test_what_has_no_call_of_its_own(served: Served, client: Client) -> None:
    assert (await client.call("GET", "/v1/feeds", FeedList)).feeds == []
    with pytest.raises(ApiProblem) as caught:
        await client.call("POST", "/v1/keys", KeyCreated, body={"name": "x", "scopes": ["fly"]})
    assert caught.value.status in (400, 422)
    moods = [Mood(Harm.CUT_ANSWER)] * 5
    async with (
        RoughProxy(served.service.port, moods) as proxy,
        Client(proxy.url, served.secret) as rough,
    ):
        with pytest.raises(ApiProblem):
            await rough.call("POST", "/v1/keys", KeyCreated, body={"name": "x", "scopes": ["read"]})
        assert proxy.met == 1, "a POST that may have been heeded is not repeated"
        found = await rough.call("GET", "/v1/keys", KeyList)
    assert "x" in {one.name for one in found.items}
