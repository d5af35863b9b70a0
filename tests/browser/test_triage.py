"""Triage from the keyboard: what is pressed, what is seen, what is stored."""

from __future__ import annotations

from playwright.async_api import expect

from periscope.models import Status
from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.days import report, stored


async def test_a_decision_brings_the_next_one_under_the_cursor(served: Served, sit: Sit) -> None:
    await served.tenant.periscope.add_threats_batch([report(number) for number in range(5)])
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(5)
    first, second, third, *_ = await ada.ids()
    await ada.until_here(first)
    await ada.press("d")
    await ada.until_here(second)
    await expect(ada.row(first)).to_have_attribute("data-done", "dismissed")
    await ada.press("o", "4", "Enter")
    await ada.until_here(third)
    await expect(ada.row(second)).to_have_attribute("data-done", "closed")
    await expect(ada.page.get_by_role("status").filter(has_text="Closed")).to_be_visible()
    assert (await stored(served, first)).status is Status.DISMISSED
    await ada.press("u", "u")
    await expect(ada.row(first)).not_to_have_attribute("data-done", "dismissed")
    assert (await stored(served, first)).status is Status.OPEN


async def test_a_digit_then_tab_leads_to_the_note(served: Served, sit: Sit) -> None:
    await served.tenant.periscope.add_threats_batch([report(number) for number in range(7)])
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(7)
    for digit in (1, 2, 3, 4, 5, 7, 6):
        here = str(await ada.here())
        await ada.press("o", str(digit), "Tab")
        if digit == 6:
            await ada.page.keyboard.type("alert-000")
            await ada.press("Tab")
        await ada.page.keyboard.type(f"note {digit}")
        await expect(ada.page.get_by_label("Note")).to_have_value(f"note {digit}")
        if digit == 6:
            await ada.press("Escape")
            continue
        async with ada.page.expect_request("**/v1/acts") as sent:
            await ada.press("Control+Enter")
        assert f"note {digit}" in str((await sent.value).post_data)
        await expect(ada.row(here)).to_have_attribute("data-done", "closed")


async def test_the_row_under_the_cursor_is_seen(served: Served, sit: Sit) -> None:
    """Neither the head of the list nor what waits over it hides the row one is on."""
    await served.tenant.periscope.add_threats_batch([report(number) for number in range(40)])
    for size in ((1024, 600), (390, 600)):
        ada = await sit("ada", viewport={"width": size[0], "height": size[1]})
        await expect(ada.page.locator(".row[data-id]")).to_have_count(40)
        ids = await ada.ids()
        await ada.press("Home", *["j"] * 24, *["k"] * 20)
        await ada.until_here(ids[4])
        head = await ada.page.locator(".row.head").bounding_box()
        row = await ada.row(ids[4]).bounding_box()
        assert head is not None
        assert row["y"] >= head["y"] + head["height"] - 1
        await ada.press("f", "1")
        await expect(ada.row(ids[4])).to_be_in_viewport(ratio=1)
        await ada.press("End", "x")
        await expect(ada.row(ids[-1])).to_be_in_viewport(ratio=1)
        bar = await ada.page.locator(".picked").bounding_box()
        row = await ada.row(ids[-1]).bounding_box()
        assert bar is not None
        assert row["y"] + row["height"] <= bar["y"] + 1
