"""Fifty threats from the keyboard alone, counted in key presses."""

from __future__ import annotations

from time import perf_counter

from playwright.async_api import expect

from periscope.models import Status
from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.days import report, send, stored
from tests.browser.seat import Seat
from tests.support.history import say
from tests.support.nodes import wait_until

MANY = 50
WAYS = (("d",), ("d",), ("o", "4", "Enter"), ("d",), ("e", "j"))
"""What becomes of each of five: mostly noise, one false positive, one that goes on to others."""
SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW")


async def test_fifty_threats_without_the_mouse(served: Served, sit: Sit) -> None:
    await send(served, *(report(n, SEVERITIES[n % 4]) for n in range(MANY)))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(MANY)
    ids = await ada.ids()
    begun = perf_counter()
    presses = 0
    for at, threat_id in enumerate(ids):
        assert await ada.here() == threat_id, f"after {at} threats the next is under the cursor"
        ways = WAYS[at % len(WAYS)]
        await ada.press(*ways)
        presses += len(ways)
    took = perf_counter() - begun
    say(
        f"triage of {MANY} threats from the keyboard: {presses} key presses, "
        f"{presses / MANY:.2f} each; the page kept up in {took:.1f} s"
    )
    assert MANY <= presses <= 2 * MANY
    await wait_until(lambda: all_settled(served, ids), "all of it is in the store")
    await expect(ada.page.locator(".toast[data-kind=error]")).to_have_count(0)
    await nothing_is_under_way(ada)
    ledger = await served.tenant.periscope.get_ledger(deep=True)
    assert ledger.balanced, ledger


async def nothing_is_under_way(seat: Seat) -> None:
    await expect(seat.page.locator('.row[data-busy="true"]')).to_have_count(0)


async def all_settled(served: Served, ids: list[str]) -> bool:
    for at, threat_id in enumerate(ids):
        found, way = await stored(served, threat_id), WAYS[at % len(WAYS)][0]
        if way == "d" and not (found.status is Status.DISMISSED and found.dismissals == 1):
            return False
        if way == "o" and found.status is not Status.CLOSED:
            return False
        if way == "e" and not (found.status is Status.OPEN and found.escalations == 1):
            return False
    return True
