"""Clients of a real service."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from periscope.client import Client
from tests.api.conftest import Served, serve, served

__all__ = ["serve", "served"]


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Client]:
    """A client with the first key."""
    async with Client(served.service.url, served.secret) as c:
        yield c
