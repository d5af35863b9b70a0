"""An empty archive in either dialect, and a PostgreSQL for those tests that need one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from periscope.archive import Archive, open_archive
from tests.archive.postgres_server import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer().make()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an archive can be made; there is none yet."""
    if request.param == "sqlite":
        return str(tmp_path / "deep" / "archive.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url(server.make_database())


@pytest.fixture
async def archive(place: str) -> AsyncIterator[Archive]:
    opened = await open_archive(place)
    yield opened
    await opened.close()
