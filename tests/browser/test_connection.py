"""The connection goes and comes back: it is seen, nothing is missed, and nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from playwright.async_api import Route, expect

from periscope.models import Status
from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.days import audit_of, name, report, send, stored
from tests.browser.seat import Seat
from tests.support.servers import free_port

Serve = Callable[..., Awaitable[Served]]


def live(seat: Seat) -> Any:
    return seat.page.locator(".live")


def allow_loss(seat: Seat) -> None:
    """A connection that cannot be made is told in the console, by the browser itself."""
    seat.allowed |= {502, 503}


async def test_a_service_that_goes_and_comes_back(serve: Serve, served: Served, sit: Sit) -> None:
    """Another service on the same store takes what happens meanwhile."""
    port = free_port()
    one = await serve(serve_port=port)
    await send(served, *(report(number, "MEDIUM") for number in range(4)))
    ada = await sit("ada", at=one)
    allow_loss(ada)
    await expect(ada.page.locator(".row[data-id]")).to_have_count(4)
    await expect(live(ada)).to_have_text(re.compile("^live"))
    first, second, *_ = await ada.ids()
    await ada.until_here(first)
    await one.service.close()
    await expect(live(ada)).to_have_text(re.compile(r"^not live ?for \d"))
    await expect(live(ada)).to_have_text(re.compile(r"^not live ?for [2-9]"))
    await ada.press("d")
    await expect(ada.told("Nobody knows whether this was done")).to_be_visible()
    await expect(ada.row(first)).not_to_have_attribute("data-done", re.compile("."))
    await send(served, report(50, "CRITICAL"), report(51, "CRITICAL"))
    await served.tenant.periscope.decide(second, "bob", "benign_expected")
    await serve(serve_port=port)
    await expect(live(ada)).to_have_text(re.compile("^live"))
    await expect(ada.page.locator(".pill")).to_have_text(re.compile("2 new"))
    await expect(ada.page.locator(".trouble")).to_have_count(0)
    await ada.told("Nobody knows").get_by_role("button", name="Try again").click()
    await expect(ada.told("Dismissed")).to_be_visible()
    assert await audit_of(served, first) == [("ada", "dismiss")]
    await ada.press("Space")
    await expect(ada.row(name(50))).to_be_visible()
    await expect(ada.row(second)).to_have_count(0)


async def test_a_machine_without_network(served: Served, sit: Sit) -> None:
    await send(served, report(1))
    ada = await sit("ada")
    await expect(live(ada)).to_have_text(re.compile("^live"))
    await ada.context.set_offline(True)
    await expect(live(ada)).to_have_text(re.compile(r"^not live ?for \d"))
    await send(served, report(2, "CRITICAL"))
    await expect(ada.page.locator(".row[data-id]")).to_have_count(1)
    await ada.context.set_offline(False)
    await expect(live(ada)).to_have_text(re.compile("^live"))
    await expect(ada.page.locator(".pill")).to_have_text(re.compile("1 new"))


async def test_an_answer_that_is_lost_is_asked_for_again_and_nothing_is_done_twice(
    served: Served, sit: Sit
) -> None:
    await send(served, report(1), report(2))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(2)
    first = (await ada.ids())[0]
    asked = list[dict[str, Any]]()

    async def lose(route: Route) -> None:
        """The act reaches the service; its answer does not reach the page."""
        asked.append(json.loads(route.request.post_data or "{}"))
        if len(asked) == 1:
            await route.fetch()
            await route.abort("connectionreset")
        else:
            await route.continue_()

    await ada.page.route("**/v1/acts", lose)
    await ada.press("e")
    message = ada.told("Nobody knows whether this was done")
    await expect(message).to_be_visible()
    assert (await stored(served, first)).escalations == 1, "it was done all the same"
    await message.get_by_role("button", name="Try again").click()
    await expect(ada.told("Escalated")).to_be_visible()
    assert [one["request_id"] for one in asked] == [asked[0]["request_id"]] * 2
    assert (await stored(served, first)).escalations == 1
    await ada.press("u")
    await expect(ada.told("Undone: escalated")).to_be_visible()
    assert (await stored(served, first)).escalations == 0


async def test_what_the_store_could_not_take_is_offered_again(served: Served, sit: Sit) -> None:
    await send(served, *(report(number) for number in range(3)))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(3)
    ids = await ada.ids()
    asked = list[dict[str, Any]]()

    async def refuse_one(route: Route) -> None:
        """Of the first request the store takes two; the third is answered as one it is away for."""
        body = json.loads(route.request.post_data or "{}")
        asked.append(body)
        if len(asked) > 1:
            await route.continue_()
            return
        taken = {**body, "threat_ids": body["threat_ids"][:2]}
        answer = await route.fetch(post_data=json.dumps(taken))
        receipt = await answer.json()
        receipt["skipped"].append(
            {
                "threat_id": body["threat_ids"][2],
                "type": "urn:periscope:problem:store-unavailable",
                "title": "The store is away",
                "detail": "the store cannot be reached",
                "status": 503,
            }
        )
        await route.fulfill(response=answer, json=receipt)

    await ada.page.route("**/v1/acts", refuse_one)
    await ada.press("X", "d")
    await expect(ada.page.locator(".toast")).to_contain_text("Dismissed 2 threats. Skipped")
    await expect(ada.row(ids[2])).not_to_have_attribute("data-done", re.compile("."))
    await ada.page.get_by_role("button", name="Try again").click()
    await expect(ada.told(re.compile(f"Dismissed “.*” {ids[2]}."))).to_be_visible()
    assert asked[1]["threat_ids"] == [ids[2]]
    assert asked[1]["request_id"] == asked[0]["request_id"]
    assert [(await stored(served, one)).dismissals for one in ids] == [1, 1, 1]
    assert {(await stored(served, one)).status for one in ids} == {Status.DISMISSED}


async def test_a_stream_that_is_cut_is_resumed_without_a_gap(served: Served, sit: Sit) -> None:
    """Whoever reads too slowly, and whose proxy gives up, goes on where they were."""
    await send(served, report(0, "LOW"))
    ada = await sit("ada")
    await expect(live(ada)).to_have_text(re.compile("^live"))
    await ada.press("j")
    for number in range(1, 4):
        served.service.tenants.end_streams()
        await send(served, report(number, "HIGH"))
        await expect(ada.page.locator(".pill")).to_have_text(re.compile(f"^{number} new"))
    await asyncio.wait_for(until_live(ada), 20)


async def until_live(seat: Seat) -> None:
    await expect(live(seat)).to_have_text(re.compile("^live"))
