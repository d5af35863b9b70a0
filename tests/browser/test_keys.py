"""The keyboard: each key does what it says, once, and the focus is never lost."""

from __future__ import annotations

import re
from functools import partial

import pytest
from playwright.async_api import expect

from periscope.models import Status
from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.days import audit_of, report, send, stored
from tests.browser.seat import Seat
from tests.support.nodes import wait_until

MANY = 6
REPEATS = 12
OUTCOMES = (
    "true_positive_impact",
    "true_positive_no_impact",
    "benign_expected",
    "false_positive_logic",
    "false_positive_data",
    "duplicate",
    "inconclusive",
)


@pytest.fixture
async def ada(served: Served, sit: Sit) -> Seat:
    """An analyst before six threats."""
    await send(served, *(report(number) for number in range(MANY)))
    seat = await sit("ada")
    await expect(seat.page.locator(".row[data-id]")).to_have_count(MANY)
    return seat


async def did(served: Served, threat_id: str, *actions: str) -> None:
    """Wait until just these acts of ada's are on record, in this order."""

    async def is_so() -> bool:
        return [one for who, one in await audit_of(served, threat_id) if who == "ada"] == [*actions]

    await wait_until(is_so, f"{actions} on {threat_id}")


async def test_moving_opening_and_selecting(ada: Seat) -> None:
    ids = await ada.ids()
    for key, at in (("j", 1), ("j", 2), ("k", 1), ("ArrowDown", 2), ("G", 5), ("k", 4)):
        await ada.press(key)
        await ada.until_here(ids[at])
        assert await ada.focused() == f"DIV {ids[at]}"
    await ada.press("g", "g")
    await ada.until_here(ids[0])
    await ada.press("Enter")
    await expect(ada.page.locator("aside.peek")).to_be_visible()
    await ada.press("j")
    assert f"t={ids[1]}" in ada.page.url, "the panel goes along"
    await ada.press("Escape")
    await expect(ada.page.locator("aside.peek")).to_have_count(0)
    await expect(ada.row(ids[1])).to_be_focused()
    await ada.press("x", "J", "J")
    picked = ada.page.locator('.row[aria-selected="true"]')
    await expect(picked).to_have_count(3)
    await ada.press("Escape")
    await expect(picked).to_have_count(0)
    await ada.row(ids[1]).locator("input").click()
    await ada.row(ids[4]).locator("input").click(modifiers=["Shift"])
    await expect(picked).to_have_count(4)


async def test_each_act_has_its_key(served: Served, ada: Seat) -> None:
    first, second, third, fourth, *_ = await ada.ids()
    await ada.press("c", "e", "m", "i")
    await did(served, first, "claim", "escalate", "monitor", "investigate")
    await ada.press("j", ".")
    await did(served, second, "investigate")
    await ada.press("u")
    await expect(ada.told("Undone: investigating")).to_be_visible()
    await did(served, second, "investigate", "undo")
    await ada.press("d")
    await ada.until_here(third)
    await ada.press("s", "1")
    await ada.until_here(fourth)
    await expect(ada.row(third)).to_have_attribute("data-done", "snoozed")
    await ada.press("w")
    await ada.page.keyboard.type("seen before: jk d")
    await ada.press("Control+Enter")
    await did(served, fourth, "comment")
    await ada.press("n")
    await expect(ada.told(re.compile("Claimed"))).not_to_have_count(0)
    assert (await stored(served, second)).status is Status.DISMISSED


async def test_an_outcome_is_chosen_by_its_number(served: Served, ada: Seat) -> None:
    await send(served, report(90, "LOW"))  # left over: a list with nothing to do is drawn anew
    await ada.press("r")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(MANY + 1)
    ids = await ada.ids()
    for at, outcome in enumerate(OUTCOMES):
        threat_id = ids[0] if outcome == "inconclusive" else ids[min(at, MANY - 1)]
        if outcome == "inconclusive":
            await ada.press("g", "g")
        await ada.until_here(threat_id)
        await ada.press("o", str(at + 1))
        if outcome == "duplicate":
            await ada.page.get_by_label("Duplicate of (id)").fill(ids[0])
        await ada.page.get_by_label("Note", exact=True).fill(f"because of {at + 1}")
        await ada.press("Control+Enter")
        await wait_until(partial(closed_as, served, threat_id, outcome), outcome)


async def closed_as(served: Served, threat_id: str, outcome: str) -> bool:
    found = await stored(served, threat_id)
    return found.status is Status.CLOSED and f"{found.outcome}".endswith(outcome)


async def test_going_to_pages_and_finding_commands(ada: Seat) -> None:
    for key, where in (("o", "overdue"), ("k", "knowledge"), ("d", "dashboard"), ("q", "queue")):
        await ada.press("g", key)
        await expect(ada.page.locator(".top nav [aria-current=page]")).to_have_attribute(
            "href", f"#/{where}"
        )
        assert await ada.focused() != "BODY", where
    await expect(ada.page.locator(".row[data-id]")).to_have_count(MANY)
    await ada.press("?")
    overlay = ada.page.get_by_role("dialog", name="Keys")
    await expect(overlay.get_by_text("Claim the next best")).to_be_visible()
    await ada.press("j", "d", "Escape")
    await expect(overlay).to_have_count(0)
    here = (await ada.ids())[0]
    await ada.until_here(here)
    await expect(ada.row(here)).to_be_focused()
    await ada.press("Control+k")
    await ada.page.keyboard.type("overd")
    await ada.press("Enter")
    await expect(ada.page).to_have_url(re.compile("#/overdue"))


