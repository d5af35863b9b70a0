"""Several programs on one database: each with its own connections and its own `Access`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from periscope import Periscope
from periscope.access import Access
from periscope.archive import Archive, open_archive
from tests.conftest import OpenHere

PASSWORD = "correct horse battery"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords cost little, for tests that try many and are not about their cost."""
    monkeypatch.setattr(
        "periscope.access.passwords.PasswordHasher",
        partial(PasswordHasher, time_cost=1, memory_cost=512),
    )


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await open_archive(tmp_path / "archive.db")
    yield opened
    await opened.close()


class Programs:
    """Opens programs on the test's database."""

    def __init__(self, open_here: OpenHere, stack: AsyncExitStack) -> None:
        self._open_here, self._stack = open_here, stack

    async def another(self) -> Access:
        """A program that has just been started."""
        p = await self._stack.enter_async_context(self._open_here())
        return await self._stack.enter_async_context(Access(p))

    async def some(self, count: int) -> list[Access]:
        return [await self.another() for _ in range(count)]


@pytest.fixture
async def access(periscope: Periscope) -> AsyncIterator[Access]:
    """One program, on an empty database that is looked at afterwards."""
    async with Access(periscope) as one:
        yield one


@pytest.fixture
async def programs(periscope: Periscope, open_here: OpenHere) -> AsyncIterator[Programs]:
    async with AsyncExitStack() as stack:
        yield Programs(open_here, stack)
