"""The page of feeds: how each is doing, run by hand, dead letters, a feed defined in a form."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from periscope.models import Unreadable
from periscope.polling import DeadLetters, Feeds
from periscope.polling.deadletters import letter
from periscope.shapes import FeedDefinition
from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.seat import PASSWORD

Serve = Callable[..., Awaitable[Served]]
GOOD = {"threat_id": "a", "content": "beacon", "severity": "HIGH"}
LOUD = '{"threat_id": "b", "content": "<script>ran=1</script>\u202e", "severity": "LOUD"}'
HOSTILE = "<img src=x onerror=ran=1>\u202egpj.exe"
KEV = "https://feeds.example/kev.json"


@pytest.fixture
async def with_file(serve: Serve, tmp_path: Path) -> Served:
    """A service of a feed that reads a file of a good line and a bad one, and one that is lost."""
    (tmp_path / "lines.ndjson").write_text(json.dumps(GOOD) + "\n" + LOUD + "\n")
    (tmp_path / "words.toml").write_text("")
    config = tmp_path / "periscope.toml"
    config.write_text(
        f'[feeds.local]\nkind = "file"\nplace = "{tmp_path}/lines.ndjson"\nformat = "ndjson"\n'
        'settle = "0s"\nseverity_map = "words.toml"\n'
        f'[feeds.lost]\nkind = "file"\nplace = "{tmp_path}/{HOSTILE}"\nsettle = "0s"\n'
    )
    return await serve(config=str(config))


def row(page: Page, name: str) -> Locator:
    return page.locator("tr").filter(has=page.locator(f'[data-row="{name}"]'))


def toast(page: Page, text: str) -> Locator:
    return page.locator(".toast").filter(has_text=text)


async def test_run_by_hand_read_again_after_a_fix_and_held_back(
    with_file: Served, sit: Sit, tmp_path: Path
) -> None:
    ada = await sit("ada", "admin", at=with_file)
    page = ada.page
    await ada.go("#/feeds")
    await expect(row(page, "local")).to_contain_text("new")
    await ada.press("j")
    await expect(page.locator('[data-row="local"]')).to_be_focused()
    await ada.press("n")
    await expect(toast(page, "local ran: 1 added, 1 not usable.")).to_be_visible()
    await expect(row(page, "local")).to_contain_text("ok")
    await expect(row(page, "local").locator('[data-label="Dead letters"]')).to_contain_text("1")

    await ada.press("Enter")
    detail = page.get_by_role("complementary", name="Feed local")
    await expect(detail).to_contain_text("defined in periscope.toml")
    letters = detail.get_by_role("region", name="Dead letters")
    await expect(letters.locator("pre")).to_contain_text("<script>ran=1</script>\\u202e")
    await letters.get_by_role("button", name="Replay all").click()
    await expect(toast(page, "0 went in. 1 failed again")).to_be_visible()
    await expect(letters).to_contain_text("Failed again")
    (tmp_path / "words.toml").write_text('[words]\nLOUD = "HIGH"\n')
    await letters.get_by_role("button", name="Replay", exact=True).click()
    await expect(toast(page, "1 went in (1 added).")).to_be_visible()
    await expect(letters).to_contain_text("Everything that came could be used.")
    assert await with_file.tenant.periscope.get_threat("b") is not None

    await ada.press("Escape", "Escape")
    await expect(detail).to_have_count(0)
    await expect(page.locator('[data-row="local"]')).to_be_focused()
    await ada.press("p")
    await expect(row(page, "local")).to_contain_text("paused")
    assert (await Feeds(with_file.tenant.periscope).get_feed("local")).paused
    await ada.press("p")
    await expect(toast(page, "Resumed local.")).to_be_visible()
    assert not (await Feeds(with_file.tenant.periscope).get_feed("local")).paused


async def test_what_feeds_say_does_nothing(with_file: Served, sit: Sit) -> None:
    kept = DeadLetters(with_file.tenant.periscope.settings.dead_letters_path)
    for number in range(21):
        data = f"<style>*{{}}</style>{HOSTILE} {number}".encode()
        kept.add("ingest", [letter("ingest", HOSTILE, Unreadable(HOSTILE, HOSTILE, "line", data))])
    ada = await sit("ada", "admin", at=with_file)
    page = ada.page
    await ada.go("#/feeds?f=lost")
    detail = page.get_by_role("complementary", name="Feed lost")
    await detail.get_by_role("button", name="Run now").click()
    await expect(row(page, "lost")).to_contain_text("failing")
    for place in (row(page, "lost"), detail, toast(page, "lost failed")):
        await expect(place).to_contain_text("<img src=x onerror=ran=1>")
        assert "\u202e" not in await place.inner_text()

    await page.locator('[data-row="ingest"]').click()
    letters = page.get_by_role("region", name="Dead letters")
    await expect(letters.locator("li")).to_have_count(20)
    await expect(letters.locator("li").first).to_contain_text("<img src=x onerror=ran=1>‹202E›")
    await letters.get_by_role("button", name="Newer").click()
    await expect(letters.locator("li")).to_have_count(1)
    assert await page.evaluate("[typeof ran, document.querySelectorAll('main img').length]") == [
        *("undefined", 0)
    ]
    await letters.get_by_role("button", name="Drop all").click()
    await expect(page.get_by_role("dialog")).to_contain_text("gone for good")
    await ada.press("Escape")
    assert kept.kept("ingest").letters == 21
    await letters.get_by_role("button", name="Drop all").click()
    await page.get_by_role("dialog").get_by_role("button", name="Drop", exact=True).click()
    await expect(toast(page, "Dropped 21 dead letters.")).to_be_visible()
    assert kept.kept("ingest").letters == 0


async def test_a_feed_is_defined_in_a_form_which_is_not_lost(served: Served, sit: Sit) -> None:
    ada = await sit("ada", "admin")
    page, feeds = ada.page, Feeds(served.tenant.periscope)
    await ada.go("#/feeds")
    await expect(page.get_by_text("There are no feeds.")).to_be_visible()
    await ada.press("a")
    form = page.get_by_role("dialog", name="Add a feed")
    await page.keyboard.type("kev")
    await form.get_by_role("textbox", name="Address").fill(KEV)
    await form.get_by_label("Every", exact=True).fill("1ms")
    await ada.press("Escape")
    await expect(page.get_by_role("dialog", name="Discard")).to_be_visible()
    await ada.press("Escape")
    await expect(form.get_by_role("textbox", name="Address")).to_have_value(KEV)

    ada.allowed.add(422)
    await ada.press("Enter")
    await expect(form.get_by_label("Every", exact=True)).to_be_focused()
    await expect(form.get_by_role("alert")).to_contain_text("interval")
    await form.get_by_label("Every", exact=True).fill("1h")
    await form.get_by_text("More", exact=True).click()
    await form.get_by_label("Where a field is").fill("content = message\nsource=host.name")
    await form.get_by_label("What separates columns").fill("\\t")
    await ada.context.clear_cookies()
    await form.get_by_role("button", name="Add the feed").click()
    await (
        page.get_by_role("dialog", name="Your session has ended")
        .get_by_label("Password")
        .fill(PASSWORD)
    )
    await ada.press("Enter")
    await expect(toast(page, "Added the feed kev")).to_be_visible()
    found = (await feeds.get_feed("kev")).definition
    assert found is not None
    assert (found.place, found.interval, found.delimiter) == (KEV, "1h", "\t")
    assert found.map == {"content": "message", "source": "host.name"}

    await page.locator('[data-row="kev"]').click()
    await page.get_by_role("button", name="Edit").click()
    form = page.get_by_role("dialog", name="Change the feed kev")
    await expect(form.get_by_label("What separates columns")).to_have_value("\\t")
    await form.get_by_label("Every", exact=True).fill("2h")
    await feeds.add_feed("kev", replace=True, kind="http", place=KEV + "l")
    await form.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("dialog", name="Replace it?")).to_contain_text("Somebody changed")
    await page.get_by_role("button", name="Replace").click()
    await expect(toast(page, "Changed the feed kev")).to_be_visible()
    changed = (await feeds.get_feed("kev")).definition
    assert changed is not None
    assert (changed.place, changed.interval, changed.map) == (KEV, "2h", found.map)

    await page.get_by_role("button", name="Remove").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("There are no feeds.")).to_be_visible()


async def test_who_only_reads_sees_how_feeds_are_and_no_buttons(
    with_file: Served, sit: Sit
) -> None:
    feeds = Feeds(with_file.tenant.periscope)
    await feeds.run_feed("local")
    eve = await sit("eve", "read", at=with_file, viewport={"width": 390, "height": 800})
    page = eve.page
    await eve.go("#/feeds?f=local")
    letters = page.get_by_role("region", name="Dead letters")
    await expect(letters.locator("li")).to_have_count(1)
    buttons = page.locator("main").get_by_role("button")
    await expect(buttons).to_have_count(1)
    await expect(buttons).to_have_accessible_name("Close")
    await eve.press("a", "p", "n")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert not (await feeds.get_feed("local")).paused
    assert await page.evaluate("document.querySelector('main').scrollWidth") <= 390
    await buttons.click()
    await expect(page.locator('[data-row="local"]')).to_be_focused()


async def test_words_of_health_and_the_fields_of_the_form(served: Served, sit: Sit) -> None:
    ada = await sit("ada", "admin")
    told = await ada.page.evaluate(HEALTHS)
    assert told == {
        "fresh": "ok",
        "old": "late",
        "never run": "new",
        "due for long": "late",
        "held back": "paused",
        "every second": "ok",
        "spans": [5_400_000, 250, None, None],
    }
    fields = await ada.page.evaluate(
        f"{MODULE}('feeds-form').then((m) => m.FIELDS.map((f) => f.name))"
    )
    assert {*fields, "kind"} == set(FeedDefinition.__struct_fields__)


MODULE = (
    "((name) => import(document.querySelector('script[type=module]').src"
    ".replace('main.js', `pages/${name}.js`)))"
)
HEALTHS: Any = (
    MODULE
    + """('feeds').then(({ health, spanMs }) => {
  const at = 1e12, min = 60_000;
  const feed = (state, success, next, interval = "15m", kind = "http") => health(
    { state, last_success_ms: success, next_run_ms: next, definition: { kind, interval } }, at);
  return {
    fresh: feed("waiting", at - 29 * min, at), old: feed("waiting", at - 31 * min, at - min),
    "never run": feed("new", null, at - 29 * min), "due for long": feed("new", null, at - 31 * min),
    "held back": feed("paused", at - 99 * min, null),
    "every second": feed("waiting", at - 50_000, at, "1s", "file"),
    spans: ["1h30m", "250ms", "soon", "5 m"].map(spanMs),
  };
})"""
)
