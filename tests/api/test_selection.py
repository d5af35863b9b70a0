"""One act on many threats through HTTP: a receipt for each, and taking many back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from periscope.access import Limits
from periscope.api.selected import derived_id
from periscope.header import HEADER_BYTES
from periscope.shapes import ActsDone, UndoManyDone
from periscope.work import Claim
from tests.api.conftest import Served
from tests.api.shaped import shaped
from tests.api.support import fits, put, refused, to_level_two
from tests.api.test_session import added, browser, sign_in

ANN, BOB = {"analyst_id": "ann"}, {"analyst_id": "bob"}
TEN = [f"t{number}" for number in range(10)]
IN_A_YEAR = datetime.now(UTC) + timedelta(days=365)
PREFIX = "urn:periscope:problem:"


async def act(client: httpx.AsyncClient, what: str, ids: Any, **body: Any) -> httpx.Response:
    return await client.post("/v1/acts", json={**ANN, "act": what, "threat_ids": ids, **body})


async def undo(client: httpx.AsyncClient, ids: Any, **body: Any) -> httpx.Response:
    return await client.post("/v1/acts/undo", json={**ANN, "interaction_ids": ids, **body})


def done(answer: httpx.Response) -> Any:
    """The receipt, which is what its shape says, down to its rows."""
    shaped(answer, ActsDone)
    return fits(answer, ActsDone)


def undone(answer: httpx.Response) -> Any:
    shaped(answer, UndoManyDone)
    return fits(answer, UndoManyDone)


def reasons(receipt: Any, key: str = "threat_id") -> dict[str, tuple[int, str]]:
    """Why which were skipped."""
    found = receipt["skipped"]
    assert all(one["title"] and one["detail"] for one in found)
    return {one[key]: (one["status"], one["type"].removeprefix(PREFIX)) for one in found}


def ids_of(receipt: Any) -> list[str]:
    return [one["threat_id"] for one in receipt["changed"]]


def acts_of(receipt: Any) -> list[str]:
    return [one["interaction_id"] for one in receipt["changed"]]


@pytest.mark.parametrize(
    ("what", "body", "field", "value"),
    [
        ("view", {}, "views", 1),
        ("escalate", {}, "escalations", 1),
        ("dismiss", {}, "status", "dismissed"),
        ("monitor", {}, "interactions", 1),
        ("investigate", {"note": "looked at"}, "interactions", 1),
        ("claim", {"lease_s": 60}, "holder", "ann"),
        ("decide", {"outcome": "benign_expected", "note": "ours"}, "outcome", "benign_expected"),
        ("decide", {"outcome": "duplicate", "duplicate_of": "other"}, "outcome", "duplicate"),
        ("snooze", {"for_s": 3600}, "status", "snoozed"),
        ("snooze", {"until": IN_A_YEAR.isoformat()}, "status", "snoozed"),
        ("snooze", {"until_worse": True, "note": "later"}, "snoozed_until_ms", None),
        ("reopen", {"note": "again"}, "status", "open"),
        ("comment", {"text": "seen on two hosts"}, "interactions", 0),
        ("recall", {}, "level", 1),
    ],
)
async def test_every_act(
    served: Served, what: str, body: dict[str, Any], field: str, value: Any
) -> None:
    await put(served, *TEN, "other")
    receipt = done(await act(served.admin, what, TEN, **body))
    assert receipt["act"] == what
    assert (ids_of(receipt), receipt["skipped"]) == (TEN, [])
    assert [one["row"]["threat_id"] for one in receipt["changed"]] == TEN
    assert {one["row"][field] for one in receipt["changed"]} == {value}
    claims = [one["claim"] for one in receipt["changed"]]
    assert all((one is not None) == (what == "claim") for one in claims)
    assert all((one is None) == (what == "claim") for one in acts_of(receipt))
    trail = [one for one in await served.tenant.periscope.get_recent_audit() if one.threat_id]
    assert {one.analyst_id for one in trail} == {"ann"}
    assert {one.threat_id for one in trail} == set(TEN)


async def test_what_was_promoted_is_recalled(served: Served) -> None:
    await put(served, "a", "b")
    await to_level_two(served, "a")
    receipt = done(await act(served.admin, "recall", ["a", "b"]))
    rows = [one["row"] for one in receipt["changed"]]
    assert [(one["level"], one["home"]) for one in rows] == [(1, 2), (1, None)]


@pytest.mark.parametrize("until", ["1999-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
async def test_a_snooze_that_cannot_end_then(served: Served, until: str) -> None:
    await put(served, *TEN)
    receipt = done(await act(served.admin, "snooze", TEN, until=until))
    assert reasons(receipt) == dict.fromkeys(TEN, (422, "snooze-end"))


async def test_what_is_held_is_given_back_with_and_without_tokens(served: Served) -> None:
    await put(served, *TEN)
    claims = {
        one["threat_id"]: one["claim"]["token"]
        for one in done(await act(served.admin, "claim", TEN))["changed"]
    }
    await act(served.admin, "claim", ["t9"], **BOB, take_over=True)
    tokens = {name: claims[name] for name in ("t0", "t1")} | {"t2": 2**52}
    body = {"tokens": tokens, "request_id": "r1"}
    receipt = done(await act(served.admin, "release", TEN, **body))
    assert ids_of(receipt) == [one for one in TEN if one not in ("t2", "t9")]
    assert {one["row"]["holder"] for one in receipt["changed"]} == {None}
    assert reasons(receipt) == {"t2": (409, "claim-lost"), "t9": (409, "claim-lost")}
    assert without_scores(done(await act(served.admin, "release", TEN, **body))) == without_scores(
        receipt
    )
    p = served.tenant.periscope
    assert (await p.get_desk("t9")).claim is not None
    assert (await p.get_desk("t2")).claim is not None
    trail = [one for one in await p.get_recent_audit() if one.action == "release"]
    assert len(trail) == 8


async def test_a_bad_one_never_stops_the_others(served: Served) -> None:
    await put(served, "a", "b", "held", "closed", "elsewhere")
    await act(served.admin, "claim", ["held"], **BOB)
    await act(served.admin, "decide", ["closed"], outcome="benign_expected")
    await to_level_two(served, "elsewhere")
    ids = ["a", "nobody", "held", "", "x" * 600, "closed", "elsewhere", "b"]
    before = await served.tenant.periscope.get_threat("held")
    receipt = done(await act(served.admin, "snooze", ids, for_s=60))
    assert ids_of(receipt) == ["a", "elsewhere", "b"]
    assert reasons(receipt) == {
        "nobody": (404, "threat-unknown"),
        "held": (409, "claimed"),
        "": (422, "act-invalid"),
        "x" * 600: (422, "act-invalid"),
        "closed": (409, "threat-closed"),
    }
    assert list(reasons(receipt)) == ["nobody", "held", "", "x" * 600, "closed"]
    assert "'bob'" in next(one["detail"] for one in receipt["skipped"] if "bob" in one["detail"])
    after = await served.tenant.periscope.get_threat("held")
    assert before is not None
    assert after is not None
    assert after.revision == before.revision
    receipt = done(await act(served.admin, "claim", ["a", "held", "elsewhere"]))
    assert reasons(receipt) == {"held": (409, "claimed")}


async def test_what_is_claimed_by_another_may_still_be_seen_to(served: Served) -> None:
    await put(served, "held", "free")
    await act(served.admin, "claim", ["held"], **BOB)
    for what in ("dismiss", "decide", "claim"):
        body = {"outcome": "inconclusive"} if what == "decide" else {}
        receipt = done(await act(served.admin, what, ["held"], **body))
        assert reasons(receipt) == {"held": (409, "claimed")}
    receipt = done(await act(served.admin, "escalate", ["held", "free"]))
    assert ids_of(receipt) == ["held", "free"]
    assert [one["row"]["holder"] for one in receipt["changed"]] == ["bob", None]
    receipt = done(await act(served.admin, "claim", ["held", "free"], take_over=True))
    assert {one["row"]["holder"] for one in receipt["changed"]} == {"ann"}


@pytest.mark.parametrize(
    ("what", "ids", "body", "field"),
    [
        ("view", [], {}, "threat_ids"),
        ("view", [f"t{number}" for number in range(101)], {}, "threat_ids"),
        ("view", ["t0", "t1", "t0"], {}, "threat_ids"),
        ("view", ["t0", 1], {}, "threat_ids[1]"),
        ("look", ["t0"], {}, "act"),
        ("view", ["t0"], {"text": "x"}, "text"),
        ("view", ["t0"], {"more": 1}, "more"),
        ("dismiss", ["t0"], {"outcome": "inconclusive"}, "outcome"),
        ("escalate", ["t0"], {"take_over": False}, "take_over"),
        ("monitor", ["t0"], {"lease_s": 60}, "lease_s"),
        ("claim", ["t0"], {"note": "x"}, "note"),
        ("claim", ["t0"], {"lease_s": 0}, "lease_s"),
        ("claim", ["t0"], {"tokens": {"t0": 1}}, "tokens"),
        ("release", ["t0"], {"tokens": {"t1": 1}}, "tokens"),
        ("release", ["t0"], {"tokens": {"t0": 0}}, "tokens[...]"),
        ("release", ["t0"], {"for_s": 1}, "for_s"),
        ("decide", ["t0"], {}, "outcome"),
        ("decide", ["t0"], {"outcome": "odd"}, "outcome"),
        ("decide", ["t0"], {"outcome": "duplicate"}, "duplicate_of"),
        ("decide", ["t0"], {"outcome": "inconclusive", "duplicate_of": "t1"}, "duplicate_of"),
        ("snooze", ["t0"], {}, "until"),
        ("snooze", ["t0"], {"until_worse": False}, "until"),
        ("snooze", ["t0"], {"until_worse": True, "for_s": 1}, "until"),
        ("snooze", ["t0"], {"until": "2040-01-01T00:00:00"}, "until"),
        ("reopen", ["t0"], {"text": "x"}, "text"),
        ("comment", ["t0"], {"note": "x"}, "note"),
        ("comment", ["t0"], {}, "text"),
        ("recall", ["t0"], {"until_worse": True}, "until_worse"),
    ],
)
async def test_what_fits_no_act_is_refused_before_anything_is_done(
    served: Served, what: str, ids: Any, body: dict[str, Any], field: str
) -> None:
    await put(served, *TEN)
    refused(await act(served.admin, what, ids, **body), 422, "body-unfit", field)
    trail = await served.tenant.periscope.get_recent_audit()
    assert [one for one in trail if one.threat_id] == []


async def test_what_would_be_wrong_with_every_threat_is_refused_whole(served: Served) -> None:
    await put(served, *TEN)
    client = served.admin
    long = await act(client, "view", TEN, note="x" * 16_385)
    refused(long, 422, "act-invalid", "note")
    refused(await act(client, "comment", TEN, text=""), 422, "act-invalid", "text")
    refused(await act(client, "view", TEN, request_id="x" * 129), 422, "act-invalid", "request_id")
    refused(await act(client, "view", TEN, request_id="a\nb"), 422, "act-invalid", "request_id")
    refused(await act(client, "view", TEN, analyst_id=" "), 422, "act-invalid", "analyst_id")
    refused(await act(client, "view", TEN, analyst_id=None), 422, "analyst-missing", "analyst_id")
    decided = await act(client, "decide", TEN, outcome="duplicate", duplicate_of="nobody")
    assert "'nobody'" in refused(decided, 404, "threat-unknown")
    body = {**ANN, "act": "view", "threat_ids": TEN, "request_id": "a"}
    two = await client.post("/v1/acts", json=body, headers={"Idempotency-Key": "b"})
    refused(two, 422, "idempotency-key-unfit", "Idempotency-Key")
    trail = await served.tenant.periscope.get_recent_audit()
    assert [one for one in trail if one.threat_id] == []


async def test_a_threat_is_no_duplicate_of_itself_the_others_are(served: Served) -> None:
    await put(served, "a", "b")
    receipt = done(
        await act(served.admin, "decide", ["a", "b"], outcome="duplicate", duplicate_of="a")
    )
    assert (ids_of(receipt), reasons(receipt)) == (["b"], {"a": (422, "act-invalid")})


def without_scores(receipt: Any) -> Any:
    """A receipt but for what time alone changes."""
    for one in (*receipt.get("changed", ()), *receipt.get("undone", ())):
        del one["row"]["score"]
    return receipt


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("escalate", {"note": "look at this"}),
        ("claim", {}),
        ("decide", {"outcome": "inconclusive"}),
        ("snooze", {"for_s": 60}),
        ("comment", {"text": "once"}),
        ("recall", {}),
    ],
)
async def test_the_same_request_again_changes_nothing(
    served: Served, what: str, body: dict[str, Any]
) -> None:
    await put(served, *TEN)
    ids, request_id = [*TEN, "nobody"], "ü" * 64
    first = done(await act(served.admin, what, ids, **body, request_id=request_id))
    trail = await served.tenant.periscope.get_recent_audit()
    again = done(await act(served.admin, what, ids, **body, request_id=request_id))
    assert without_scores(again) == without_scores(first)
    assert ids_of(again) == TEN
    assert await served.tenant.periscope.get_recent_audit() == trail


async def test_a_request_id_is_that_of_one_act(served: Served) -> None:
    await put(served, "a", "b")
    headers = {"Idempotency-Key": "r1"}
    body = {**ANN, "act": "view", "threat_ids": ["a"]}
    first = done(await served.admin.post("/v1/acts", json=body, headers=headers))
    assert acts_of(first) == [derived_id("r1", "a")]
    for change in ({"act": "dismiss"}, BOB):
        other = {**body, **change, "threat_ids": ["a", "b"]}
        receipt = done(await served.admin.post("/v1/acts", json=other, headers=headers))
        assert reasons(receipt)["a"] == (409, "request-reused")
    one = await served.tenant.periscope.get_threat("a")
    assert one is not None
    assert (one.views, one.dismissals) == (1, 0)


async def test_without_an_id_each_request_is_another_one(served: Served) -> None:
    await put(served, "a")
    first, second = [done(await act(served.admin, "view", ["a"])) for _ in range(2)]
    assert second["changed"][0]["row"]["views"] == 2
    assert acts_of(first) != acts_of(second)


def test_ids_of_one_request_differ_by_threat_and_by_request() -> None:
    parts = [("r", "a"), ("r", "b"), ("r", "a", "note"), ("s", "a"), ("r", "note\0a"), ("ra", "")]
    found = {derived_id(*one) for one in parts}
    assert len(found) == len(parts)
    assert {len(one) for one in found} == {32}


async def test_a_note_of_an_interaction_is_a_comment_that_stays(served: Served) -> None:
    await put(served, "a", "b")
    body = {"note": "a false alarm", "request_id": "r1"}
    receipt = done(await act(served.admin, "dismiss", ["a", "b", "nobody"], **body))
    p = served.tenant.periscope
    trail = [(one.action, one.threat_id) for one in await p.get_recent_audit() if one.threat_id]
    assert sorted(trail) == [(one, name) for one in ("comment", "dismiss") for name in "ab"]
    # The same request with another note: the acts were done, these notes are not on record.
    other = done(await act(served.admin, "dismiss", ["a", "b"], **{**body, "note": "no"}))
    assert reasons(other) == dict.fromkeys("ab", (409, "request-reused"))
    assert {one["detail"].partition(":")[0] for one in other["skipped"]} == {
        "It is done, but its note is not on record"
    }
    back = undone(await undo(served.admin, acts_of(receipt)))
    assert {one["row"]["status"] for one in back["undone"]} == {"open"}
    comments = [one for one in await p.get_recent_audit() if one.action == "comment"]
    assert len(comments) == 2


async def test_many_are_taken_back(served: Served) -> None:
    await put(served, *TEN)
    receipt = done(await act(served.admin, "dismiss", TEN))
    back = undone(await undo(served.admin, acts_of(receipt)))
    assert [one["interaction_id"] for one in back["undone"]] == acts_of(receipt)
    assert [one["threat_id"] for one in back["undone"]] == TEN
    assert {(one["row"]["status"], one["row"]["dismissals"]) for one in back["undone"]} == {
        ("open", 0)
    }
    again = undone(await undo(served.admin, acts_of(receipt)))
    assert without_scores(again) == without_scores(back)
    trail = await served.tenant.periscope.get_recent_audit()
    assert len([one for one in trail if one.action == "undo"]) == 10


async def test_what_cannot_be_taken_back_says_why(served: Served) -> None:
    await put(served, *TEN)
    client = served.admin
    views = acts_of(done(await act(client, "view", TEN)))
    comments = acts_of(done(await act(client, "comment", ["t1"], text="hm")))
    await act(client, "escalate", ["t2"])
    theirs = acts_of(done(await act(client, "view", ["t3"], **BOB)))
    promoted = acts_of(done(await act(client, "decide", ["t4"], outcome="true_positive_impact")))
    bad = ["unheard of", "", "a\nb", "x" * 200]
    ids = [views[0], *comments, views[2], *theirs, *promoted, *bad, views[5]]
    back = undone(await undo(client, ids))
    assert [one["interaction_id"] for one in back["undone"]] == [views[0], views[5]]
    assert reasons(back, "interaction_id") == {
        comments[0]: (409, "not-last"),
        views[2]: (409, "not-last"),
        theirs[0]: (409, "not-last"),
        promoted[0]: (409, "too-late"),
        "unheard of": (404, "threat-unknown"),
        "": (422, "act-invalid"),
        "a\nb": (422, "act-invalid"),
        "x" * 200: (422, "act-invalid"),
    }
    assert list(reasons(back, "interaction_id")) == ids[1:-1]


async def test_acts_on_one_threat_are_taken_back_in_the_order_given(served: Served) -> None:
    await put(served, "a", "b")
    steps = [
        acts_of(done(await act(served.admin, what, ["a", "b"])))
        for what in ("view", "escalate", "monitor")
    ]
    wrong = undone(await undo(served.admin, [steps[0][0], steps[2][0]]))
    assert reasons(wrong, "interaction_id") == {steps[0][0]: (409, "not-last")}
    latest_first = [step[1] for step in reversed(steps)]
    right = undone(await undo(served.admin, latest_first))
    assert [one["interaction_id"] for one in right["undone"]] == latest_first
    assert right["undone"][0]["row"]["interactions"] == 0


@pytest.mark.parametrize("ids", [[], [f"i{number}" for number in range(101)], ["i", "i"]])
async def test_ids_to_take_back_are_few_and_distinct(served: Served, ids: list[str]) -> None:
    refused(await undo(served.admin, ids), 422, "body-unfit", "interaction_ids")


async def test_a_limited_key_acts_on_what_it_sees(served: Served) -> None:
    await put(served, "ours", "held", source="ids")
    await put(served, "theirs", source="edr")
    await act(served.admin, "claim", ["held"], **BOB)
    [hidden] = acts_of(done(await act(served.admin, "view", ["theirs"])))
    client = await served.key("act", analyst="ann", limits=Limits(sources=("ids",)))
    receipt = done(await act(client, "dismiss", ["theirs", "ours", "nobody", "held", ""]))
    assert ids_of(receipt) == ["ours"]
    told = {one.pop("threat_id"): one for one in receipt["skipped"]}
    assert told["theirs"] == told["nobody"] == told[""]
    assert told["theirs"]["type"] == PREFIX + "threat-unknown"
    assert told["held"]["type"] == PREFIX + "claimed"
    found = [
        refused(
            await act(client, "decide", ["ours"], outcome="duplicate", duplicate_of=one),
            *(404, "threat-unknown"),
        ).replace(one, "x")
        for one in ("theirs", "nobody")
    ]
    assert found[0] == found[1]
    back = undone(await undo(client, [hidden, "unheard of", *acts_of(receipt)]))
    assert [one["threat_id"] for one in back["undone"]] == ["ours"]
    details = [one["detail"].replace(one["interaction_id"], "x") for one in back["skipped"]]
    assert details[0] == details[1]
    theirs = await served.tenant.periscope.get_threat("theirs")
    assert theirs is not None
    assert (theirs.views, theirs.interactions) == (1, 1)


async def test_who_may_act_and_as_whom(served: Served) -> None:
    await put(served, "a")
    reader = await served.key("read", "ingest")
    refused(await act(reader, "view", ["a"]), 403, "forbidden")
    refused(await undo(reader, ["a"]), 403, "forbidden")
    refused(await act(served.client(None), "view", ["a"]), 401, "unauthenticated")
    ann = await served.key("act", analyst="ann")
    assert ids_of(done(await act(ann, "view", ["a"], analyst_id=None))) == ["a"]
    refused(await act(ann, "view", ["a"], **BOB), 403, "forbidden")
    refused(await undo(ann, ["x"], **BOB), 403, "forbidden")


async def test_people_who_signed_in_act_from_their_own_pages_only(served: Served) -> None:
    await added(served)
    await put(served, *TEN)
    client, _ = await sign_in(served)
    receipt = done(await act(client, "dismiss", TEN, analyst_id=None, note="no"))
    assert ids_of(receipt) == TEN
    back = undone(await undo(client, acts_of(receipt), analyst_id=None))
    assert len(back["undone"]) == 10
    trail = await served.tenant.periscope.get_recent_audit()
    assert {one.analyst_id for one in trail if one.threat_id} == {"ann@example.com"}
    refused(await act(client, "view", TEN), 403, "forbidden")
    client.headers["Origin"] = "https://elsewhere.example"
    refused(await act(client, "view", TEN, analyst_id=None), 403, "other-origin")
    refused(await undo(client, ["x"], analyst_id=None), 403, "other-origin")
    del client.headers["Origin"]
    refused(await act(client, "view", TEN, analyst_id=None), 403, "other-origin")
    refused(await act(browser(served), "view", TEN), 401, "unauthenticated")


async def test_two_analysts_claim_the_same_selection_at_once(
    serve: Callable[..., Awaitable[Served]],
) -> None:
    served = await serve(partitions=4)
    ids = [f"t{number}" for number in range(100)]
    await put(served, *ids)
    answers = await asyncio.gather(
        *(act(served.admin, "claim", ids, analyst_id=who) for who in ("ann", "bob"))
    )
    receipts = [done(one) for one in answers]
    won = [ids_of(one) for one in receipts]
    assert sorted(won[0] + won[1]) == sorted(ids)
    for receipt, others in zip(receipts, reversed(won), strict=True):
        assert list(reasons(receipt)) == others
        assert set(reasons(receipt).values()) <= {(409, "claimed")}
    both = await asyncio.gather(
        *(act(served.admin, "dismiss", ids, analyst_id=who) for who in ("ann", "bob"))
    )
    assert [ids_of(done(one)) for one in both] == won


async def test_acts_of_a_selection_travel_together(served: Served) -> None:
    ids = [f"t{number}" for number in range(100)]
    await put(served, *ids)
    p = served.tenant.periscope
    audit = p.keyspace.partitions[0].audit
    before = await p.functions.connections.client.xlen(audit)
    assert ids_of(done(await act(served.admin, "dismiss", ids))) == ids
    assert await p.functions.connections.client.xlen(audit) - before <= 4


async def test_what_is_not_known_is_said_and_settled_by_the_same_request(
    serve: Callable[..., Awaitable[Served]],
) -> None:
    served = await serve(operation_timeout_s=1.0)
    await put(served, *TEN)
    p = served.tenant.periscope
    server = p.functions.connections.client
    await server.client_pause(60_000, all=False)
    try:
        receipt = done(await act(served.admin, "escalate", TEN, request_id="r1", note="odd"))
    finally:
        await server.client_unpause()
    assert receipt["changed"] == []
    assert set(reasons(receipt).values()) == {(503, "outcome-unknown")}
    again = done(await act(served.admin, "escalate", TEN, request_id="r1", note="odd"))
    assert (ids_of(again), again["skipped"]) == (TEN, [])
    assert {one["row"]["escalations"] for one in again["changed"]} == {1}
    trail = [one.action for one in await p.get_recent_audit() if one.threat_id]
    assert sorted(trail) == ["comment"] * 10 + ["escalate"] * 10


async def test_a_release_by_hand_is_no_release_of_the_request(served: Served) -> None:
    await put(served, "a")
    await act(served.admin, "claim", ["a"])
    held = (await served.tenant.periscope.get_desk("a")).claim
    assert isinstance(held, Claim)
    await served.tenant.periscope.release(held)
    receipt = done(await act(served.admin, "release", ["a"], request_id="r1"))
    assert reasons(receipt) == {"a": (409, "claim-lost")}


async def test_what_is_gone_by_now_has_no_row(served: Served) -> None:
    await put(served, "a", "b")
    first = done(await act(served.admin, "view", ["a", "b"], request_id="r1"))
    assert (await served.admin.post("/v1/threats/a/remove", json=ANN)).is_success
    again = done(await act(served.admin, "view", ["a", "b"], request_id="r1"))
    assert acts_of(again) == acts_of(first)
    assert [one["row"] is None for one in again["changed"]] == [True, False]


async def test_what_was_done_is_told_where_rows_cannot_be_read(served: Served) -> None:
    await put(served, "a", "b")
    p = served.tenant.periscope
    store, key = p.functions.connections.client, p.keyspace.partitions[0].record(b"a")
    await store.setrange(key, HEADER_BYTES, b"\xff")
    receipt = done(await act(served.admin, "claim", ["a", "b"]))
    assert ids_of(receipt) == ["a", "b"]
    assert [one["row"] for one in receipt["changed"]] == [None, None]
    await store.setrange(key, HEADER_BYTES, b"{")
