"""What tests of who may do what share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from periscope import Periscope, Unauthenticated
from periscope.access import Identity
from tests.support.patience import BUSY_S

SECOND = 1.0 + BUSY_S


def plain_client(periscope: Periscope) -> Any:
    """A client that says what is stored, as it is stored."""
    return periscope.functions.connections.client


async def is_refused(call: Awaitable[Identity]) -> bool:
    try:
        await call
    except Unauthenticated:
        return True
    return False


async def within_a_second(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Ask again and again; it must hold before a second has passed."""
    began = time.monotonic()
    while not await holds():
        assert time.monotonic() - began < SECOND, f"after a second: not {what}"
        await asyncio.sleep(0.01)
