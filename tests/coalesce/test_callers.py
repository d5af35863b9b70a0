"""Many callers at once: each gets its own answer, whoever else is cancelled or cut off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from periscope import (
    Claim,
    OutcomeUnknown,
    Periscope,
    Policy,
    ReportRejected,
    StoreDamaged,
    StoreUnavailable,
    Threat,
    ThreatUnknown,
)
from periscope.models import Outcome
from tests.conftest import OpenHere
from tests.support.proxy import CuttingProxy
from tests.support.servers import ServerProcess

MANY = 10_000


def in_use(p: Periscope) -> int:
    return len(p.functions.connections.client.connection_pool._in_use_connections)


async def _turns(count: int) -> None:
    """Let everybody else run: what was called is sent by then."""
    for _ in range(count):
        await asyncio.sleep(0)


async def calls_of_functions(p: Periscope) -> int:
    stats = await p.functions.connections.client.info("commandstats")
    return sum(int(found["calls"]) for name, found in stats.items() if "fcall" in name)


@pytest.mark.parametrize("connections", [1, 2])
async def test_ten_thousand_at_once_on_a_small_pool(
    open_here: OpenHere, periscope: Periscope, connections: int
) -> None:
    async with open_here(connections=connections) as p, asyncio.timeout(60):
        outcomes = await asyncio.gather(*(p.add_threat(f"t{i}", "x", "LOW") for i in range(MANY)))
        assert outcomes == [Outcome.ADDED] * MANY
        threats = await asyncio.gather(*(p.get_threat(f"t{i}") for i in range(0, MANY, 10)))
        assert [threat and threat.threat_id for threat in threats] == [
            f"t{i}" for i in range(0, MANY, 10)
        ]
        assert (await p.get_ledger()).level_1 == MANY
        assert in_use(p) <= connections


Single = Callable[[Periscope, int], Awaitable[Any]]

SINGLES: dict[str, Single] = {
    "add_threat": lambda p, i: p.add_threat(f"new{i}", "x", "LOW"),
    "record_interaction": lambda p, i: p.record_interaction(f"t{i}", "ann", "view"),
    "get_threat": lambda p, i: p.get_threat(f"t{i}"),
    "threat_exists": lambda p, i: p.threat_exists(f"t{i}", exact=True),
    "claim": lambda p, i: p.claim(f"t{i}", "ann"),
}


@pytest.mark.parametrize("name", SINGLES)
@pytest.mark.parametrize("partitions", [1, 4])
async def test_every_kind_of_single_call_travels_together(
    open_here: OpenHere, periscope: Periscope, name: str, partitions: int
) -> None:
    """Two hundred at once are a handful of function calls a partition; one alone is one."""
    # Without the filter, which calls functions of its own.
    async with open_here(namespace="together", partitions=partitions, filter="off") as p:
        await p.add_threats_batch(
            {"threat_id": f"t{i}", "content": "x", "severity": "LOW"} for i in range(201)
        )
        before = await calls_of_functions(p)
        answers = await asyncio.gather(*(SINGLES[name](p, i) for i in range(200)))
        assert await calls_of_functions(p) - before <= 6 * partitions
        assert all(answers)
        before = await calls_of_functions(p)
        assert await SINGLES[name](p, 200)
        assert await calls_of_functions(p) - before == 1
        await p.functions.connections.client.flushall()


@pytest.mark.parametrize("partitions", [1, 3])
async def test_order_per_threat_is_the_order_of_the_calls(
    open_here: OpenHere, periscope: Periscope, partitions: int
) -> None:
    async with open_here(namespace="ordered", partitions=partitions) as p, asyncio.timeout(60):
        client = p.functions.connections.client
        for turn in range(5):
            calls: list[Any] = [
                p.add_threat(f"t{i}", f"{turn} {step}", "LOW")
                for step in range(40)
                for i in range(7)
            ]
            calls += [p.record_interaction(f"t{i}", "ann", "view") for i in range(7)]
            calls += [p.add_threat(f"t{i}", f"{turn} last", "LOW") for i in range(7)]
            calls.insert(
                random.Random(turn).randrange(200), client.execute_command("FUNCTION FLUSH")
            )
            await asyncio.gather(*calls)
            for threat in await p.get_threats(f"t{i}" for i in range(7)):
                assert threat.content == f"{turn} last"
                assert threat.interactions == turn + 1
        await client.flushall()


async def test_cancelling_some_harms_no_other(periscope: Periscope) -> None:
    chance = random.Random(5)

    async def one(number: int) -> bool:
        name = f"t{number}"
        try:
            async with asyncio.timeout(chance.choice([0.0, 0.0005, 0.002, 0.01, 30, 30, 30])):
                await periscope.add_threat(name, f"content of {name}", "LOW")
                threat = await periscope.record_interaction(
                    name, f"a{number}", "view", f"id {name}"
                )
                assert (threat.threat_id, threat.interaction_id) == (name, f"id {name}")
                claim = await periscope.claim(name, f"a{number}")
                assert (claim.threat_id, claim.analyst_id) == (name, f"a{number}")
                found = await periscope.get_threat(name)
                assert found is not None
                assert found.content == f"content of {name}"
        except TimeoutError:
            return False
        return True

    async with asyncio.timeout(60):
        done = await asyncio.gather(*(one(i) for i in range(3000)))
    assert 0 < sum(done) < 3000
    # Who was given up may have been stored; once more, everybody is whole and counted once.
    await asyncio.gather(
        *(periscope.add_threat(f"t{i}", f"content of t{i}", "LOW") for i in range(3000))
    )
    await asyncio.gather(
        *(periscope.record_interaction(f"t{i}", f"a{i}", "view", f"id t{i}") for i in range(3000))
    )
    threats = await periscope.get_threats(f"t{i}" for i in range(3000))
    assert [threat.interactions for threat in threats] == [1] * 3000
    assert (await periscope.get_ledger()).added == 3000


@pytest.mark.parametrize(
    ("cuts", "garbage"),
    [(12, b""), (3, b"$5\r\nwrong\r\n"), (3, b"*1\r\n:7\r\n"), (12, b"?junk\r\n")],
    ids=["cut", "a wrong text", "a wrong list", "no protocol"],
)
async def test_dropped_connections_never_deliver_a_wrong_answer(cuts: int, garbage: bytes) -> None:
    server = ServerProcess().start()
    proxy = CuttingProxy(server.socket, cuts=cuts, cut_after_bytes=3000, garbage=garbage)
    try:
        async with (
            asyncio.timeout(60),
            proxy,
            Periscope.open(proxy.url, retry_s=20, connections=4) as p,
        ):
            proxy.armed = True
            await asyncio.gather(*(_whole_life(p, i) for i in range(2000)))
            proxy.armed = False
            assert proxy.done == cuts
            ledger = await p.get_ledger(deep=True)
            assert ledger.balanced
            assert ledger.added == 2000
            assert in_use(p) <= 4
    finally:
        server.stop()


async def _whole_life(p: Periscope, number: int) -> None:
    name = f"t{number}"
    for step in range(20):
        try:
            await p.add_threat(name, f"of {name}", "HIGH")
            threat: Threat = await p.record_interaction(name, "ann", "escalate", f"id {name}")
            claim: Claim = await p.claim(name, f"a{number}", request_id=f"c {name}")
            found = await p.get_threat(name)
        except StoreUnavailable:
            assert step < 19
            continue
        assert (threat.threat_id, threat.content, threat.interactions) == (name, f"of {name}", 1)
        assert (claim.threat_id, claim.analyst_id) == (name, f"a{number}")
        assert found is not None
        assert (found.threat_id, found.content) == (name, f"of {name}")
        return


async def test_one_bad_threat_fails_only_its_own_caller(periscope: Periscope) -> None:
    (keys,) = periscope.keyspace.partitions
    client = periscope.functions.connections.client
    await periscope.add_threat("other", "x", "LOW")
    await client.hset(keys.record(b"bad"), "not", "a record")
    names = [*(f"t{i}" for i in range(50)), "bad", *(f"u{i}" for i in range(50))]
    answers = await asyncio.gather(
        *(periscope.add_threat(name, "x", "LOW") for name in names), return_exceptions=True
    )
    assert [type(a) for a in answers if isinstance(a, Exception)] == [StoreDamaged]
    assert isinstance(answers[50], StoreDamaged)
    acts = await asyncio.gather(
        *(periscope.record_interaction(name, "ann", "view") for name in names),
        return_exceptions=True,
    )
    assert [i for i, act in enumerate(acts) if isinstance(act, Exception)] == [50]
    await client.delete(keys.record(b"bad"))


async def test_each_gets_an_error_of_its_own(periscope: Periscope) -> None:
    await periscope.add_threat("t", "x", "LOW")
    answers = await asyncio.gather(
        periscope.add_threat("good", "x", "LOW"),
        periscope.add_threat("", "x", "LOW"),
        periscope.record_interaction("t", "ann", "view"),
        periscope.record_interaction("nobody", "ann", "view"),
        periscope.get_threat("nobody"),
        periscope.get_threat("t"),
        return_exceptions=True,
    )
    kinds = [Outcome, ReportRejected, Threat, ThreatUnknown, type(None), Threat]
    assert [type(answer) for answer in answers] == kinds
    assert (await periscope.get_ledger()).rejected == 1


async def test_a_full_queue_makes_callers_wait(open_here: OpenHere, periscope: Periscope) -> None:
    async with open_here(queue_limit=3) as p, asyncio.timeout(30):
        tasks = [asyncio.create_task(p.add_threat(f"t{i}", "x", "LOW")) for i in range(100)]
        await asyncio.sleep(0)
        for task in tasks[3:50:2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        stored = (await p.get_ledger()).added
        assert stored == sum(not task.cancelled() for task in tasks) == 100 - 24
        await asyncio.gather(*(p.add_threat(f"u{i}", "x", "LOW") for i in range(50)))
        assert (await p.get_ledger()).added == stored + 50


async def test_a_policy_that_moves_is_met_by_all(open_here: OpenHere, periscope: Periscope) -> None:
    async with open_here() as p, asyncio.timeout(30):
        calls: list[Any] = [p.add_threat(f"t{i}", "x", "LOW") for i in range(500)]
        calls.insert(250, periscope.set_policy(Policy(severity_low=0.2)))
        await asyncio.gather(*calls)
        await asyncio.gather(*(p.record_interaction(f"t{i}", "a", "view") for i in range(500)))
        assert (await p.get_stats()).queue == 500


async def test_closing_answers_everybody() -> None:
    server = ServerProcess().start()
    try:
        p = await Periscope.open(server.url, retry_s=20).start()
        await p.add_threat("t", "x", "LOW")
        await p.functions.connections.client.execute_command("CLIENT", "PAUSE", 20_000, "WRITE")
        tasks = [asyncio.create_task(p.add_threat(f"t{i}", "x", "LOW")) for i in range(2000)]
        await _turns(10)
        async with asyncio.timeout(10):
            await p.close()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(answer) for answer in answers} <= {OutcomeUnknown, StoreUnavailable}
        assert any(isinstance(answer, OutcomeUnknown) for answer in answers)
    finally:
        server.stop()


async def test_refused_and_unknown_are_told_apart() -> None:
    server = ServerProcess().start()
    try:
        async with Periscope.open(server.url, retry_s=0.05) as p, asyncio.timeout(30):
            await p.add_threat("t", "x", "LOW")
            client = p.functions.connections.client
            await client.execute_command("CLIENT", "PAUSE", 20_000, "WRITE")
            sent = asyncio.create_task(p.add_threat("sent", "x", "LOW"))
            await _turns(10)
            server.kill()
            with pytest.raises(OutcomeUnknown):
                await sent
            with pytest.raises(StoreUnavailable, match="nothing was sent") as caught:
                await p.add_threat("not sent", "x", "LOW")
            assert not isinstance(caught.value, OutcomeUnknown)
    finally:
        server.stop()
