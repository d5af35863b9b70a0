"""A session ends while somebody writes: nothing is lost, and nothing is sent in another's name."""

from __future__ import annotations

import re
from typing import Any

from playwright.async_api import Page, expect

from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.days import audit_of, report, send
from tests.browser.seat import PASSWORD, Seat
from tests.support.nodes import wait_until

SIGN_IN = "(body) => fetch('/v1/session', {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(body)}).then((answer) => answer.status)"  # noqa: E501
NOTE = "Seen on two hosts; asked the owner"


async def end_session(served: Served, seat: Seat) -> None:
    """The session ends elsewhere, as by a sign-out on another machine."""
    for cookie in await seat.context.cookies():
        await served.tenant.access.sign_out(str(cookie.get("value")))


async def writing(served: Served, sit: Sit) -> tuple[Seat, str]:
    await send(served, report(1), report(2))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(2)
    await ada.press("w")
    await ada.page.keyboard.type(NOTE)
    return ada, (await ada.ids())[0]


def overlay(page: Page) -> Any:
    return page.get_by_role("dialog", name="Your session has ended")


async def sign_in_again(seat: Seat) -> None:
    await expect(overlay(seat.page)).to_be_visible()
    await seat.press("Escape", "Escape")  # there is nothing else to do here
    await expect(overlay(seat.page)).to_be_visible()
    await expect(overlay(seat.page).get_by_label("Close")).to_have_count(0)
    await seat.page.get_by_label("Password").fill(PASSWORD)
    await seat.press("Enter")
    await expect(overlay(seat.page)).to_have_count(0)


async def test_a_note_is_still_there_after_signing_in_again(served: Served, sit: Sit) -> None:
    ada, first = await writing(served, sit)
    await end_session(served, ada)
    await sign_in_again(ada)
    note = ada.page.get_by_role("dialog").get_by_label("Comment")
    await expect(note).to_have_value(NOTE)
    await expect(note).to_be_focused()
    await ada.page.keyboard.type(", twice")
    await ada.press("Control+Enter")
    await expect(ada.told("Commented on")).to_be_visible()
    assert await audit_of(served, first) == [("ada", "comment")]
    await expect(ada.page.locator(".live")).to_have_text(re.compile("^live"))
    await send(served, report(3, "CRITICAL"))
    await expect(ada.page.locator(".pill")).to_have_text(re.compile("1 new"))


async def test_what_was_sent_without_a_session_is_sent_once_there_is_one(
    served: Served, sit: Sit
) -> None:
    ada, first = await writing(served, sit)
    await end_session(served, ada)
    await ada.press("Control+Enter")
    await sign_in_again(ada)
    await expect(ada.told("Commented on")).to_be_visible()
    assert await audit_of(served, first) == [("ada", "comment")]


async def test_nobody_else_sees_or_sends_it(served: Served, sit: Sit) -> None:
    ada, first = await writing(served, sit)
    await served.tenant.access.create_account("bob", PASSWORD, ("read", "act"), by="tests")
    ada.allowed.add(403)
    other = await ada.context.new_page()  # in another window of the same browser
    await other.goto(f"{served.url}/console/")
    assert await other.evaluate(SIGN_IN, {"name": "bob", "password": PASSWORD}) == 200
    await ada.press("Control+Enter")
    await expect(ada.page.locator(".who")).to_contain_text("bob")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(2)
    await ada.press("w")
    await expect(ada.page.get_by_role("dialog").get_by_label("Comment")).to_have_value("")
    assert NOTE not in await ada.page.content()
    assert await audit_of(served, first) == [], "refused: it would have been in bob's name"


async def test_signing_in_in_another_window_is_enough(served: Served, sit: Sit) -> None:
    ada, first = await writing(served, sit)
    await end_session(served, ada)
    await expect(overlay(ada.page)).to_be_visible()
    other = await ada.context.new_page()
    await other.goto(f"{served.url}/console/")
    assert await other.evaluate(SIGN_IN, {"name": "ada", "password": PASSWORD}) == 200
    await other.close()
    await ada.page.evaluate("() => { dispatchEvent(new Event('focus')); }")
    await expect(overlay(ada.page)).to_have_count(0)
    await ada.press("Control+Enter")
    await wait_until(lambda: is_told(served, first), "the note is on record")


async def is_told(served: Served, threat_id: str) -> bool:
    return await audit_of(served, threat_id) == [("ada", "comment")]
