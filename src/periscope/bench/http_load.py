"""A process that makes load: `python -m periscope.bench.http_load`.

It reads one task as a line of JSON, says `ready`, begins at the next line, and says what came of it
as a line of JSON. Nobody may import it: a module that is run as a program would otherwise be there
twice.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

import msgspec

from periscope.bench.http_heard import told_by
from periscope.bench.http_line import Line, Listener, request_of
from periscope.bench.http_tasks import AnyTask, Ask, Done, Follow, Post, Told
from periscope.bench.threats import report, threat_id

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW")
PAGES_OF_A_WALK = 10
_CURSOR = b'"next_cursor":"'

Go = Callable[[], Awaitable[None]]
One = Callable[[Line, int], Awaitable[None]]


async def _post(task: Post, go: Go) -> Done:
    """Bodies are made before anything is timed."""
    starts = range(task.first, task.first + task.bodies * task.each, task.each)
    bodies = [
        request_of("/v1/reports", task.key, _body(start, task.each), "x-ndjson") for start in starts
    ]
    begin_s = [number / task.per_s if task.per_s else 0.0 for number in range(task.bodies)]

    async def send(line: Line, number: int) -> None:
        answer = await line.ask(bodies[number])
        if b'"added":%d,' % task.each not in answer:
            raise ValueError(answer[:300])

    return await _all(task, len(bodies), send, go, begin_s)


def _body(start: int, each: int) -> bytes:
    return b"\n".join(msgspec.json.encode(report(number)) for number in range(start, start + each))


async def _ask(task: Ask, go: Go) -> Done:
    if task.kind == "pages":
        walks = [_walk(task, number) for number in range(task.connections)]
        free = list(range(task.connections))

        async def turn(line: Line, number: int) -> None:
            mine = free.pop()
            try:
                await walks[mine](line)
            finally:
                free.append(mine)

        return await _all(task, task.requests, turn, go, pause_s=task.pause_s)

    async def one(line: Line, number: int) -> None:
        await line.ask(_small(task, number))

    return await _all(task, task.requests, one, go, pause_s=task.pause_s)


def _small(task: Ask, number: int) -> bytes:
    """Requests are a few hundred bytes: made on the way."""
    if task.kind == "health":
        return request_of("/healthz", task.key)
    if task.kind == "page":
        return request_of("/v1/threats?limit=100", task.key)
    name = threat_id(number * 7919 % task.scale)
    if task.kind == "threat":
        return request_of(f"/v1/threats/{name}", task.key)
    act = {"threat_id": name, "analyst_id": f"analyst-{number % 50}", "action": "view"}
    return request_of("/v1/interactions", task.key, msgspec.json.encode(act))


def _walk(task: Ask, number: int) -> Callable[[Line], Awaitable[None]]:
    """One who pages through a severity, and then through another: no two ask the same."""
    turns, cursor = count(number * PAGES_OF_A_WALK), b""

    async def next_page(line: Line) -> None:
        nonlocal cursor
        turn = next(turns)
        severity = SEVERITIES[turn // PAGES_OF_A_WALK % len(SEVERITIES)]
        path = f"/v1/threats?limit=100&severity={severity}"
        if turn % PAGES_OF_A_WALK and cursor:
            path += f"&cursor={cursor.decode()}"
        page = await line.ask(request_of(path, task.key))
        at = page.rfind(_CURSOR)
        cursor = page[at + len(_CURSOR) : page.index(b'"', at + len(_CURSOR))] if at >= 0 else b""

    return next_page


async def _all(
    task: Post | Ask,
    total: int,
    one: One,
    go: Go,
    begin_s: list[float] | None = None,
    pause_s: float = 0.0,
) -> Done:
    """Make all requests on so many connections, each of which takes the next one."""
    lines = [await Line.open(task.port) for _ in range(task.connections)]
    samples, ended = [0.0] * total, [0.0] * total
    numbers = iter(range(total))
    await go()
    begun = time.monotonic()

    async def work(line: Line, mine: Iterator[int]) -> None:
        for number in mine:
            early = 0.0 if begin_s is None else begun + begin_s[number] - time.monotonic()
            if max(early, pause_s) > 0:
                await asyncio.sleep(max(early, pause_s))
            at = time.monotonic()
            await one(line, number)
            ended[number] = time.monotonic()
            samples[number] = (ended[number] - at) * 1000

    cpu_s = time.process_time()
    await asyncio.gather(*(work(line, numbers) for line in lines))
    wall_s, cpu_s = time.monotonic() - begun, time.process_time() - cpu_s
    for line in lines:
        line.close()
    return Done(wall_s=wall_s, cpu_s=cpu_s, samples_ms=samples, ended=ended)


async def _follow(task: Follow, go: Go) -> Told:
    last, waiting, opened = task.last.encode(), set[Listener](), asyncio.Event()
    all_told = asyncio.Event()
    tails: dict[Listener, bytes] = {}

    def heard(listener: Listener, part: bytes) -> None:
        known = tails.get(listener, b"") + part
        tails[listener] = known[-len(last) :]
        if len(tails) == task.connections:
            opened.set()
        if not part or last in known:
            waiting.discard(listener)
            if not waiting:
                all_told.set()

    request = request_of("/v1/events", task.key)
    listeners = [await Listener.open(task.port, request, heard) for _ in range(task.connections)]
    waiting.update(listeners)
    await opened.wait()
    await go()
    cpu_s = time.process_time()
    try:
        async with asyncio.timeout(task.most_s):
            await all_told.wait()
    except TimeoutError:
        pass  # those that wait have fallen behind, which is counted
    cpu_s = time.process_time() - cpu_s
    for one in listeners:
        one.close()
    return told_by([one.parts for one in listeners], len(waiting), cpu_s)


async def _run() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    task: AnyTask = msgspec.json.decode(await reader.readline(), type=AnyTask)

    async def go() -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        if not await reader.readline():
            sys.exit(1)  # whoever wanted it has gone away

    if isinstance(task, Post):
        said: Done | Told = await _post(task, go)
    elif isinstance(task, Ask):
        said = await _ask(task, go)
    else:
        said = await _follow(task, go)
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_run())
