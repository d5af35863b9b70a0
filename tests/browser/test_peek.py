"""One threat beside the list: read, acted on, followed live, without losing the place."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.async_api import Browser, Page, expect

from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.support.patience import BUSY_S

PAINTED = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
LINE_PX = 20
"""So much the words above may take more or less with time: the place is the same."""
NEXT_HOUR = re.compile(r"Score over the next hour .*Promotion from 0\.70 on")


def report(threat_id: str = "alert-1", **more: Any) -> dict[str, Any]:
    metadata = {
        "title": "Beacon to a known server",
        "tags": ["c2"],
        "tlp": "amber",
        "indicators": [{"type": "domain", "value": "evil.example"}],
        "host": {"name": "srv-7", "owner": None},
        **more.pop("metadata", {}),
    }
    content = "Beacon every minute"
    usual = {"threat_id": threat_id, "content": content, "severity": "HIGH", "source": "sensor"}
    return {**usual, "metadata": metadata, **more}


def part(page: Page, name: str) -> Any:
    """Return the locator of a part of the panel."""
    return page.locator(f'.part[data-part="{name}"]')


async def test_a_threat_is_read_and_acted_on_without_a_key(served: Served, sit: Sit) -> None:
    p = served.tenant.periscope
    await p.add_threats_batch([report()])
    ada = await sit("ada")
    await ada.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = ada.page
    await ada.row("alert-1").locator(".headline").click()
    peek = page.get_by_role("complementary", name="Threat")
    await expect(peek.get_by_role("heading", name="Beacon to a known server")).to_be_visible()
    await expect(peek).to_contain_text("Beacon every minute")
    await expect(peek.locator(".indicators")).to_contain_text("evil[.]example")
    await expect(peek.locator(".tree").first).to_contain_text("srv-7")
    await peek.get_by_role("button", name="Copy the indicator as it is").click()
    await expect(page.get_by_role("status").filter(has_text="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == "evil.example"
    acts = peek.get_by_role("group", name="Acts")
    await acts.get_by_role("button", name="Claim").click()
    await expect(peek.locator(".facts")).to_contain_text("ada (you)")
    await expect(part(page, "desk")).to_contain_text("Nobody else yet.")
    await expect(acts.get_by_role("button", name="Release")).to_contain_text("L")
    await ada.press("L")
    await expect(peek.locator(".facts")).to_contain_text("nobody")
    await acts.get_by_role("button", name="Escalate").click()
    await expect(part(page, "score").locator(".terms")).to_contain_text("1 of 3")
    image = part(page, "score").get_by_role("img")
    await expect(image).to_have_attribute("aria-label", NEXT_HOUR)
    await expect(part(page, "score").locator(".needs")).to_contain_text("1 of 2 analysts")
    await acts.get_by_role("button", name="Comment").click()
    await page.keyboard.type("seen on three hosts")
    await page.keyboard.press("Control+Enter")
    await expect(part(page, "history")).to_contain_text("seen on three hosts")
    found = await p.get_threat("alert-1")
    assert found is not None
    assert found.escalations == 1
    await peek.get_by_role("button", name="Only indicator evil").click()
    chip = page.get_by_role("button", name="indicator: evil[.]example take away")
    await expect(chip).to_be_visible()
    await expect(peek).to_be_visible()
    await expect(acts.get_by_role("button", name="Suppress")).to_have_count(0)
    root = await sit("root", "admin")
    await root.go("#/queue?t=alert-1")
    page = root.page
    await page.get_by_role("button", name="Suppress like this").click()
    values = page.get_by_role("dialog", name="New rule").get_by_label("Value")
    await expect(values).to_have_count(2)
    await expect(values.nth(0)).to_have_value("sensor")
    await expect(values.nth(1)).to_have_value("evil.example")


async def test_what_others_do_is_told_and_moves_nothing(served: Served, sit: Sit) -> None:
    p = served.tenant.periscope
    await p.add_threats_batch([report()])
    await p.record_interaction("alert-1", "bob", "monitor")
    ada = await sit("ada")
    page = ada.page
    await ada.until_here("alert-1")
    await ada.press("Enter")
    await expect(part(page, "history")).to_be_visible()
    await ada.press("3")
    history = part(page, "history")
    await expect(history).to_contain_text("monitored by bob")
    before = await history.bounding_box()
    await p.record_interaction("alert-1", "bob", "escalate")
    await expect(page.locator(".news")).to_contain_text("escalated by bob")
    await expect(history.get_by_role("button", name="1 new: show")).to_be_visible()
    assert await history.bounding_box() == before
    await expect(history.locator("li")).to_have_count(1)
    await history.get_by_role("button", name="1 new: show").click()
    await expect(history.locator("li").first).to_contain_text("escalated by bob")
    await expect(part(page, "desk")).to_contain_text("escalated")
    await p.add_threats_batch([report(content="Beacon every second")])
    fresh = page.locator("p.fresh")
    await expect(fresh).to_contain_text("The report says something else now.")
    await expect(part(page, "report")).to_contain_text("Beacon every minute")
    await fresh.get_by_role("button", name="Show it").click()
    await expect(part(page, "report")).to_contain_text("Beacon every second")
    await p.claim("alert-1", "bob")
    acts = page.get_by_role("group", name="Acts")
    await expect(acts.get_by_role("button", name="Dismiss")).to_have_attribute(
        "aria-disabled", "true"
    )
    await acts.get_by_role("button", name="Take over").click()
    await expect(page.locator(".facts")).to_contain_text("ada (you)")


async def test_what_is_alike_opens_in_its_place_and_leads_back(served: Served, sit: Sit) -> None:
    p = served.tenant.periscope
    other = report("alert-2", severity="LOW", metadata={"title": "Other report"})
    await p.add_threats_batch([report(), other])
    ada = await sit("ada")
    page = ada.page
    await ada.until_here("alert-1")
    await ada.press("Enter")
    similar = part(page, "similar")
    await expect(page.locator(".facts")).to_contain_text("1 view")
    await expect(part(page, "history").get_by_role("button", name="1 view")).to_be_visible()
    await ada.press("5")
    await expect(similar.locator("li")).to_contain_text("evil[.]example")
    before = await similar.bounding_box()
    await similar.get_by_role("button", name="Other report").click()
    await expect(page.locator(".peek h2")).to_have_text("Other report")
    await expect(ada.row("alert-1")).to_have_attribute("data-here", "true")
    await ada.press("b")
    await expect(page.locator(".peek h2")).to_have_text("Beacon to a known server")
    await expect(similar.locator("li")).to_contain_text("evil[.]example")
    after = await similar.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < LINE_PX
    await expect(page.get_by_role("button", name="Back to the threat before")).to_have_count(0)


async def test_the_history_has_notes_in_full_and_what_was_taken_back(
    served: Served, sit: Sit
) -> None:
    p = served.tenant.periscope
    await p.add_threats_batch([report()])
    note = "<img src=x onerror=alert(1)> \u202egnp.exe " + "long " * 2000 + "end of note"
    await p.decide("alert-1", "bob", "benign_expected", note)
    await p.reopen("alert-1", "bob", "came again")
    act = await p.record_interaction("alert-1", "bob", "dismiss")
    assert act.interaction_id is not None
    await p.undo(act.interaction_id)
    await p.record_interaction("alert-1", "eve", "view")
    ada = await sit("ada")
    page = ada.page
    await ada.until_here("alert-1")
    await ada.press("Enter")
    await expect(part(page, "history")).to_be_visible()
    await ada.press("3")
    history = part(page, "history")
    entries = history.locator(".history > li")
    await expect(entries).to_have_count(4)
    await expect(entries.nth(1)).to_contain_text("taken back")
    await expect(entries.nth(3)).to_contain_text("Benign, expected")
    await expect(entries.nth(3)).to_contain_text("<img src=x onerror=alert(1)> ‹202E›gnp.exe")
    await expect(entries.nth(3)).to_contain_text("end of note")
    await history.get_by_role("button", name="Newest first").click()
    await expect(entries.nth(0)).to_contain_text("Benign, expected")
    await history.get_by_role("button", name="view").click()
    await expect(history.locator("li").filter(has_text="viewed by eve")).to_have_count(1)
    await p.decide("alert-1", "bob", "true_positive_impact")
    await expect(part(page, "score")).to_contain_text("Confidence explained")
    await expect(part(page, "score")).to_contain_text("In level 2 confidence does not decay.")
    await expect(part(page, "score")).to_contain_text("consolidated 1 of 3 times")
    acts = page.get_by_role("group", name="Acts")
    await acts.get_by_role("button", name="Recall").click()
    await expect(page.locator(".facts")).to_contain_text("home short-term")


async def test_only_what_is_what_it_looks_like_is_a_link(served: Served, sit: Sit) -> None:
    hostile = [
        "javascript:alert(document.domain)",
        "data:text/html,<script>alert(1)</script>",
        "https://www.\u0430pple.com/login",
        "https://user:secret@example.org/",
        "https://example.org\u202e/gpj.exe",
        "//example.org/x",
        "http://2130706433/",
    ]
    good = "https://example.org/report/1?x=%3Cb%3E"
    references = [*hostile, good]
    await served.tenant.periscope.add_threats_batch([report(metadata={"references": references})])
    ada = await sit("ada")
    page = ada.page
    await ada.until_here("alert-1")
    await ada.press("Enter")
    await expect(part(page, "references")).to_be_visible()
    await ada.press("6")
    section = part(page, "references")
    await expect(section.locator("li")).to_have_count(8)
    link = section.get_by_role("link")
    await expect(link).to_have_attribute("href", good)
    await expect(link).to_have_attribute("rel", "noreferrer noopener")
    await expect(link).to_contain_text(good)
    await expect(link.locator("b")).to_have_text("example.org")
    await expect(section).to_contain_text("javascript: is not opened")
    await expect(section).to_contain_text("written in other letters than it looks")
    await expect(section).to_contain_text("xn--pple-43d")
    await expect(section).to_contain_text("carries a name or password")
    await expect(section).to_contain_text("an address without a name")


async def longest_ms(browser: Browser, page: Page, *presses: str) -> float:
    """Press buttons by what they say; return what the page's thread worked longest at a stretch.

    That is its own time, whoever else keeps the machine busy.
    """
    await browser.start_tracing(page=page, categories=["disabled-by-default-devtools.timeline"])
    for press in presses:
        button = page.locator(".peek").get_by_role("button", name=press)
        await button.evaluate("(one) => one.click()")
        await page.evaluate(PAINTED)
    await expect(part(page, "report").locator("tbody tr")).to_have_count(300)
    events = json.loads(await browser.stop_tracing())["traceEvents"]
    mains = {
        (one["pid"], one["tid"])
        for one in events
        if one["name"] == "thread_name" and one["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        one["tdur"] / 1000
        for one in events
        if one["name"] == "RunTask" and (one["pid"], one["tid"]) in mains and "tdur" in one
    ]
    assert len(tasks) > 10
    return float(max(tasks))


async def test_a_report_as_large_as_can_be_is_quick(
    served: Served, sit: Sit, browser: Browser
) -> None:
    content = ("A line of what was seen, with <b>markup</b> and \u200bnothing.\n" * 2000)[:62_000]
    indicators = [{"type": "domain", "value": f"host-{at}.evil.example"} for at in range(300)]
    large = report(content=content, metadata={"indicators": indicators})
    small = report("alert-0", severity="LOW", content="Small")
    await served.tenant.periscope.add_threats_batch([large, small])
    ada = await sit("ada")
    page = ada.page
    await ada.until_here("alert-1")
    await ada.press("Enter")
    await expect(part(page, "report").locator("tbody tr")).to_have_count(8)
    presses = ("Show all, ", "Show all 300", "Raw record")
    longest = await longest_ms(browser, page, *presses)
    assert longest < 50 + 50 * BUSY_S
    await expect(part(page, "report").locator("tbody tr")).to_have_count(300)
    await expect(part(page, "raw")).to_contain_text("‹200B›")


async def test_the_panel_by_keys_alone(served: Served, sit: Sit) -> None:
    p = served.tenant.periscope
    reports = [report(f"alert-{at}", metadata={"title": f"Beacon {at}"}) for at in range(3)]
    await p.add_threats_batch(reports)
    ada = await sit("ada")
    await ada.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = ada.page
    await expect(page.locator(".row[data-id]")).to_have_count(3)
    first, second, _ = await ada.ids()
    await ada.until_here(first)
    await ada.press("Enter", "y")
    await expect(page.get_by_role("status").filter(has_text="Copied the id.")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == first
    heading = page.locator("button:focus")
    await expect(part(page, "report")).to_be_visible()
    await ada.press("]")
    await expect(heading).to_contain_text("Report")
    await ada.press("]", "]")
    await expect(heading).to_contain_text("History")
    await ada.press("[")
    await expect(heading).to_contain_text("Score explained")
    await ada.press("v")
    await expect(part(page, "raw")).to_contain_text(f'"threat_id": "{first}"')
    await ada.press("7")
    await expect(part(page, "raw").locator(".raw")).to_have_count(0)
    await ada.press("j")
    await expect(page.locator(".peek .peek-id")).to_contain_text(second)
    await ada.press("Escape")
    await expect(page.locator(".peek")).to_have_count(0)
    await expect(ada.row(second)).to_be_focused()
    await page.reload()
    await ada.until_here(first)
    await ada.press("Enter")
    await expect(part(page, "report")).to_be_visible()
    await expect(part(page, "raw").get_by_role("button").first).to_have_attribute(
        "aria-expanded", "false"
    )


async def test_by_touch_on_a_small_screen(served: Served, sit: Sit) -> None:
    await served.tenant.periscope.add_threats_batch([report()])
    ada = await sit("ada", viewport={"width": 390, "height": 800}, has_touch=True)
    page = ada.page
    await ada.row("alert-1").tap()
    peek = page.locator(".peek")
    await expect(peek).to_be_in_viewport(ratio=1)
    box = await peek.bounding_box()
    assert box is not None
    assert (box["x"], box["y"], box["width"]) == (0, 0, 390)
    wide = "document.documentElement.scrollWidth"
    assert await page.evaluate(wide) == 390
    await expect(page.locator("header.top")).to_have_attribute("inert", "")
    await peek.get_by_role("button", name="Escalate").tap()
    await expect(peek.locator(".terms")).to_contain_text("1 of 3")
    await peek.get_by_role("button", name="Close", exact=True).tap()
    await expect(peek).to_have_count(0)
    await expect(page.locator("header.top")).not_to_have_attribute("inert", "")


async def test_what_is_gone_or_not_in_the_list_is_said(served: Served, sit: Sit) -> None:
    p = served.tenant.periscope
    await p.add_threats_batch([report(), report("alert-2", content="Another")])
    await p.record_interaction("alert-2", "bob", "dismiss")
    eve = await sit("eve", "read")
    eve.allowed.add(404)
    page = eve.page
    await eve.go("#/queue?t=alert-2")
    await expect(page.locator(".peek .facts")).to_contain_text("dismissed")
    await expect(page.get_by_role("group", name="Acts")).to_have_count(0)
    await p.remove(await served.tenant.archive(), "alert-2", "bob", "a test alert")
    await expect(page.locator(".absent")).to_contain_text("This threat has left.")
    await expect(part(page, "report")).to_contain_text("Another")
    await eve.go("#/queue?t=never-was")
    await expect(page.locator(".absent")).to_contain_text("There is no such threat here now.")
    await expect(part(page, "history")).to_contain_text("Nothing is on record of this id.")
    await page.reload()
    await eve.go("#/queue?t=alert-2")
    await expect(part(page, "history")).to_contain_text("was removed by bob")
    await expect(part(page, "history")).to_contain_text("a test alert")
