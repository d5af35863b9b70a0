"""One act on many: on what is shown alone, with a receipt, and undo brings all of it back."""

from __future__ import annotations

import re

from playwright.async_api import Locator, expect

from periscope.models import Status
from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.days import name, report, send, stored
from tests.browser.seat import Seat
from tests.support.nodes import wait_until

PAGE = 100
MANY = 130
HELD = 3


async def how_many(served: Served, status: Status) -> int:
    found = await served.tenant.periscope.get_threats([name(n) for n in range(MANY)])
    return sum(one.status is status for one in found)


def picked(seat: Seat) -> Locator:
    return seat.page.locator(".picked")


async def test_a_hundred_at_once_with_receipt_and_undo(served: Served, sit: Sit) -> None:
    await send(served, *(report(number) for number in range(MANY)))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).not_to_have_count(0)
    ids = await ada.ids()
    for held in ids[:HELD]:
        await served.tenant.periscope.claim(held, "bob")
    await ada.press("G", "G")  # further pages come: more is shown than can be selected
    await expect(ada.page.locator(".row[data-id]")).to_have_count(MANY)
    await ada.press("X")
    await expect(ada.told(f"No more than {PAGE} can be selected at once.")).to_be_visible()
    await expect(picked(ada)).to_contain_text(f"{PAGE} selected of {MANY} shown")
    await expect(ada.page.locator('.row[aria-selected="true"]')).to_have_count(PAGE)
    await ada.press("d")
    receipt = ada.told(f"Dismissed {PAGE - HELD} threats.")
    await expect(receipt).to_contain_text(re.compile(f"Skipped {HELD} threats: .*\\({HELD}\\)"))
    assert await how_many(served, Status.DISMISSED) == PAGE - HELD
    for held in ids[:HELD]:
        await expect(ada.row(held)).not_to_have_attribute("data-done", re.compile("."))
        assert (await stored(served, held)).status is Status.OPEN
    await expect(ada.row(ids[HELD])).to_have_attribute("data-done", "dismissed")
    await ada.press("u")
    await expect(ada.told(f"Undone: dismissed {PAGE - HELD} threats.")).to_be_visible()
    assert await how_many(served, Status.OPEN) == MANY
    await expect(ada.page.locator(".row[data-done]")).to_have_count(0)


async def test_selecting_all_means_what_is_shown_and_says_so(served: Served, sit: Sit) -> None:
    await send(served, *(report(number) for number in range(5)))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(5)
    await send(served, report(7, "CRITICAL"))
    await expect(ada.page.locator(".pill")).to_be_visible()
    await ada.press("X")
    await expect(picked(ada)).to_contain_text("5 selected of 5 shown")
    await ada.press("d")
    await expect(ada.told("Dismissed 5 threats.")).to_be_visible()
    assert (await stored(served, name(7))).status is Status.OPEN


async def test_a_release_is_taken_back_by_claiming_again(served: Served, sit: Sit) -> None:
    await send(served, report(1), report(2))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(2)
    first = (await ada.ids())[0]
    holder = ada.row(first).locator("[data-col=holder]")
    await ada.press("c")
    await expect(holder).to_have_text(re.compile("^ada"))
    await ada.press("Enter")
    await ada.page.locator("aside.peek").get_by_role("button", name="Release").click()
    await expect(ada.told("Released")).to_be_visible()
    await ada.press("Escape")
    await expect(holder).to_have_text(re.compile("^–"))
    await ada.press("u")
    await expect(ada.told("Undone: released")).to_be_visible()
    await expect(holder).to_have_text(re.compile("^ada"))
    await ada.press("u")
    await expect(holder).to_have_text(re.compile("^–"))


async def test_undo_takes_back_the_last_act_however_quick(served: Served, sit: Sit) -> None:
    """What is pressed before an answer has come is about the act under way, not one before it."""
    await send(served, *(report(number) for number in range(3)))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(3)
    first, second, _ = await ada.ids()
    await ada.press("d")
    await expect(ada.told("Dismissed")).to_be_visible()
    await ada.press("d", "u")

    async def only_the_first() -> bool:
        two = [await stored(served, one) for one in (first, second)]
        return [one.status for one in two] == [Status.DISMISSED, Status.OPEN]

    await expect(ada.told("Undone: dismissed")).to_be_visible()
    await wait_until(only_the_first, "the second is open again, the first is not")
    await ada.until_here(second)
    await ada.press("k", "Enter")  # to look once more at what one dismissed does not hinder undoing
    await ada.press("Escape", "u")
    await expect(ada.row(first)).not_to_have_attribute("data-done", re.compile("."))
    assert (await stored(served, first)).status is Status.OPEN


async def test_without_keys_what_is_selected_has_its_acts(served: Served, sit: Sit) -> None:
    await send(served, *(report(number) for number in range(4)))
    ada = await sit("ada", has_touch=True, viewport={"width": 390, "height": 800})
    await expect(ada.page.locator(".row[data-id]")).to_have_count(4)
    first, second, *_ = await ada.ids()
    before = await ada.boxes()
    for one in (first, second):
        await ada.row(one).get_by_role("checkbox").tap()
    await expect(picked(ada)).to_contain_text("2 selected of 4 shown")
    assert await ada.boxes() == before
    await picked(ada).get_by_role("button", name="Clear").tap()
    await expect(picked(ada)).to_have_count(0)
    for one in (first, second):
        await ada.row(one).get_by_role("checkbox").tap()
    await picked(ada).get_by_role("button", name="Outcome").tap()
    await ada.page.get_by_label("Benign, expected").tap()
    await ada.page.get_by_role("button", name="Close with this outcome").tap()
    await expect(ada.told("Closed 2 threats.")).to_be_visible()
    await ada.press("X")
    await expect(picked(ada)).to_contain_text("2 selected")
    await ada.row((await ada.ids())[-1]).locator(".headline").tap()
    await expect(picked(ada)).to_contain_text("keys act on these, not on the open one")


async def test_nothing_is_done_twice_to_what_is_done(served: Served, sit: Sit) -> None:
    await send(served, *(report(number) for number in range(3)))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(3)
    first, second, third = await ada.ids()
    await ada.press("d")
    await expect(ada.told(f"Dismissed “Beacon {int(first[-4:])}” {first}.")).to_be_visible()
    await ada.press("k", "d")
    await expect(ada.told(f"Skipped {first}: already dismissed")).to_be_visible()
    await ada.press("x", "j", "x", "j", "x", "d")
    await expect(ada.told("Dismissed 2 threats.")).to_contain_text("already dismissed")
    assert [(await stored(served, one)).dismissals for one in (first, second, third)] == [1, 1, 1]


async def test_what_was_escalated_more_often_stays(served: Served, sit: Sit) -> None:
    await send(served, report(1), report(2))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(2)
    first = (await ada.ids())[0]
    await ada.press("e")
    await expect(ada.told("Escalated")).to_be_visible()
    await ada.press("d")
    await expect(ada.told("noted; still open: escalated more often.")).to_be_visible()
    await expect(ada.page.locator(".toast kbd")).to_have_count(1)
    assert await ada.here() == first
    assert (await stored(served, first)).status is Status.OPEN
    await ada.press("d")
    await expect(ada.row(first)).to_have_attribute("data-done", "dismissed")
    await expect(ada.told("Dismissed")).to_be_visible()
    await ada.press("u")
    await expect(ada.told("Undone")).to_be_visible()
    await expect(ada.page.locator(".toast")).to_have_count(1)
    await expect(ada.page.locator(".toast kbd")).to_have_count(0)
