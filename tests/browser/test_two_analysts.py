"""Two analysts in two browsers: each sees what the other does; neither takes the other's work."""

from __future__ import annotations

import re
from time import perf_counter
from typing import Any

from playwright.async_api import expect

from periscope.models import Status
from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.days import audit_of, report, send, stored
from tests.browser.seat import Seat
from tests.support.history import say

SEEN_S = 5.0
"""In which the other must see it here, where many tests share the machine; a second elsewhere."""


def holder(seat: Seat, threat_id: str) -> Any:
    return seat.row(threat_id).locator("[data-col=holder]")


async def test_they_see_each_other_and_share_the_work(served: Served, sit: Sit) -> None:
    await send(served, *(report(number) for number in range(4)))
    ada, bob = await sit("ada"), await sit("bob")
    for seat in (ada, bob):
        await expect(seat.page.locator(".row[data-id]")).to_have_count(4)
    first, second, third, _ = await ada.ids()
    await ada.until_here(first)
    begun = perf_counter()
    await ada.press("c")
    await expect(holder(bob, first)).to_have_text("ada", timeout=SEEN_S * 1000)
    say(f"a claim is seen in another browser after {perf_counter() - begun:.2f} s")
    await bob_is_refused(served, bob, first, second)
    before = await bob.boxes()
    await ada.press("o", "1", "Enter")
    await expect(bob.row(first)).to_have_attribute("data-done", "closed")
    assert await bob.boxes() == before, "what others do moves nothing"
    assert await bob.here() == second
    assert (await stored(served, first)).status is Status.CLOSED
    await ada.press("O")  # the cursor went on: this one is open, and says so
    await ada.press("k", "O")
    await expect(bob.row(first)).not_to_have_attribute("data-done", re.compile("."))
    await ada.press("j", "j")
    await ada.until_here(third)


async def bob_is_refused(served: Served, bob: Seat, first: str, second: str) -> None:
    """What somebody has claimed, nobody else decides: the receipt says who has it."""
    await bob.until_here(first)
    await bob.press("d")
    await expect(bob.told(re.compile("Skipped .*ada", re.DOTALL))).to_be_visible()
    await expect(bob.row(first)).not_to_have_attribute("data-done", re.compile("."))
    assert (await stored(served, first)).dismissals == 0
    await bob.until_here(second)


async def test_one_takes_over_from_the_other(served: Served, sit: Sit) -> None:
    await send(served, report(1), report(2))
    ada, bob = await sit("ada"), await sit("bob")
    for seat in (ada, bob):
        await expect(seat.page.locator(".row[data-id]")).to_have_count(2)
    first, _ = await ada.ids()
    await ada.press("c")
    await expect(holder(bob, first)).to_have_text("ada")
    await bob.press("c")
    await expect(bob.told(re.compile("Skipped .*ada", re.DOTALL))).to_be_visible()
    await bob.press("C")
    await expect(holder(ada, first)).to_have_text("bob")
    await ada.press("d")
    await expect(ada.told(re.compile("Skipped .*bob", re.DOTALL))).to_be_visible()
    await bob.press("u")
    await expect(holder(ada, first)).to_have_text("–")
    assert [one for one in await audit_of(served, first) if one[1] == "dismiss"] == []


async def test_the_next_best_is_never_the_same_for_both(served: Served, sit: Sit) -> None:
    await send(served, report(1), report(2))
    ada, bob = await sit("ada"), await sit("bob")
    for seat in (ada, bob):
        await expect(seat.page.locator(".row[data-id]")).to_have_count(2)
        await seat.press("n")
        await expect(seat.told("Claimed")).to_be_visible()
        await expect(seat.page.locator("aside.peek")).to_be_visible()
    got = {re.search(r"t=([\w-]+)", seat.page.url).group(1) for seat in (ada, bob)}  # type: ignore[union-attr]
    assert got == set(await ada.ids())
    await ada.press("n")
    await expect(ada.told("Nothing is left to claim.")).to_be_visible()
    await ada.press("u", "Escape")
    await expect(holder(bob, (await ada.ids())[0])).to_have_text(re.compile("–|bob"))
