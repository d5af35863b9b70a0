"""Bounds of time: of a connect, and of a single call as its caller sees it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest

from periscope import OutcomeUnknown, Periscope, StoreUnavailable
from periscope.bound import Bound
from tests.conftest import OpenHere
from tests.support.nodes import wait_until
from tests.support.patience import BUSY_S
from tests.support.servers import ServerProcess

MOST_S = 0.5
SLACK_S = 0.1 + BUSY_S

Call = Callable[[Periscope], Awaitable[Any]]
CHANGES: dict[str, Call] = {
    "add_threat": lambda p: p.add_threat("new", "x", "LOW"),
    "record_interaction": lambda p: p.record_interaction("t", "ann", "view"),
    "claim": lambda p: p.claim("t", "ann"),
    "claim_next": lambda p: p.claim_next("ann"),
    "comment": lambda p: p.comment("t", "ann", "hm"),
}
READS: dict[str, Call] = {
    "get_threat": lambda p: p.get_threat("t"),
    "get_threats": lambda p: p.get_threats(["t", "u"]),
    "threat_exists": lambda p: p.threat_exists("t", exact=True),
    "get_top_threats": lambda p: p.get_top_threats(5),
    "get_by_severity": lambda p: p.get_by_severity("LOW"),
    "get_short_term": lambda p: p.get_short_term(),
    "get_overdue": lambda p: p.get_overdue(),
    "get_ledger": lambda p: p.get_ledger(),
    "get_desk": lambda p: p.get_desk("t"),
    "get_holdings": lambda p: p.get_holdings(),
}


@pytest.fixture
def process() -> Iterator[ServerProcess]:
    made = ServerProcess().start()
    yield made
    made.stop()


@asynccontextmanager
async def busy(p: Periscope) -> AsyncIterator[None]:
    """Hold the only connection there is."""
    pool = p.functions.connections.client.connection_pool
    held = await pool.get_connection()
    try:
        yield
    finally:
        await pool.release(held)


@pytest.mark.parametrize("name", [*CHANGES, *READS])
async def test_who_waits_for_a_connection_is_let_go_in_time_and_nothing_was_sent(
    open_here: OpenHere, periscope: Periscope, name: str
) -> None:
    call = (CHANGES | READS)[name]
    async with open_here(connections=1, operation_timeout_s=MOST_S) as p, asyncio.timeout(20):
        await p.add_threat("t", "x", "LOW")
        await p._engine._coalescer._parking.close()
        before = await periscope.get_ledger()
        async with busy(p):
            began = time.monotonic()
            with pytest.raises(
                StoreUnavailable, match=f"{MOST_S:g} s .*operation_timeout_s"
            ) as told:
                await call(p)
            assert MOST_S * 0.9 < time.monotonic() - began < MOST_S + SLACK_S
            assert not isinstance(told.value, OutcomeUnknown)
            if name in CHANGES and name != "claim_next":
                assert "nothing was sent" in str(told.value)
        assert await p.add_threat("later", "x", "LOW") == "added"
        assert await periscope.get_threat("new") is None
        threat = await periscope.get_threat("t")
        assert threat is not None
        assert threat.interactions == 0
        assert (await periscope.get_desk("t")).claim is None
        assert (await periscope.get_ledger()).received == before.received + 1


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_that_was_sent_and_takes_too_long_is_unknown(
    process: ServerProcess, name: str
) -> None:
    async with Periscope.open(process.url, operation_timeout_s=MOST_S) as p, asyncio.timeout(20):
        await p.add_threat("t", "x", "LOW")
        if name == "claim_next":  # it reads first: only its second call is to be late
            process_stopped = stopping_after_reading(p, process)
        else:
            process.freeze()
            process_stopped = None
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown, match="repeating it is safe"):
            await CHANGES[name](p)
        assert MOST_S * 0.9 < time.monotonic() - began < MOST_S + SLACK_S
        process.thaw()
        if process_stopped:
            process_stopped.close()

        async def answers() -> bool:
            return await p.add_threat("after", "x", "LOW") in ("added", "duplicate")

        await wait_until(answers, "it answers")
        if name == "add_threat":
            assert await p.add_threat("new", "x", "LOW") == "duplicate"
        assert (await p.get_ledger(deep=True)).balanced


def stopping_after_reading(p: Periscope, process: ServerProcess) -> ExitStack:
    """Freeze the server between what `claim_next` reads and what it does."""
    engine, act = p._engine, p._engine.act_on_first

    async def frozen(*args: Any, **more: Any) -> Any:
        process.freeze()
        return await act(*args, **more)

    engine.act_on_first = frozen  # type: ignore[method-assign]
    stack = ExitStack()
    stack.callback(setattr, engine, "act_on_first", act)
    return stack


@pytest.mark.parametrize("name", READS)
async def test_a_read_that_takes_too_long_is_told_so(process: ServerProcess, name: str) -> None:
    async with Periscope.open(process.url, operation_timeout_s=MOST_S) as p, asyncio.timeout(20):
        await p.add_threat("t", "x", "LOW")
        expected = await p.get_threat("t")
        process.freeze()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"no answer within 0\.5 s"):
            await READS[name](p)
        assert MOST_S * 0.9 < time.monotonic() - began < MOST_S + SLACK_S
        process.thaw()
        found = await p.get_threat("t")
        assert found is not None
        assert expected is not None
        assert found.first_seen == expected.first_seen


async def test_who_waits_for_room_is_let_go_and_the_room_is_whole_again(
    process: ServerProcess,
) -> None:
    async with (
        Periscope.open(process.url, operation_timeout_s=MOST_S, queue_limit=3) as p,
        asyncio.timeout(20),
    ):
        await p.add_threat("t", "x", "LOW")
        process.freeze()
        began = time.monotonic()
        told = await asyncio.gather(
            *(p.add_threat(f"t{i}", "x", "LOW") for i in range(10)), return_exceptions=True
        )
        assert time.monotonic() - began < MOST_S + SLACK_S
        texts = [str(one) for one in told]
        unknown = [one for one in told if isinstance(one, OutcomeUnknown)]
        refused = [one for one in told if type(one) is StoreUnavailable]
        assert (len(unknown), len(refused)) == (3, 7)
        assert sum("for room among the calls" in text for text in texts) == 7
        process.thaw()
        again = await asyncio.gather(*(p.add_threat(f"t{i}", "x", "LOW") for i in range(3)))
        assert set(again) == {"duplicate"}
        room = p._engine._coalescer.room
        assert room._calls == 3
        assert not room._queue
        assert (await p.get_ledger()).level_1 == 4


async def test_a_bound_that_is_met_harms_nobody(open_here: OpenHere, periscope: Periscope) -> None:
    """Calls for longer than the bound, each of them shorter: none is let go, none is mixed up."""
    async with open_here(connections=2, operation_timeout_s=MOST_S) as p, asyncio.timeout(20):
        until = time.monotonic() + 3 * MOST_S

        async def caller(number: int) -> int:
            turn = 0
            while time.monotonic() < until:
                threat_id = f"c{number}-{turn}"
                assert await p.add_threat(threat_id, "x", "LOW") == "added"
                found = await p.get_threat(threat_id)
                assert found is not None
                assert found.threat_id == threat_id
                turn += 1
            return turn

        done = await asyncio.gather(*(caller(number) for number in range(20)))
        assert (await p.get_ledger()).level_1 == sum(done)


async def test_one_timer_watches_over_all_and_rests_when_nobody_waits() -> None:
    ended: list[float] = []
    loop = asyncio.get_running_loop()
    waiting = [loop.time() + late for late in (0.0, 0.05, 0.1)]

    def end(before: float) -> float | None:
        nonlocal waiting
        ended.extend(since for since in waiting if since <= before)
        waiting = [since for since in waiting if since > before]
        return min(waiting, default=None)

    bound = Bound(0.1, end)
    order = list(waiting)
    for since in (order[1], order[2], order[0]):  # the oldest is told of last
        bound.watch(since)

    async def all_ended() -> bool:
        return ended == order

    await wait_until(all_ended, "each was let go in its turn")
    assert loop.time() < order[-1] + 0.1 + SLACK_S
    assert bound._timer is None


async def test_a_batch_is_no_single_call(open_here: OpenHere, periscope: Periscope) -> None:
    async with open_here(operation_timeout_s=0.2) as p:

        async def slow() -> AsyncIterator[dict[str, Any]]:
            for number in range(4):
                await asyncio.sleep(0.15)
                yield {"threat_id": f"t{number}", "content": "x", "severity": "LOW"}

        assert (await p.add_threats_batch(slow())).added == 4


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port whose queue of connections is full: nobody is let in, and nobody is told."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address[1]


async def test_a_connect_takes_as_long_as_is_set_at_most(deaf: int) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"(?i)timeout connecting"):
        async with Periscope.open(f"redis://127.0.0.1:{deaf}", connect_timeout_s=MOST_S):
            pass
    assert MOST_S * 0.9 < time.monotonic() - began < MOST_S + SLACK_S
