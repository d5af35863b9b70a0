"""`periscope serve` killed, stopped, starved, ended, without its store, while 20 clients post."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from periscope import Periscope
from periscope.client import Client
from tests.support.history import say
from tests.support.nodes import wait_until
from tests.support.patience import BUSY_S
from tests.support.posters import check, posters
from tests.support.servers import ServerProcess, free_port
from tests.support.services import ServiceProcess

SOAK = "SOAK" in os.environ
TURNS = 6 if SOAK else 1
HELD_S = 5.0 if SOAK else 1.5
PATIENCE_S = 1.0  # of the clients: less than that
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
DRAINED_S = 10.0
BACK_S = 4.0 + BUSY_S
FAST_S = 0.5 + BUSY_S


@pytest.fixture
def store() -> Iterator[ServerProcess]:
    made = ServerProcess(*DURABLE, port=free_port()).start()
    yield made
    made.stop()


@pytest.fixture
async def service(store: ServerProcess, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    made = ServiceProcess(store, tmp_path)
    try:
        yield await made.start()
    finally:
        made.kill()


@asynccontextmanager
async def busy(cpu: int, programs: int) -> AsyncIterator[None]:
    """Programs that want all of a processor."""
    spin = "while True: pass"
    running = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(programs)]
    try:
        for one in running:
            os.sched_setaffinity(one.pid, {cpu})
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


async def balances(service: ServiceProcess) -> None:
    """It does by `periscope ledger --deep`, the archive included."""
    done = await service.run("ledger", "--deep")
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


@pytest.mark.timeout(600 if SOAK else 300)
async def test_killed_stopped_and_starved(store: ServerProcess, service: ServiceProcess) -> None:
    every = os.sched_getaffinity(0)
    sent = 0

    async def stream() -> AsyncIterator[dict[str, str]]:
        """One more client sends on and on, repeating what was not answered."""
        nonlocal sent
        while not ended.is_set():
            sent += 1
            yield {"threat_id": f"s{sent}", "content": "x", "severity": "LOW"}
            if sent % 100 == 0:
                await asyncio.sleep(0.02)

    async def follow() -> None:
        """And one follows what happens, across all of that."""
        async for event in patient.events("0-0", kinds=["added"]):
            followed.update(event.threat_ids)

    ended, followed = asyncio.Event(), Counter[str]()
    async with Client(service.url, service.secret, timeout_s=PATIENCE_S) as patient:
        sending = asyncio.create_task(patient.add_reports(stream(), retry_s=60))
        following = asyncio.create_task(follow())
        async with posters(service.url, service.secret, timeout_s=PATIENCE_S) as told:
            for _ in range(TURNS):
                await told.more()
                service.kill()
                await service.start()
                back_s = await told.more()
                service.signal(signal.SIGSTOP)
                await asyncio.sleep(HELD_S)
                service.signal(signal.SIGCONT)
                await told.more()
                async with busy(min(every), 3):
                    service.keep_to({min(every)})
                    await told.more(60)
                service.keep_to(every)
        ended.set()
        result = await asyncio.wait_for(sending, 60)
        acknowledged = {one for ids in told.acknowledged for one in ids}
        await wait_until(lambda: are_told(acknowledged, followed), "a follower is told of them all")
        following.cancel()
    say(f"service killed, stopped, starved {TURNS} times: {told}; taken in {back_s:.2f} s after")
    assert (result.added, result.received) == (sent, sent), "counted once, however often sent"
    assert told.longest_s < PATIENCE_S + 3
    async with Periscope.open(store.url) as p:
        await check(p, told, others=sent)
    assert set(followed.values()) == {1}, "a follower is told of nothing twice"
    await balances(service)


async def are_told(ids: set[str], followed: Counter[str]) -> bool:
    return ids <= set(followed)


async def test_told_to_end_under_load(store: ServerProcess, service: ServiceProcess) -> None:
    async with posters(service.url, service.secret) as told:
        for _ in range(TURNS):
            await told.more()
            async with httpx.AsyncClient(base_url=service.url, timeout=5) as probe:
                assert (await probe.get("/readyz")).status_code == 200
                service.signal(signal.SIGTERM)
                began = time.monotonic()
                answers: list[int] = []
                while service_is_there(answers):
                    try:
                        answers.append((await probe.get("/readyz")).status_code)
                    except httpx.HTTPError:
                        answers.append(0)
            assert await service.ended(DRAINED_S) == 0
            took_s = time.monotonic() - began
            await service.start()
            await told.more()
    say(f"service told to end under load: gone in {took_s:.2f} s; {told}")
    assert 503 in answers, "readiness is false before anything is refused"
    assert took_s < DRAINED_S
    assert told.problems <= {"unreachable", "unanswered"}, "no request was refused while it drained"
    async with Periscope.open(store.url) as p:
        await check(p, told)


def service_is_there(answers: list[int]) -> bool:
    return not answers or answers[-1] != 0


@pytest.mark.timeout(600 if SOAK else 300)
async def test_the_store_killed_and_back(store: ServerProcess, service: ServiceProcess) -> None:
    async with (
        posters(service.url, service.secret, timeout_s=15) as told,
        httpx.AsyncClient(base_url=service.url, timeout=20) as probe,
    ):
        for _ in range(TURNS):
            await told.more()
            store.kill()
            await wait_until(lambda: is_refused(probe, service), "it says that the store is away")
            refused_s = await longest_refusal(probe, service)
            store.start()
            back_s = await told.more()
            assert await service.status("/readyz") == 200
    say(f"store killed: refused within {refused_s:.3f} s, taken in {back_s:.2f} s after; {told}")
    assert refused_s < FAST_S
    assert back_s < BACK_S
    assert told.problems <= {"store-unavailable", "outcome-unknown"}
    assert None not in told.pauses, "every refusal says when to come back"
    async with Periscope.open(store.url) as p:
        await check(p, told)
    await balances(service)


async def test_the_store_stopped_and_back(store: ServerProcess, tmp_path: Path) -> None:
    service = ServiceProcess(store, tmp_path, call_timeout_s=1, retry_s=2)
    try:
        await service.start()
        async with (
            posters(service.url, service.secret, timeout_s=20) as told,
            httpx.AsyncClient(base_url=service.url, timeout=20) as probe,
        ):
            await told.more()
            store.freeze()
            await wait_until(lambda: is_refused(probe, service), "the store is found silent")
            refused_s = await longest_refusal(probe, service)
            store.thaw()
            back_s = await told.more()
        say(
            f"store stopped: refused within {refused_s:.3f} s, "
            f"taken in {back_s:.2f} s after; {told}"
        )
    finally:
        store.thaw()
        service.kill()
    assert refused_s < FAST_S
    assert back_s < BACK_S
    assert told.longest_s < 1 + 2 + 5  # the call's, the batch's, and a busy machine's
    assert None not in told.pauses
    async with Periscope.open(store.url) as p:
        await check(p, told)


async def is_refused(probe: httpx.AsyncClient, service: ServiceProcess) -> bool:
    headers = {"Authorization": f"Bearer {service.secret}"}
    with suppress(httpx.TimeoutException):  # one that was let in before waits for the store
        answer = await probe.get("/v1/threats?limit=1", headers=headers, timeout=0.5)
        return answer.status_code == 503
    return False


async def longest_refusal(probe: httpx.AsyncClient, service: ServiceProcess) -> float:
    """How long refusals take, each a 503 with Retry-After. It lives, and says it is not ready."""
    longest_s = 0.0
    headers = {"Authorization": f"Bearer {service.secret}"}
    report = {"threat_id": "never", "content": "x", "severity": "LOW"}
    for _ in range(2):
        for method, path in (("GET", "/v1/threats"), ("POST", "/v1/reports")):
            began = time.monotonic()
            body = report if method == "POST" else None
            answer = await probe.request(method, path, json=body, headers=headers)
            longest_s = max(longest_s, time.monotonic() - began)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2"), answer.text
            assert answer.json()["type"] == "urn:periscope:problem:store-unavailable"
            assert "127.0.0.1" not in answer.text
        assert (await probe.get("/readyz")).status_code == 503
        assert (await probe.get("/healthz")).status_code == 200
    return longest_s