async def test_each_page_can_be_the_first(ada: Seat) -> None:
    for where, title in (
        ("knowledge", "Knowledge"),
        ("feeds", "Feeds"),
        ("suppressions", "Suppressions"),
    ):
        await ada.page.close()  # modules are run in an order that hangs on the first page
        await ada.open(f"#/{where}")
        await expect(ada.page.get_by_role("heading", name=title, level=1)).to_be_visible()
    await ada.page.set_viewport_size({"width": 390, "height": 800})
    await ada.page.reload()
    await expect(ada.page.locator(".top nav [aria-current=page]")).to_be_in_viewport(ratio=1)


async def test_the_palette_opens_and_searches_and_the_overlay_shows_all(ada: Seat) -> None:
    first = (await ada.ids())[0]
    await ada.press("Control+k")
    options = ada.page.get_by_role("dialog", name="Commands").get_by_role("option")
    await ada.page.keyboard.type("claim")
    await expect(options.first).to_have_text(re.compile("^Claim"))
    await ada.page.get_by_label("Find a command").fill(first)
    await expect(ada.page.get_by_text("No command fits.")).to_be_visible()
    await expect(options).to_have_count(2)
    await ada.press("ArrowDown", "Enter")
    await expect(ada.page.locator("aside.peek")).to_be_visible()
    await ada.press("Escape", "Control+k")
    await ada.page.keyboard.type(f"{first} ")
    await ada.press("Enter")
    await expect(ada.page).to_have_url(re.compile(f"q={first}"))
    await ada.press("?")
    overlay = ada.page.get_by_role("dialog", name="Keys")
    undo = overlay.locator("[data-off=true]").filter(has_text="Undo")
    await expect(undo).to_be_visible()
    await expect(overlay.get_by_text("Choose an outcome")).to_be_visible()
    await expect(overlay.get_by_text("PgDn", exact=True)).to_be_visible()


async def test_what_is_typed_into_a_field_does_nothing_else(served: Served, ada: Seat) -> None:
    first = (await ada.ids())[0]
    await ada.press("/")
    field = ada.page.get_by_role("combobox", name="Search and filter")
    await expect(field).to_be_focused()
    await ada.page.keyboard.type("dcemijkxu?.gqo")
    await expect(field).to_have_value("dcemijkxu?.gqo")
    await ada.press("Escape")
    await expect(field).not_to_be_focused()
    await ada.until_here(first)
    assert await audit_of(served, first) == []
    assert "#/overdue" not in ada.page.url


async def test_a_held_key_and_letters_that_are_off_do_nothing(served: Served, ada: Seat) -> None:
    first, second, *_ = ids = await ada.ids()
    for _ in range(REPEATS):
        await ada.page.keyboard.down("d")  # from the second on it is a repetition
    await ada.page.keyboard.up("d")
    await ada.until_here(second)
    await did(served, first, "dismiss")
    assert [await audit_of(served, one) for one in ids[1:]] == [[]] * (MANY - 1)
    await ada.press("?")
    await ada.page.get_by_label("Single-key shortcuts").click()
    await ada.press("Escape", "d", "e", "c", "j", "x")
    await ada.until_here(second)
    await ada.press("ArrowDown")
    await ada.until_here(ids[2])
    assert [await audit_of(served, one) for one in ids[1:]] == [[]] * (MANY - 1)
    await ada.press("Control+k")  # the way back is there without letters
    await expect(ada.page.get_by_role("dialog", name="Commands")).to_be_visible()


async def test_the_focus_is_never_lost(served: Served, ada: Seat) -> None:
    async def is_kept() -> bool:
        return await ada.focused() not in ("BODY", "")

    steps: list[tuple[str, ...]] = [
        ("d",), ("o",), ("Escape",), ("s",), ("Escape",), ("w",), ("Escape",), ("?",), ("Escape",),
        ("Control+k",), ("Escape",), ("Enter",), ("Escape",), ("x",), ("d",), ("u",), ("Space",),
    ]  # fmt: skip
    for step in steps:
        await ada.press(*step)
        await wait_until(is_kept, f"the focus is somewhere after {step}")
    await send(served, report(50, "CRITICAL"))
    await ada.page.locator(".pill").click()
    await wait_until(is_kept, "the focus after the pill")
    here = str(await ada.here())
    await ada.press("d")
    await ada.page.get_by_role("button", name="Undo u").last.click()
    await wait_until(is_kept, "the focus after a message's button")
    await ada.until_here(here)


async def test_tab_goes_through_the_page_in_its_order(ada: Seat) -> None:
    await ada.page.locator("body").evaluate("() => document.querySelector('.skip').focus()")
    first = (await ada.ids())[0]
    seen = list[str]()
    while len(seen) < 60 and f"DIV {first}" not in seen:
        await ada.press("Tab")
        seen.append(await ada.focused())
    assert seen[-1] == f"DIV {first}", seen
    assert sum(one.startswith("DIV ") for one in seen) == 1, "the list is one stop"
    assert len(seen) < 35, "all values to filter by are one stop"
    assert "INPUT" in " ".join(seen), "the search comes before the list"
    await ada.page.locator(".skip").focus()
    await ada.press("Enter")
    await expect(ada.row(first)).to_be_focused()
