"""What narrows a list: facets, the bar, times, saved views, the values of a row."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Locator, expect

from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.seat import Seat
from tests.support.nodes import wait_until

HOSTILE = '<img src=x onerror="document.title=1">\u202eevil\u200b" -is:mine'


def report(number: int, **more: Any) -> dict[str, Any]:
    severity = ("CRITICAL", "HIGH", "MEDIUM", "LOW")[number % 4]
    metadata = {"title": f"Beacon {number}", "tags": [f"tag-{number % 2}"]}
    return {
        "threat_id": f"alert-{number:03d}",
        "content": f"Seen by {'wolves' if number < 4 else 'sheep'}",
        "severity": severity,
        "source": f"sensor {number % 3}",
        "metadata": metadata,
        **more,
    }


async def seated(served: Served, sit: Sit, *more: dict[str, Any], **options: Any) -> Seat:
    """A seat before twelve threats, and what more is given."""
    reports = [*(report(number) for number in range(12)), *more]
    await served.tenant.periscope.add_threats_batch(reports)
    seat = await sit(**options)
    await until_rows(seat, len(reports))
    return seat


async def until_rows(seat: Seat, many: int) -> None:
    await expect(seat.page.locator(".row[data-id]")).to_have_count(many)


def facet(seat: Seat, name: str, value: str) -> Locator:
    values = seat.page.locator(f'.facets .value[data-name="{name}"]')
    return values.filter(has=seat.page.get_by_text(value, exact=True))


def bar(seat: Seat) -> Locator:
    return seat.page.get_by_role("combobox", name="Search and filter")


async def until_query(seat: Seat, wanted: str | None) -> None:
    script = "new URLSearchParams(location.hash.split('?')[1] ?? '').get('q')"

    async def is_so() -> bool:
        return bool(await seat.page.evaluate(script) == wanted)

    await wait_until(is_so, f"the query {wanted!r}")


async def test_facets_filter_by_press_and_by_key_and_count_as_things_happen(
    served: Served, sit: Sit
) -> None:
    ada = await seated(served, sit)
    high = facet(ada, "severity", "HIGH")
    await expect(high).to_contain_text("3")
    await high.click()
    await until_rows(ada, 3)
    await expect(high).to_have_attribute("aria-pressed", "true")
    await expect(facet(ada, "severity", "LOW")).to_contain_text("3")  # as if it were not asked for
    await facet(ada, "source", "sensor 1").click(modifiers=["Shift"])
    await until_query(ada, 'severity:HIGH -source:"sensor 1"')
    await until_rows(ada, 2)
    await served.tenant.periscope.add_threats_batch([report(13, source="sensor 2")])
    await expect(high).to_contain_text("3")
    await ada.page.go_back()
    await until_rows(ada, 4)
    await ada.page.go_back()
    await until_rows(ada, 13)
    await ada.page.locator(".row[data-id]").first.focus()
    await ada.press("h")
    await expect(facet(ada, "source", "sensor 1")).to_be_focused()  # where one was
    await ada.press("Home", "ArrowDown", "ArrowDown", "-")
    await until_query(ada, "-severity:MEDIUM")
    await expect(facet(ada, "severity", "MEDIUM")).to_be_focused()
    await ada.press("Enter")
    await until_query(ada, None)
    await ada.press("h")
    await expect(ada.page.locator('.row[tabindex="0"]')).to_be_focused()


async def test_the_bar_completes_and_holds_what_is_written_as_chips(
    served: Served, sit: Sit
) -> None:
    ada = await seated(served, sit)
    await expect(facet(ada, "source", "sensor 2")).to_be_visible()
    await ada.press("/")
    await ada.page.keyboard.type("-so")
    offered = ada.page.get_by_role("listbox", name="What could be meant")
    await expect(offered.get_by_role("option")).to_have_count(1)
    await ada.press("Tab")
    await expect(bar(ada)).to_have_value("-source:")
    await expect(offered.get_by_role("option")).to_have_count(3)
    await ada.page.keyboard.type("2")
    await ada.press("ArrowDown")
    active = await bar(ada).get_attribute("aria-activedescendant")
    await expect(ada.page.locator(f'[id="{active}"]')).to_have_attribute("aria-selected", "true")
    await ada.press("Enter")
    await expect(bar(ada)).to_have_value('-source:"sensor 2" ')
    await ada.page.keyboard.type("wolves")
    await until_rows(ada, 12)  # nothing moves while one writes
    await ada.press("Enter")
    await until_rows(ada, 3)
    await until_query(ada, '-source:"sensor 2" wolves')
    chips = ada.page.locator(".chip")
    await expect(chips).to_have_count(2)
    await ada.press("/", "Backspace")
    await until_rows(ada, 8)
    await chips.first.click()
    await until_rows(ada, 12)
    await expect(bar(ada)).to_be_focused()
    await ada.page.keyboard.type("severity:low tag:tag-1")
    await ada.press("Escape", "Escape")
    await until_query(ada, None)


async def test_what_is_wrong_is_said_under_the_bar_and_the_list_stays(
    served: Served, sit: Sit
) -> None:
    ada = await seated(served, sit)
    ada.allowed.add(422)
    wrong = ada.page.locator(".filter-bar .wrong")
    for text, told in (
        ("severity:SEVERE", "severity: takes CRITICAL"),
        ('source:"x', "close the quote"),
        ("industry:finance", "industry is about level 3"),
    ):
        await bar(ada).focus()
        await ada.page.keyboard.type(text)
        await ada.press("Enter")
        await expect(wrong).to_contain_text(told)
        await expect(bar(ada)).to_have_attribute("aria-invalid", "true")
        await until_rows(ada, 12)
        await bar(ada).fill("")
    await ada.go("#/queue?q=seen:never")
    await expect(wrong).to_contain_text("seen: takes")
    await ada.press("ArrowUp")
    await expect(bar(ada)).to_have_value("seen:never")
    await bar(ada).fill("seen:1h")
    await ada.press("Enter")
    await until_rows(ada, 12)
    await expect(wrong).to_have_count(0)


async def test_hostile_values_are_text_wherever_they_filter(served: Served, sit: Sit) -> None:
    evil = report(12, source=HOSTILE, metadata={"title": "x", "tags": [HOSTILE, "constructor"]})
    ada = await seated(served, sit, evil)
    values = ada.page.locator('.facets .value[data-name="source"]')
    await values.filter(has_text="img src=x").click()
    await ada.until_ids(["alert-012"])
    await expect(ada.page.locator(".chip bdi")).to_contain_text("‹202E›evil‹200B›")
    await ada.press("/")
    await ada.page.keyboard.type("tag:")
    await expect(ada.page.get_by_role("option")).to_have_count(2)
    await ada.press("ArrowDown", "Enter", "Enter")
    await expect(ada.page.locator(".chip")).to_have_count(2)
    await ada.until_ids(["alert-012"])
    assert await ada.page.locator("img").count() == 0
    assert "1" not in await ada.page.title()


async def test_any_value_of_a_row_filters_from_the_keyboard(served: Served, sit: Sit) -> None:
    ada = await seated(served, sit)
    row = ada.page.locator('.row[data-here="true"]')
    source = str(await row.locator('[data-col="source"] bdi').text_content())
    await ada.press("f")
    menu = ada.page.get_by_role("dialog")
    items = menu.locator(".choices button")
    await expect(items.first).to_be_focused()
    await expect(items.filter(has_text="tag-")).to_have_count(1)
    await ada.press("2")
    await until_query(ada, f'source:"{source}"')
    await until_rows(ada, 4)
    await ada.press("F", "j", "Enter")
    await until_query(ada, f'-source:"{source}"')
    await until_rows(ada, 8)
    await ada.press("f", "Shift+1")
    await expect(ada.page.locator(".chip")).to_have_count(2)
    await until_rows(ada, 6)


async def test_times_are_bars_that_filter_by_key_and_by_pointer(served: Served, sit: Sit) -> None:
    ada = await seated(served, sit)
    bars = ada.page.get_by_role("slider", name="First seen")
    told = ada.page.locator(".times .told")
    await expect(told).to_contain_text("12 first seen in 24 h")
    await bars.focus()
    await ada.press("ArrowLeft")
    text = str(await bars.get_attribute("aria-valuetext"))
    assert text.startswith("12: "), text
    await ada.press("Shift+ArrowLeft", "Shift+ArrowLeft", "Enter")
    await expect(ada.page.locator(".chip")).to_contain_text("seen:")
    await until_rows(ada, 12)
    await ada.press("ArrowRight", "Home", "Enter")  # the first part of these, long before
    await until_rows(ada, 0)
    await ada.page.go_back()
    await ada.page.go_back()
    await expect(told).to_contain_text("first seen in 24 h")
    box = await bars.bounding_box()
    assert box is not None
    right, middle = box["x"] + box["width"], box["y"] + box["height"] / 2
    await ada.page.mouse.move(right - 200, middle)
    await ada.page.mouse.down()
    await ada.page.mouse.move(right - 2, middle, steps=4)
    await ada.page.mouse.up()
    await expect(ada.page.locator(".chip")).to_contain_text("seen:")
    await until_rows(ada, 12)
    await ada.page.get_by_role("button", name="Hide the times").click()
    await ada.page.reload()
    await until_rows(ada, 12)
    await expect(bars).to_have_count(0)


async def test_saved_views_are_kept_shared_changed_and_deleted(served: Served, sit: Sit) -> None:
    ada = await seated(served, sit)
    ada.allowed.add(409)
    await ada.go("#/queue?q=severity:HIGH")
    await until_rows(ada, 3)
    await ada.press("v", "a")
    await ada.page.keyboard.type(f"Mine {HOSTILE[:20]}")
    await ada.page.get_by_label("Shared with all").check()
    await ada.page.get_by_role("button", name="Save", exact=True).click()
    link = ada.page.locator(".views a")
    await expect(link).to_contain_text("Mine <img src=x")
    await ada.press("Escape")

    bob = await sit("bob", "read")
    await until_rows(bob, 12)
    await bob.press("v")
    await expect(bob.page.locator(".views a")).to_contain_text("by ada")
    await expect(bob.page.get_by_role("button", name="Change")).to_have_count(0)
    await bob.press("1")
    await until_query(bob, "severity:HIGH")
    await until_rows(bob, 3)
    await bob.page.go_back()
    await until_rows(bob, 12)

    await ada.go("#/queue?q=severity:LOW")
    await ada.press("v")
    await expect(link).to_be_focused()
    await ada.press("e")
    await ada.page.get_by_role("button", name="Take the present query").click()
    found = (await served.admin.get("/v1/views")).json()["items"][0]
    body = {"name": "Another", "query": "is:overdue", "shared": True, "revision": found["revision"]}
    assert (await served.admin.put(f"/v1/views/{found['id']}", json=body)).status_code == 200
    await ada.page.get_by_role("button", name="Save", exact=True).click()
    wrong = ada.page.get_by_role("dialog").get_by_role("alert")
    await expect(wrong).to_contain_text("it is now Another, is:overdue, shared")
    await ada.page.get_by_role("button", name="Overwrite").click()
    await expect(link).to_contain_text("severity:LOW")
    await ada.press("e")
    await ada.page.get_by_role("button", name="Delete…").click()
    await ada.page.get_by_role("button", name="Delete", exact=True).click()
    await expect(ada.page.get_by_text("There are no views yet")).to_be_visible()


async def test_on_a_small_screen_the_list_comes_first_and_filters_are_a_drawer(
    served: Served, sit: Sit
) -> None:
    ada = await seated(served, sit, viewport={"width": 390, "height": 800})
    await expect(ada.page.locator(".facets")).to_have_count(0)
    box = await ada.page.locator(".row[data-id]").first.bounding_box()
    assert box is not None
    assert box["y"] < 260
    await ada.press("h")
    drawer = ada.page.get_by_role("dialog", name="Filters")
    await expect(facet(ada, "severity", "CRITICAL")).to_be_focused()
    await facet(ada, "severity", "LOW").click()
    await expect(drawer.get_by_role("button", name="Show 3 threats")).to_be_visible()
    await ada.press("Escape")
    await expect(drawer).to_have_count(0)
    await until_rows(ada, 3)
    await ada.page.get_by_role("button", name="Filters", exact=True).click()
    await expect(drawer).to_be_visible()
    await drawer.get_by_role("button", name="Close", exact=True).click()
    assert await ada.page.evaluate("document.documentElement.scrollWidth") <= 390


async def test_the_export_is_of_what_is_listed_or_says_that_it_is_not(
    served: Served, sit: Sit
) -> None:
    ada = await seated(served, sit)
    await ada.go("#/queue?q=severity:HIGH")
    await until_rows(ada, 3)
    await ada.page.get_by_role("button", name="Export").click()
    async with ada.page.expect_download() as coming:
        await ada.page.get_by_role("link", name="CSV").click()
    path = await (await coming.value).path()
    assert len(path.read_text().splitlines()) == 4
    await ada.press("Escape")
    await ada.go("#/queue?q=wolves")
    await until_rows(ada, 4)
    await ada.page.get_by_role("button", name="Export").click()
    await expect(ada.page.get_by_role("dialog")).to_contain_text("narrowed by more than that")
    await expect(ada.page.get_by_role("link", name="CSV")).to_have_count(0)
