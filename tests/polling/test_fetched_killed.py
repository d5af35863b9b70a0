"""A worker that polls a TAXII server and is killed anywhere: nothing is skipped."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

from periscope import Periscope
from periscope.polling import Feeds
from tests.polling.scene import stored, until
from tests.polling.taxii_server import NOW, TaxiiServer, indicator
from tests.polling.test_killed import Start, here, poller
from tests.support.history import say

__all__ = ["here", "poller"]


async def fetched(p: Periscope, kind: str, place: str) -> Feeds:
    feeds = Feeds(p)
    await feeds.add_feed(
        "f", kind=kind, place=place, interval="200ms", jitter="0s", allow=["127.0.0.1"]
    )
    return feeds


async def test_taxii_killed_at_random_points(here: Periscope, poller: Start) -> None:
    async with TaxiiServer(page_objects=40) as server:
        numbers = range(2_000)
        for number in numbers:
            server.add(number, at=NOW - timedelta(days=1, seconds=-number // 7))
        feeds = await fetched(here, "taxii", server.url("/taxii2/"))
        dice = random.Random()
        for turn in range(4):
            child = await asyncio.to_thread(poller().await_ready)
            goal = server.requests + dice.randrange(1, 10)
            async with asyncio.timeout(30):
                while server.requests < goal and len(await stored(here)) < 2_000:
                    await asyncio.sleep(dice.uniform(0, 0.005))
            child.kill()
            server.lies.fails = {server.requests + 4: 500} if turn == 1 else {}
            if turn == 2:
                server.forget_tokens()
        server.lies.fails = {}
        last = await asyncio.to_thread(poller().await_ready)

        async def over() -> bool:
            info = await feeds.get_feed("f")
            return info.owner is None and len(await stored(here)) == 2_000

        await until(over, "all is read")
        assert await asyncio.to_thread(last.end) == 0
        assert await stored(here) == {indicator(number)["id"] for number in numbers}
        ledger = await here.get_ledger()
        assert ledger.added == 2_000
        say(f"TAXII: 4 kills, {ledger.duplicates} of 2000 repeated, {server.requests} requests")
