"""Single awaits, ours and redis-py's: the same functions of the same server, called in two ways.

Ours go through the engine, which lets awaits that wait at the same time travel together. redis-py's
are one `execute_command` each: packed here and left unread, so that nothing but the call itself is
compared.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

from periscope.acts import pack_act
from periscope.bench.acting import ANALYSTS, STRIDE, Job, interaction
from periscope.bench.stand import Stand
from periscope.bench.threats import report, threat_id
from periscope.bench.work import FAR
from periscope.chunks import ActChunk, Chunk, ReportChunk
from periscope.intake import Intake
from periscope.periscope import Periscope

Call = Callable[..., Awaitable[Any]]

LEASE = timedelta(hours=1)


def ours(on: Stand, resident: int) -> dict[str, Job]:
    """One call of the public interface an await."""
    p = on.periscope

    async def act(number: int) -> None:
        await p.record_interaction(**interaction(number, resident))

    async def add(number: int) -> None:
        await p.add_threat(**report(FAR + number))

    async def get(number: int) -> None:
        await p.get_threat(_resident(number, resident))

    async def claim(number: int) -> None:
        await p.claim(_resident(number, resident), _claimant(number, resident), LEASE)

    return {"record_interaction": act, "add_threat": add, "get_threat": get, "claim": claim}


def redis_py(on: Stand, resident: int) -> dict[str, Job]:
    """One call of redis-py an await: the very same call of the very same function."""
    functions, keys, intake = on.periscope.functions, on.keys, Intake(bytes(16))
    run: Call = on.client.execute_command

    async def send(chunk: Chunk) -> None:
        await run(*chunk.command(functions, chunk.chunk_id))

    async def act(number: int) -> None:
        item = interaction(number, resident)
        packed = pack_act(item["action"], item["threat_id"], item["analyst_id"])
        await send(ActChunk(keys, [packed], full=True))

    async def add(number: int) -> None:
        await send(ReportChunk(keys, [intake.one(report(FAR + number))]))

    async def get(number: int) -> None:
        names = (keys.meta, keys.record(_resident(number, resident).encode()))
        args = (functions.rules.revision, functions.moment)
        await run("FCALL_RO", "periscope_threats", len(names), *names, *args)

    async def claim(number: int) -> None:
        verb = partial(pack_act, "claim", args=(int(LEASE.total_seconds() * 1000),))
        packed = verb(_resident(number, resident), _claimant(number, resident))
        await send(ActChunk(keys, [packed], full=True))

    return {"record_interaction": act, "add_threat": add, "get_threat": get, "claim": claim}


def plain_hset(on: Stand, resident: int) -> Job:
    """One HSET an await through redis-py: it writes a field, and checks and keeps nothing."""
    run: Call = on.client.execute_command

    async def job(number: int) -> Any:
        item = interaction(number, resident)
        await run("HSET", f"bench:{item['threat_id']}", item["analyst_id"], item["action"])

    return job


async def single_acts(p: Periscope, count: int, resident: int) -> list[float]:
    """Milliseconds of each of `count` interactions, awaited one after the other."""
    waits = []
    for number in range(count):
        begun = time.perf_counter()
        await p.record_interaction(**interaction(number, resident))
        waits.append((time.perf_counter() - begun) * 1000)
    return waits


def _resident(number: int, resident: int) -> str:
    return threat_id(number * STRIDE % resident)


def _claimant(number: int, resident: int) -> str:
    """The same analyst for the same threat: a claim that comes again is renewed, not refused."""
    return f"analyst-{number * STRIDE % resident % ANALYSTS}"
