"""What arrives while somebody works: it waits for a press, and nothing moves under a hand."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.days import name, report, send, stored
from tests.browser.seat import Seat
from tests.support.nodes import wait_until

IDLE_MS = 16_000
STEP_MS = 150


async def test_what_arrives_waits_for_a_press(served: Served, sit: Sit) -> None:
    await send(served, *(report(number, "MEDIUM") for number in range(8)))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(8)
    await ada.press("j", "j", "x", "j")
    ids = await ada.ids()
    await ada.until_here(ids[3])
    before = await ada.boxes()
    await send(served, *(report(number, "CRITICAL") for number in (100, 101, 102)))
    await send(served, {**report(0), "threat_id": ids[-1], "severity": "HIGH"})
    await expect(ada.page.locator(".pill")).to_have_text("3 new, 1 moved up space")
    assert await ada.boxes() == before
    assert await ada.here() == ids[3]
    await expect(ada.row(ids[2])).to_have_attribute("aria-selected", "true")
    await expect(ada.row(ids[-1]).locator(".severity")).to_have_attribute("data-severity", "HIGH")
    await ada.press("Space")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(11)
    await expect(ada.page.locator(".pill")).to_have_count(0)
    assert set((await ada.ids())[:3]) == {name(100), name(101), name(102)}
    assert (await ada.ids())[3] == ids[-1]
    assert await ada.here() == ids[3]
    assert await ada.focused() == f"DIV {ids[3]}"
    await expect(ada.row(ids[2])).to_have_attribute("aria-selected", "true")


async def test_what_one_moved_oneself_is_no_news(served: Served, sit: Sit) -> None:
    await send(served, *(report(number) for number in range(3)))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(3)
    last = (await ada.ids())[-1]
    await ada.press("End", "e")
    await expect(ada.told("Escalated")).to_be_visible()
    await send(served, report(9))
    await expect(ada.page.locator(".pill")).to_have_text(re.compile("^1 new space"))
    await send(served, {**report(0), "threat_id": last, "severity": "CRITICAL"})
    await expect(ada.page.locator(".pill")).to_have_text(re.compile("^1 new, 1 moved up"))
    head = await ada.page.locator(".row.head").bounding_box()
    pill = await ada.page.locator(".pill").bounding_box()
    assert head is not None
    assert pill is not None
    assert pill["y"] + pill["height"] <= head["y"] + head["height"], "it hides no row"


async def test_the_pill_can_be_pressed_and_the_focus_stays(served: Served, sit: Sit) -> None:
    await send(served, report(1), report(2))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(2)
    await ada.press("j")
    here = await ada.here()
    await send(served, report(3, "CRITICAL"))
    await ada.page.locator(".pill").click()
    await expect(ada.page.locator(".row[data-id]")).to_have_count(3)
    await wait_until(lambda: has_focus(ada, str(here)), "the focus is in the list again")


async def has_focus(seat: Seat, threat_id: str) -> bool:
    return await seat.focused() == f"DIV {threat_id}"


async def test_an_empty_list_fills_by_itself(served: Served, sit: Sit) -> None:
    ada = await sit("ada")
    await ada.go("#/queue?q=nowhere")
    await ada.page.get_by_role("button", name="Clear the filters").click()
    await expect(ada.page.get_by_text("Nothing is waiting here.")).to_be_visible()
    await send(served, report(1))
    await ada.until_ids([name(1)])
    await ada.until_here(name(1))


async def test_an_idle_list_follows_and_a_late_press_hits_nothing(served: Served, sit: Sit) -> None:
    await send(served, *(report(number, "MEDIUM") for number in range(4)))
    ada = await sit("ada", clock=True)
    await expect(ada.page.locator(".row[data-id]")).to_have_count(4)
    ids = await ada.ids()
    box = await ada.row(ids[0]).bounding_box()
    await stand_still(ada)
    await ada.page.clock.run_for(IDLE_MS)
    await send(served, report(100, "CRITICAL"))
    await until_first(ada, name(100))
    await ada.page.mouse.click(box["x"] + 300, box["y"] + 10)
    assert "t=" not in ada.page.url, "what was under the hand has just moved away"
    assert await ada.here() == ids[0]
    await ada.page.clock.run_for(1000)
    await ada.page.mouse.click(box["x"] + 300, box["y"] + 10)
    await ada.page.clock.run_for(100)
    assert f"t={name(100)}" in ada.page.url
    await ada.press("Escape")


async def test_a_late_key_decides_nothing_on_another_threat(served: Served, sit: Sit) -> None:
    await send(served, *(report(number, "MEDIUM") for number in range(4)))
    ada = await sit("ada", clock=True)
    await expect(ada.page.locator(".row[data-id]")).to_have_count(4)
    first, second, *_ = await ada.ids()
    await ada.until_here(first)
    await stand_still(ada)
    await ada.page.clock.run_for(IDLE_MS)
    await served.tenant.periscope.decide(first, "bob", "benign_expected")
    await until_first(ada, second)
    assert await ada.here() == second
    await ada.press("d")
    await expect(ada.told("The list has just moved by itself")).to_be_visible()
    assert (await stored(served, second)).dismissals == 0
    await ada.page.clock.run_for(1000)
    await ada.press("d")
    await expect(ada.row(second)).to_have_attribute("data-done", "dismissed")
    await wait_until(lambda: is_dismissed(served, second), "the second press counts")


async def is_dismissed(served: Served, threat_id: str) -> bool:
    return (await stored(served, threat_id)).dismissals == 1


async def stand_still(seat: Seat) -> None:
    """Stop the page's time; from now on it goes on by steps."""
    at = await seat.page.evaluate("() => Date.now()")
    await seat.page.clock.pause_at(at / 1000 + 1)


async def until_first(seat: Seat, threat_id: str) -> None:
    """Let time pass by small steps until a threat stands first."""

    async def step() -> bool:
        await seat.page.clock.run_for(STEP_MS)
        return (await seat.ids())[0] == threat_id

    await wait_until(step, f"{threat_id} stands first")
