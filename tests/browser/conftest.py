"""A real Chromium on a real service, and whoever signs in there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.api.conftest import Served, serve, served
from tests.browser import chromium
from tests.browser.seat import Seat

__all__ = ["serve", "served"]

MOST_WAITED_MS = 20_000
expect.set_options(timeout=MOST_WAITED_MS)  # what is there in 50 ms is not, where many tests run

Sit = Callable[..., Awaitable[Seat]]


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where the browser is. In CI there must be one."""
    path = chromium.found()
    if path is None and os.environ.get("CI"):
        pytest.fail("there is no Chromium: `make test` installs it")
    if path is None:
        pytest.skip("there is no Chromium: `python -m tests.browser.chromium` installs it")
    return path


@pytest.fixture
async def browser(chromium_path: str) -> AsyncIterator[Browser]:
    """A browser of its own for each test; nothing is left of another's."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=chromium_path, args=[*chromium.OPTIONS]
        )
        yield launched
        await launched.close()


@pytest.fixture
async def sit(browser: Browser, served: Served) -> AsyncIterator[Sit]:
    """Gives analysts a seat: `await sit("ada")` signs in with all scopes but administration.

    `clock`: the page's time can be stopped and put on (`seat.page.clock`). `script` runs in each
    of its pages before theirs. Afterwards no page may have had an error, broken the content
    policy, or asked another origin.
    """
    seats: list[Seat] = []

    async def take(
        name: str = "ada",
        *scopes: str,
        at: Served = served,
        clock: bool = False,
        script: str = "",
        **options: Any,
    ) -> Seat:
        context = await browser.new_context(**{"locale": "en-GB", **options})
        seat = Seat(at, name, context)
        seats.append(seat)
        if clock:
            await context.clock.install()
        if script:
            await context.add_init_script(script)
        await seat.sign_in(*(scopes or ("read", "act")))
        return seat

    yield take
    for seat in seats:
        await seat.leave()
    for seat in seats:
        assert seat.faults == [], seat.faults
