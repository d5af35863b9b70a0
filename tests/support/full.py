"""A server that is full before all is stored, until it is given room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redis.asyncio import Redis

from tests.support.nodes import wait_until
from tests.support.servers import ServerProcess

MANY = 40_000
LIMITED = ("--maxmemory", "7mb", "--maxmemory-policy", "noeviction")


def reports(count: int = MANY) -> Iterator[dict[str, Any]]:
    """More than a limited server has room for."""
    for number in range(count):
        yield {"threat_id": f"t{number}", "content": "x" * 200, "severity": "LOW"}


async def is_full(admin: Redis) -> bool:
    """Has it refused a write?"""
    info = await admin.info("everything")
    return int(info.get("errorstat_OOM", {}).get("count", 0)) > 0


async def give_room(process: ServerProcess) -> None:
    async with Redis.from_url(process.url) as admin:
        await wait_until(lambda: is_full(admin), "the server is full", timeout_s=30)
        await admin.config_set("maxmemory", "200mb")
