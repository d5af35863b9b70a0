"""A real service on a real server, for the tests of the API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from periscope.api import Service, Tenant
from periscope.settings import Settings
from tests.api.described import hold_to_it
from tests.conftest import OpenHere, assert_only_known_keys
from tests.support.servers import ServerProcess


class Served:
    """A service that listens, and clients of it: `admin` with the first key, others with less.

    Whatever they are answered is held against the document that describes the API.
    """

    def __init__(self, service: Service, secret: str) -> None:
        self.service = service
        self.secret = secret
        self._clients: list[httpx.AsyncClient] = []
        self.admin = self.client(secret)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.service.url

    @property
    def tenant(self) -> Tenant:
        """The first tenant."""
        return self.service.tenants.all[0]

    def client(self, secret: str | None, **options: Any) -> httpx.AsyncClient:
        """A client with a key, or without one."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        usual = {"timeout": 30, "event_hooks": {"response": [hold_to_it]}, **options}
        client = httpx.AsyncClient(base_url=self.service.url, headers=headers, **usual)
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close the service, and every client that was made of it."""
        for client in self._clients:
            await client.aclose()
        await self.service.close()

    async def key(self, *scopes: str, **more: Any) -> httpx.AsyncClient:
        """A client with a new key of these scopes."""
        _, secret = await self.tenant.access.create_key(
            f"test-{len(self._clients)}", scopes, by="tests", **more
        )
        return self.client(secret)


@pytest.fixture
async def serve(
    server: ServerProcess, tmp_path: Path, open_here: OpenHere
) -> AsyncIterator[Callable[..., Awaitable[Served]]]:
    """Starts services on an empty server: `await serve(serve_namespaces="one,two")`.

    Afterwards every ledger must balance, and every key be one of the table.
    """
    async with Redis.from_url(server.url) as client:
        await client.flushall()
    started: list[Served] = []

    async def start(**more: Any) -> Served:
        usual = {"url": server.url, "retry_s": 0.0, "serve_port": 0, "data_dir": str(tmp_path)}
        archive = str(tmp_path / "archive.db")
        settings = Settings.load(**{**usual, "archive": archive, **more})
        service = await Service(settings).start()
        made = await service.tenants.all[0].access.first_key()
        started.append(Served(service, "" if made is None else made[1]))
        return started[-1]

    yield start
    for one in started:
        await one.close()
    for namespace in {t.name for one in started for t in one.service.tenants.all}:
        async with open_here(namespace=namespace) as p:
            ledger = await p.get_ledger(deep=True)
            assert ledger.balanced, ledger
            await assert_only_known_keys(p)


@pytest.fixture
async def served(serve: Callable[..., Awaitable[Served]]) -> Served:
    """One service of one tenant, without workers."""
    return await serve()
