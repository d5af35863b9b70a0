"""What is drawn, and when: a little in each frame, and nothing that a key then goes astray on."""

from __future__ import annotations

import random

from playwright.async_api import Request, expect

from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.days import audit_of, report, send
from tests.browser.test_query import ask
from tests.support.nodes import wait_until

AS_INTL = """(all) => {
  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
  const isOther = (value) => all.count(value) !== whole.format(value)
    || all.brief(value) !== short.format(value);
  return given.filter(isOther).map((value) => [value, all.count(value), all.brief(value)]);
}"""


async def test_numbers_are_written_as_the_browser_would(sit: Sit) -> None:
    chance = random.Random(5)
    ends = [
        0,
        1,
        9,
        10,
        99,
        100,
        999,
        1000,
        1001,
        1049,
        1050,
        1150,
        1950,
        9_949,
        99_949,
        999_949,
        1_000_000,
    ]
    some = [int(10 ** (chance.random() * 14)) for _ in range(2000)]
    ada = await sit("ada")
    assert await ask(ada, "format", AS_INTL, [*ends, *some]) == []


async def test_a_page_of_rows_comes_whole_and_no_other_before_it_is_wanted(
    served: Served, sit: Sit
) -> None:
    await send(served, *(report(number) for number in range(130)))
    ada = await sit("ada")
    rows = ada.page.locator(".row[data-id]")
    await expect(rows).to_have_count(100)
    asked: list[str] = []

    def watch(request: Request) -> None:
        if "/v1/rows?" in request.url and "cursor=" in request.url:
            asked.append(request.url)

    ada.page.on("request", watch)
    places = await rows.evaluate_all("(all) => all.map((one) => Number(one.ariaRowIndex))")
    assert places == list(range(2, 102))
    await ada.press("j", "j")
    assert asked == []
    await ada.press("G")
    await expect(rows).to_have_count(130)
    assert len(asked) == 1


async def test_keys_are_about_the_row_that_is_marked_not_what_is_still_drawn_beside_it(
    served: Served, sit: Sit
) -> None:
    await send(served, *(report(number) for number in range(6)))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(6)
    ids = await ada.ids()
    await ada.until_here(ids[0])
    await ada.page.evaluate(
        """(keys) => keys.forEach((key) => {
          const press = new KeyboardEvent("keydown", { key, bubbles: true });
          document.activeElement.dispatchEvent(press);
        })""",
        ["Enter", "j", "e", "j", "m"],
    )
    await wait_until(lambda: _did(served, ids[1], "escalate"), "the second is escalated")
    await wait_until(lambda: _did(served, ids[2], "monitor"), "the third is monitored")
    assert ("ada", "escalate") not in await audit_of(served, ids[0])
    await expect(ada.page.locator(".peek .peek-id")).to_contain_text(ids[2])


async def _did(served: Served, threat_id: str, act: str) -> bool:
    return ("ada", act) in await audit_of(served, threat_id)
