"""GET /v1/board and /v1/timeline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from periscope.access import Limits
from periscope.shapes import BoardFigures, TimelineDocument
from periscope.timeline import EVERY_MS, Sampler
from tests.api.conftest import Served
from tests.api.shaped import shaped
from tests.support.nodes import wait_until

Serve = Callable[..., Awaitable[Served]]
GOOD = {"threat_id": "a", "content": "beacon", "severity": "HIGH"}


async def test_the_queue_in_figures(served: Served) -> None:
    await served.admin.post("/v1/reports", json=[GOOD, {**GOOD, "threat_id": "b"}])
    act = {"threat_id": "b", "action": "view", "analyst_id": "ann"}
    await served.admin.post("/v1/interactions", json=act)
    found = shaped(await served.admin.get("/v1/board"), BoardFigures)
    threat = (await served.admin.get("/v1/threats/a")).json()
    assert found.unseen == {"CRITICAL": 0, "HIGH": 1, "MEDIUM": 0, "LOW": 0}
    assert found.oldest_unseen_ms["HIGH"] == threat["first_seen_ms"] <= found.as_of_ms
    assert found.oldest_unseen_ms["LOW"] is None
    assert found.scores == [0, 0, 0, 0, 2, 0, 0, 0, 0, 0]
    assert (sum(found.overdue.values()), found.promotable) == (0, 0)


async def test_two_services_keep_one_timeline(serve: Serve) -> None:
    """Each has a sampler of its own, though neither runs workers; here time is ours."""
    first, second = await serve(serve_workers="off"), await serve()
    tenants = [one.tenant for one in (first, second)]
    for tenant in tenants:
        assert [one.name for one in tenant.sampling.status()] == ["timeline"]
        await tenant.sampling.stop()
    start_ms = tenants[0].periscope.functions.now_ms = 1_790_000_040_000
    await first.admin.post("/v1/reports", json=[GOOD, {**GOOD, "threat_id": "b"}])
    for minute in range(3):
        for tenant in tenants:
            tenant.periscope.functions.now_ms = start_ms + minute * EVERY_MS
        kept = await asyncio.gather(*(Sampler(one.periscope).sample() for one in tenants))
        assert sorted(kept) == [False, True]
    client = first.client(first.secret)
    found = shaped(await client.get("/v1/timeline"), TimelineDocument)
    assert [one.at_ms for one in found.samples] == [start_ms + n * EVERY_MS for n in range(3)]
    assert {one.received for one in found.samples} == {2}
    assert (found.every_ms, found.until_ms - found.since_ms) == (EVERY_MS, 86_400_000)
    last = shaped(await client.get("/v1/timeline?for_s=60"), TimelineDocument).samples
    assert last == found.samples[1:]
    for wrong in ("0", "86401", "x"):
        assert (await client.get(f"/v1/timeline?for_s={wrong}")).status_code == 400


async def test_a_service_begins_at_once(served: Served) -> None:
    async def is_there() -> bool:
        found = shaped(await served.admin.get("/v1/timeline"), TimelineDocument)
        return bool(found.samples)

    await wait_until(is_there, "the first sample")
    assert b'worker="timeline"' in (await served.admin.get("/metrics")).content


async def test_who_may(served: Served) -> None:
    reader, sender = await served.key("read"), await served.key("ingest")
    limited = await served.key("read", limits=Limits(("siem",)))
    for path in ("/v1/board", "/v1/timeline"):
        assert (await reader.get(path)).status_code == 200
        assert (await sender.get(path)).status_code == 403
        assert (await limited.get(path)).status_code == 403
