"""Row `memory`: what an untouched threat costs the server beyond the bytes of its body."""

from __future__ import annotations

from collections.abc import Sequence

from periscope.bench.effort import used_bytes
from periscope.bench.figures import Figure, figure
from periscope.bench.plan import Plan
from periscope.bench.stand import Stand, stand
from periscope.bench.threats import Item, blocks, report
from periscope.errors import BugError
from periscope.header import REPORT_BYTES
from periscope.intake import Intake


async def memory_row(plan: Plan) -> list[Figure]:
    """All keys are counted: records, board, remembered replies, counters."""
    plan.say(f"memory: {plan.scale:,}")
    async with stand() as on:
        await on.periscope.add_threats_batch([report(plan.scale)])
        before = await used_bytes(on.socket_path)
        body_bytes = await _fill(on, plan.scale)
        beyond = (await used_bytes(on.socket_path) - before - body_bytes) / plan.scale
    return [
        figure("memory", "beyond the body", plan.scale, "bytes", [beyond]),
        figure("memory", "the body", plan.scale, "bytes", [body_bytes / plan.scale]),
    ]


async def _fill(on: Stand, count: int) -> int:
    """Ingest `count` threats; return how many bytes their bodies have."""
    body_bytes = 0
    for block in blocks(0, count):
        items = [report(number) for number in block]
        body_bytes += _body_bytes(items)
        await on.periscope.add_threats_batch(items)
    if (await on.periscope.get_stats()).queue != count + 1:
        raise BugError("not every threat was stored")
    return body_bytes


def _body_bytes(items: Sequence[Item]) -> int:
    packed, _ = Intake(bytes(16)).prepare(items, 0)
    return sum(len(payload) - REPORT_BYTES for _, payload in packed)
