"""Analysts at work through the client: each act, its answer, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from periscope.client import ApiProblem, Client, Conflict, Forbidden, NotFound
from periscope.errors import UsageError
from tests.api.conftest import Served
from tests.support.rough import Harm, Mood, RoughProxy

ODD = "a/b?c#d %2F é\r\n\0🙂"


async def add(client: Client, *ids: str) -> None:
    given = [{"threat_id": one, "content": "x", "severity": "HIGH"} for one in ids]
    assert (await client.add_reports(given)).added == len(ids)


async def test_a_day_at_work(client: Client) -> None:
    await add(client, "a", "b")
    first = await client.claim_next("ann", timedelta(minutes=5), severity="HIGH")
    second = await client.claim_next("bob")
    assert first is not None
    assert second is not None
    assert {first.threat.threat_id, second.threat.threat_id} == {"a", "b"}
    assert await client.claim_next("cho") is None
    with pytest.raises(Conflict) as caught:
        await client.decide(first.claim.threat_id, "benign_expected", "bob")
    assert caught.value.kind == "claimed"
    seen = await client.interact(first.claim.threat_id, "escalate", "ann")
    assert (seen.act, seen.threat.escalations) == ("escalate", 1)
    undone = await client.undo(seen.interaction_id, "ann")
    assert (undone.undone, undone.threat.escalations) == (seen.interaction_id, 0)
    assert (await client.release(second.claim)).analyst_id == "bob"
    closed = await client.decide(
        first.claim.threat_id,
        "duplicate",
        "ann",
        "seen before",
        duplicate_of=second.claim.threat_id,
    )
    assert (closed.threat.status, closed.threat.outcome) == ("closed", "duplicate")
    assert (await client.comment(closed.threat_id, "hm", "ann")).act == "comment"
    assert (await client.reopen(closed.threat_id, "ann", "no")).threat.status == "open"


async def test_snoozed_for_a_while_until_a_moment_and_until_it_is_worse(client: Client) -> None:
    await add(client, "a")
    until = datetime.now(UTC) + timedelta(hours=2)
    for end in (timedelta(hours=1), until, None):
        done = await client.snooze("a", end, "ann", "later")
        assert done.threat.status == "snoozed"
        assert (done.threat.snoozed_until_ms is None) == (end is None)
    with pytest.raises(UsageError, match="time zone"):
        await client.snooze("a", datetime(2040, 1, 1), "ann")  # noqa: DTZ001 - that is the mistake


async def test_many_interactions(client: Client) -> None:
    await add(client, "a", "b")
    taken = await client.interact_batch(
        {"threat_id": one, "action": "view", "analyst_id": "ann"} for one in ("a", "nobody", "b")
    )
    assert (taken.received, taken.recorded) == (3, 2)
    assert [(one.index, one.threat_id) for one in taken.rejections] == [(1, "nobody")]


async def test_a_selection_and_its_receipt(client: Client) -> None:
    await add(client, "a", "b", "c", "held")
    held = await client.claim("held", "bob")
    claimed = await client.act_on_many("claim", ["a", "b"], "ann", lease=timedelta(minutes=1))
    tokens = {one.threat_id: one.claim.token for one in claimed.changed if one.claim is not None}
    assert set(tokens) == {"a", "b"}
    released = await client.act_on_many("release", ["a", "b"], "ann", tokens=tokens)
    assert [one.threat_id for one in released.changed] == ["a", "b"]
    again = [
        await client.act_on_many("dismiss", ["a", "held", "b"], "ann", note="ours", request_id="r1")
        for _ in range(2)
    ]
    assert again[0].skipped == again[1].skipped
    assert [(one.threat_id, one.status) for one in again[0].skipped] == [("held", 409)]
    assert {one.row.dismissals for one in again[1].changed if one.row is not None} == {1}
    undone = await client.undo_many([str(one.interaction_id) for one in again[0].changed], "ann")
    assert {one.row.status for one in undone.undone if one.row is not None} == {"open"}
    assert undone.skipped == []
    ours = await client.act_on_many("claim", ["held"], "ann", take_over=True)
    assert ours.changed[0].claim is not None
    assert ours.changed[0].claim.token > held.token
    for end in (timedelta(hours=1), datetime.now(UTC) + timedelta(hours=2), None):
        slept = await client.act_on_many("snooze", ["a"], "ann", until=end)
        assert slept.changed[0].row is not None
        assert (slept.changed[0].row.snoozed_until_ms is None) == (end is None)
    closed = await client.act_on_many(
        "decide", ["b", "c"], "ann", outcome="duplicate", duplicate_of="a"
    )
    assert {one.row.outcome for one in closed.changed if one.row is not None} == {"duplicate"}
    with pytest.raises(ApiProblem) as caught:
        await client.act_on_many("view", ["a"], "ann", until=timedelta(hours=1))
    assert caught.value.field == "for_s"
    said = await client.act_on_many("comment", ["a"], "ann", text="hm")
    assert said.changed[0].interaction_id


async def test_removed_allowed_and_erased(client: Client) -> None:
    await add(client, "a", "b")
    assert (await client.promote()).promoted == 0
    assert (await client.remove("a", "ann", "test")).removed == "a"
    with pytest.raises(NotFound):
        await client.threat("a")
    assert (await client.allow("a", "ann")).allowed == "a"
    assert (await client.erase("b", "ann")).erased == "b"


async def test_ids_of_any_text(client: Client) -> None:
    names = [ODD, ".", "..", "lookup", "%2e%2e", "x" * 512]
    await add(client, *names)
    for name in names:
        assert (await client.threat(name)).threat_id == name
        assert (await client.interact(name, "view", "ann")).threat_id == name
        assert (await client.claim(name, "ann")).threat_id == name


async def test_an_act_whose_answer_is_lost_is_done_once(served: Served) -> None:
    async with Client(served.service.url, served.secret) as plain:
        await add(plain, "a", "b", "c")
    moods = [Mood(Harm.CUT_ANSWER)] * 2
    for _ in range(2):
        async with (
            RoughProxy(served.service.port, moods) as proxy,
            Client(proxy.url, served.secret) as c,
        ):
            assert (await c.claim_next("ann")) is not None
            assert proxy.met == 2
        async with (
            RoughProxy(served.service.port, moods) as proxy,
            Client(proxy.url, served.secret) as c,
        ):
            await c.interact("c", "escalate", "ann")
            assert proxy.met == 2
    async with Client(served.service.url, served.secret) as plain:
        assert (await plain.threat("c")).escalations == 2
        assert await plain.claim_next("bob") is not None, "two of the three were claimed, not more"


async def test_who_acts_and_who_may(served: Served) -> None:
    access = served.tenant.access
    _, secret = await access.create_key("ann's", ("read", "act"), by="tests", analyst="ann")
    _, reader = await access.create_key("reader", ("read",), by="tests")
    async with (
        Client(served.service.url, served.secret) as admin,
        Client(served.service.url, secret) as own,
        Client(served.service.url, reader) as looks,
    ):
        await add(admin, "a")
        assert (await own.interact("a", "view")).analyst_id == "ann"
        with pytest.raises(Forbidden):
            await own.interact("a", "view", "bob")
        with pytest.raises(Forbidden):
            await looks.interact("a", "view", "bob")
        with pytest.raises(ApiProblem) as caught:
            await admin.interact("a", "view")
        assert (caught.value.status, caught.value.field) == (422, "analyst_id")
        with pytest.raises(ApiProblem) as unknown:
            await admin.interact("a", "destroy", "ann")
        assert unknown.value.status in (400, 422)
