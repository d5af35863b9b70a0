"""Clients that are slow, silent, cut off or far too fast: others are served as before."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from periscope import Periscope
from periscope.access import Access
from tests.support.history import say
from tests.support.nodes import wait_until
from tests.support.patience import PATIENCE
from tests.support.servers import ServerProcess
from tests.support.services import ServiceProcess

SOAK = "SOAK" in os.environ
IDLE = 500
EACH = 50
WATCHED_S = 20.0 if SOAK else 2.0
BODY_S = 1.0
MIB = 48
"""More memory than this is not taken by all that is done here."""
FLOOR_S = 0.05 * PATIENCE
"""A p99 below this is fine, whatever it was before: two busy cores are no measure."""
RATE = 10.0

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def store() -> Iterator[ServerProcess]:
    made = ServerProcess().start()
    yield made
    made.stop()


@pytest.fixture
async def service(store: ServerProcess, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    made = ServiceProcess(store, tmp_path, serve_body_timeout_s=BODY_S)
    try:
        yield await made.start()
    finally:
        made.kill()


@asynccontextmanager
async def wires(service: ServiceProcess, count: int, sent: bytes) -> AsyncIterator[list[Wire]]:
    """Connections over which these bytes were sent, and nothing more."""
    opened: list[Wire] = []
    try:
        for _ in range(count):
            wire = await asyncio.open_connection("127.0.0.1", service.port)
            opened.append(wire)
            wire[1].write(sent)
        yield opened
    finally:
        for _, writer in opened:
            writer.transport.abort()


async def p99_s(service: ServiceProcess, for_s: float = WATCHED_S) -> float:
    """The 99th percentile of what a reader waits, one request after the other."""
    taken = []
    headers = {"Authorization": f"Bearer {service.secret}"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=10) as client:
        ends = time.monotonic() + for_s
        while (began := time.monotonic()) < ends:
            assert (await client.get("/v1/threats?limit=10")).status_code == 200
            taken.append(time.monotonic() - began)
            await asyncio.sleep(0.002)
    return sorted(taken)[int(len(taken) * 0.99) - 1]


def head(service: ServiceProcess, *more: str) -> bytes:
    """The head of a request that adds a report, without its end."""
    lines = (
        *("POST /v1/reports HTTP/1.1", f"Host: 127.0.0.1:{service.port}"),
        *(f"Authorization: Bearer {service.secret}", "Content-Type: application/json", *more),
    )
    return "\r\n".join(lines).encode()


async def test_slow_silent_and_cut_off(store: ServerProcess, service: ServiceProcess) -> None:
    before_s = await p99_s(service)
    rss = service.rss_mib
    stalled = head(service, "Content-Length: 100", "", '{"threat_id"')
    endless = head(service, "Transfer-Encoding: chunked", "", "5\r\n")
    async with AsyncExitStack() as stack:
        open_wires = [
            await stack.enter_async_context(wires(service, count, sent))
            for count, sent in (
                (IDLE, b""),
                (EACH, head(service)),
                (EACH, stalled),
                (EACH, endless),
            )
        ]
        dripping = asyncio.create_task(drip(open_wires[1]))
        resets = asyncio.create_task(reset_and_half_close(service, stalled))
        during_s = await p99_s(service)
        for wire in (*open_wires[2], *open_wires[3]):
            assert await status_of(wire) == 408, "a body that stalls is not waited for"
        dripping.cancel()
        halves = await resets
        grown = service.rss_mib - rss
    after_s = await p99_s(service, 1.0)
    say(
        f"service with {IDLE} idle and {3 * EACH} stalled connections: a reader's p99 "
        f"{1000 * before_s:.0f} ms before, {1000 * during_s:.0f} ms during, "
        f"{1000 * after_s:.0f} ms after; {grown:+.0f} MiB; half-closed: {halves}"
    )
    assert during_s < max(2 * before_s, FLOOR_S)
    assert grown < MIB
    async with Periscope.open(store.url) as p:
        ledger = await p.get_ledger(deep=True)
        assert (ledger.balanced, ledger.received) == (True, 0), "no half of a body was taken in"


async def drip(slow: list[Wire]) -> None:
    """A byte of a header now and then."""
    while True:
        for _, writer in slow:
            writer.write(b"x")
        await asyncio.sleep(0.2)


async def reset_and_half_close(service: ServiceProcess, stalled: bytes) -> Counter[int]:
    """Cut connections in the midst of bodies; what half-closed ones are answered."""
    found: Counter[int] = Counter()
    linger = struct.pack("ii", 1, 0)
    for _ in range(EACH):
        async with wires(service, 1, stalled) as ((_, writer),):
            await writer.drain()
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    for _ in range(EACH):
        async with wires(service, 1, stalled) as (wire,):
            await wire[1].drain()
            wire[1].write_eof()
            found[await status_of(wire)] += 1
    return found


async def status_of(wire: Wire) -> int:
    """The status that is answered; 0 if the connection ends without one."""
    with suppress(OSError):
        async with asyncio.timeout(BODY_S + 9):
            line = await wire[0].readline()
            return int(line.split()[1]) if line else 0
    return 0


@pytest.mark.skipif(not SOAK, reason="ten seconds of waiting: a long form")
async def test_headers_that_never_end_are_given_up(service: ServiceProcess) -> None:
    async with wires(service, EACH, head(service)) as slow:
        dripping = asyncio.create_task(drip(slow))
        began = time.monotonic()
        for reader, _ in slow:
            async with asyncio.timeout(20):
                with suppress(OSError):
                    await reader.read()
        dripping.cancel()
    assert 5 < time.monotonic() - began < 15


async def test_ten_times_the_rate_of_a_key(store: ServerProcess, service: ServiceProcess) -> None:
    async with Periscope.open(store.url) as p:
        access = Access(p)
        await access.start()
        _, fast = await access.create_key(
            "fast", ("read",), by="tests", rate_per_s=RATE, burst=int(RATE)
        )
        await access.close()
    await wait_until(lambda: is_known(service, fast), "the key is known to the service")
    before_s = await p99_s(service)
    rss = service.rss_mib
    ended = asyncio.Event()
    began = time.monotonic()
    hammering = [asyncio.create_task(hammer(service, fast, ended)) for _ in range(10)]
    during_s = await p99_s(service)
    ended.set()
    answers = sum(await asyncio.gather(*hammering), Counter[int]())
    took_s = time.monotonic() - began
    say(
        f"key at {sum(answers.values()) / took_s / RATE:.1f} times its rate: {dict(answers)}; "
        f"others' p99 {1000 * before_s:.0f} ms before, {1000 * during_s:.0f} ms during; "
        f"{service.rss_mib - rss:+.0f} MiB"
    )
    assert set(answers) == {200, 429}
    assert answers[200] <= RATE * (1 + took_s) * 1.25
    assert answers[200] >= RATE * took_s * 0.5
    assert during_s < max(2 * before_s, FLOOR_S)
    assert service.rss_mib - rss < MIB


async def is_known(service: ServiceProcess, secret: str) -> bool:
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers) as client:
        return (await client.get("/v1/threats?limit=1")).status_code == 200


async def hammer(service: ServiceProcess, secret: str, ended: asyncio.Event) -> Counter[int]:
    """Ask as often as it can; each refusal says when to come back."""
    found: Counter[int] = Counter()
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=10) as client:
        while not ended.is_set():
            answer = await client.get("/v1/threats?limit=1")
            found[answer.status_code] += 1
            if answer.status_code == 429:
                assert int(answer.headers["retry-after"]) >= 1
                assert json.loads(answer.content)["type"] == "urn:periscope:problem:rate-limited"
            await asyncio.sleep(0.02)
    return found
