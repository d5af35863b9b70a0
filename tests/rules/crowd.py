"""One of many processes that act on the same threats: `python -m tests.rules.crowd URL ANALYST`.

It says `ready`, waits for a line, acts, and prints how much it did. Every act is sent twice under
its id, as by somebody whose answers were lost.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from typing import Any

from periscope import ActRefused, Periscope

ACTIONS = ("view", "escalate", "dismiss", "monitor", "investigate")
THREATS = 100


async def interact(p: Periscope, analyst: str) -> None:
    """Every action on every threat, one by one and in batches, in an order of its own."""
    acts: list[dict[str, Any]] = [
        {
            "threat_id": f"t{number}",
            "analyst_id": analyst,
            "action": action,
            "interaction_id": f"{analyst} {number} {action}",
        }
        for number in range(THREATS)
        for action in ACTIONS
    ]
    random.shuffle(acts)
    single, batched = acts[:200], acts[200:]
    for first in range(0, len(single), 20):
        some = single[first : first + 20] * 2
        await asyncio.gather(*(p.record_interaction(**act) for act in some))
    for first in range(0, len(batched), 100):
        result = await p.record_interactions_batch(batched[first : first + 100] * 2)
        assert (result.recorded, result.repeated) == (100, 100), result


async def work(p: Periscope, analyst: str) -> Counter[str]:
    """Promote, pull and release while the others do the same; what was done."""
    done: Counter[str] = Counter()
    for _ in range(10):
        done["promoted"] += (await p.promote_eligible_threats()).promoted
        claim = await p.claim_next(analyst)
        if claim is None:
            continue
        done["claimed"] += 1
        try:
            await p.release(claim)
        except ActRefused:
            done["lost"] += 1
    return done


async def main(url: str, analyst: str, mode: str) -> None:
    async with Periscope.open(url) as p:
        print("ready", flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.readline)
        done: Counter[str] = Counter()
        if mode == "interact":
            await interact(p, analyst)
        else:
            done = await work(p, analyst)
        print(json.dumps(done), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
