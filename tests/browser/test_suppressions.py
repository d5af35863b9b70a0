"""The page of suppressions: rules looked at before they are made, what they set aside, and why."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from playwright.async_api import Locator, Page, expect

from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.seat import PASSWORD

HOSTILE = "<img src=x onerror=ran=1>\u202egpj.exe"
HOSTS = {
    "name": "Common hosts",
    "type": "hostname",
    "version": 1,
    "description": "<b>Hosts</b> that everybody asks for",
    "matching_attributes": ["domain"],
    "list": ["example.com"],
}


def report(number: int, source: str = "siem", **more: Any) -> dict[str, Any]:
    severity = ("LOW", "MEDIUM", "HIGH")[number % 3]
    usual = {"threat_id": f"{source[:4]}-{number}", "content": f"ET SCAN {number}"}
    return {**usual, "severity": severity, "source": source, **more}


def toast(page: Page, text: str) -> Locator:
    return page.locator(".toast").filter(has_text=text)


def ask(page: Page) -> Locator:
    return page.locator('dialog[data-name="confirm"]')


async def test_a_rule_is_looked_at_made_seen_at_work_and_ended(served: Served, sit: Sit) -> None:
    periscope = served.tenant.periscope
    await periscope.add_threats_batch([report(one) for one in range(7)])
    await periscope.add_threats_batch([report(one, HOSTILE) for one in range(2)])
    await periscope.record_interaction("siem-2", "bob", "escalate")
    ada = await sit("ada", "admin")
    page = ada.page
    await ada.go("#/suppressions?new=1&source=siem")
    form = page.get_by_role("dialog", name="New rule")
    preview, save = form.get_by_role("region", name="Preview"), form.locator("button.main")
    where = [{"field": "source", "op": "=", "value": "siem"}]
    answer = await served.admin.post("/v1/suppressions/preview", json={"where": where})
    told = answer.json()
    assert (told["looked_at"], told["matched"], told["escalated"]) == (9, 7, 1)
    await expect(preview).to_contain_text("It would have hidden 7 of 9 threats (77.8 %)")
    await expect(preview.get_by_role("alert")).to_contain_text("1 escalated, 0 true positives")
    shown = {one: many for one, many in told["by_severity"].items() if many}
    await expect(preview.locator(".faces ul").first.locator("li")).to_have_count(len(shown))
    for severity, many in shown.items():
        await expect(
            preview.locator(".faces li").filter(has_text=severity.lower())
        ).to_contain_text(str(many))
    await expect(preview.locator(".examples li")).to_have_count(len(told["examples"]))
    await expect(save).to_be_disabled()
    await form.get_by_label("Reason").fill("a drill")
    await expect(save).to_be_enabled()

    await form.get_by_role("button", name="And another condition").click()
    await expect(save).to_be_disabled()
    await form.get_by_label("Field 2").fill("severity")
    await form.get_by_label("Comparison 2").select_option("<=")
    await form.get_by_label("Value 2").fill("MEDIUM")
    await expect(save).to_be_enabled()
    await expect(preview).to_contain_text("It would have hidden 5 of 9")
    await expect(preview.get_by_role("alert")).to_have_count(0)
    await form.get_by_label("Value 2").fill("HIGH")
    await expect(preview.get_by_role("alert")).to_be_visible()
    await form.get_by_label("Show again after").fill("100")
    await save.click()
    await expect(ask(page)).to_contain_text("1 were escalated")
    await ask(page).get_by_role("button", name="Set aside all the same").click()
    await expect(toast(page, "In force: source=siem and severity<=HIGH.")).to_be_visible()
    (rule,) = await periscope.get_suppressions()
    assert (rule.reason, rule.author) == ("a drill", "ada")
    assert rule.rate is not None
    assert (rule.rate.most, rule.rate.window_ms) == (100, 3_600_000)
    await expect(page.locator("tbody tr")).to_contain_text("back beyond 100 in 1 h")

    await periscope.add_threats_batch([report(one, threat_id=f"new/{one}") for one in range(60)])
    await ada.press("2")
    await expect(page.locator("tbody tr")).to_have_count(50)
    await page.get_by_role("button", name="More").click()
    await expect(page.locator("tbody tr")).to_have_count(60)
    first = await page.locator("[data-row]").first.get_attribute("data-row")
    await ada.press("j", "b")
    await expect(toast(page, f"{first}: its next report starts anew")).to_be_visible()
    assert (await periscope.get_suppressed(count=1)).total == 59
    await expect(page.get_by_text("of 59 shown")).to_be_visible()

    await ada.press("1")
    await expect(page.locator("tbody tr")).to_contain_text("6 d 23 h more")
    await ada.press("j", "Enter")
    detail = page.get_by_role("complementary", name="Rule")
    await expect(detail).to_contain_text("Set aside by it: 59")
    await ada.press("Delete")
    await expect(ask(page)).to_contain_text("source=siem and severity<=HIGH")
    await ask(page).get_by_role("button", name="End the rule").click()
    await expect(page.get_by_text("No rule is in force.")).to_be_visible()
    assert await periscope.get_suppressions() == []
    await page.get_by_label("Also the 1 that have ended").check()
    await expect(page.locator("tbody tr")).to_contain_text("by ada")


async def test_what_is_half_written_stays_and_what_cannot_be_is_said(
    served: Served, sit: Sit
) -> None:
    await served.tenant.periscope.add_threats_batch([report(one, HOSTILE) for one in range(2)])
    ada = await sit("ada", "admin")
    page = ada.page
    await ada.go(f"#/suppressions?new=1&source={quote(HOSTILE)}&indicator=evil.example")
    form = page.get_by_role("dialog", name="New rule")
    await expect(form.get_by_label("Field 2")).to_have_value("indicators")
    await expect(form.get_by_label("Value 2")).to_have_value("evil.example")
    await expect(form.locator(".conditions")).to_contain_text("‹202E›")
    await form.get_by_label("Take condition 2 away").click()
    preview = form.get_by_role("region", name="Preview")
    await expect(preview).to_contain_text("It would have hidden 2 of 2")
    await expect(preview.locator(".faces")).to_contain_text("<img src=x onerror=ran=1>‹202E›")
    assert await page.evaluate("[typeof ran, document.querySelectorAll('main img').length]") == [
        *("undefined", 0)
    ]
    await form.get_by_label("Reason").fill("known to be noise")
    await ada.press("Escape")
    await expect(ask(page)).to_contain_text("Discard")
    await ada.press("Escape", "Escape", "Enter")  # asked again, and kept again
    await expect(ask(page)).to_have_count(0)
    await expect(form.get_by_label("Reason")).to_have_value("known to be noise")

    ada.allowed.add(422)
    await form.get_by_label("Field 1").fill("sauce")
    await expect(form.get_by_role("alert")).to_contain_text("did you mean source?")
    await form.get_by_label("Field 1").fill("content")
    await form.get_by_label("Comparison 1").select_option("~")
    await form.get_by_label("Value 1").fill("*")
    await expect(form.get_by_role("alert")).to_contain_text("nearly everything")
    await expect(form.locator("button.main")).to_be_disabled()
    await form.get_by_label("Even so").check()
    await expect(preview).to_contain_text("It would have hidden 2 of 2")
    await ada.context.clear_cookies()
    await form.locator("button.main").click()
    again = page.get_by_role("dialog", name="Your session has ended")
    await ada.press("Escape", "Escape", "Escape")
    await again.get_by_label("Password").fill(PASSWORD)
    await ada.press("Enter")
    await expect(toast(page, "In force: content~*")).to_be_visible()
    (rule,) = await served.tenant.periscope.get_suppressions()
    assert rule.reason == "known to be noise"


async def test_lists_are_loaded_explained_and_dropped(served: Served, sit: Sit) -> None:
    ada = await sit("ada", "admin")
    page, periscope = ada.page, served.tenant.periscope
    await ada.go("#/suppressions?tab=lists")
    ada.allowed.add(422)
    chooser = page.get_by_label("Load a list")
    await chooser.set_input_files(
        {"name": "no.json", "mimeType": "application/json", "buffer": b'{"name": "x"}'}
    )
    await expect(toast(page, "no.json was not loaded")).to_be_visible()
    buffer = json.dumps(HOSTS).encode()
    await chooser.set_input_files(
        {"name": "list.json", "mimeType": "application/json", "buffer": buffer}
    )
    await expect(toast(page, "Loaded Common hosts: 1 values.")).to_be_visible()
    await expect(page.locator("tbody tr")).to_contain_text("<b>Hosts</b> that everybody asks for")

    indicators = [{"type": "domain-name", "value": "www.example.com"}]
    known = report(1, metadata={"indicators": indicators, "title": "Asks for a host"})
    told = (await served.admin.post("/v1/reports", json=known)).json()
    assert told["suppressed"] == 1
    await periscope.add_threats_batch([report(2)])
    await ada.press("j", "Enter")
    await page.get_by_role("link", name="what it sets aside").click()
    await expect(page.locator("tbody tr")).to_contain_text("Asks for a host")
    await ada.press("j", "Enter")
    verdict = page.get_by_role("region", name="Explanation")
    await expect(verdict).to_contain_text("siem-1")
    await expect(verdict).to_contain_text("Set aside before")
    await expect(verdict).to_contain_text("list:Common hosts")
    await page.get_by_label("Id").fill("siem-2")
    await ada.press("Enter")
    await expect(verdict).to_contain_text("would be looked at: no rule in force holds for it")
    await page.get_by_label("Id").fill("nothing")
    await ada.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("Neither a threat nor anything")

    await page.get_by_role("link", name="Warninglists").click()
    await page.get_by_role("button", name="Drop").click()
    await ask(page).get_by_role("button", name="Drop").click()
    await expect(page.get_by_text("No list is loaded.")).to_be_visible()
    assert await periscope.get_warninglists() == []


async def test_a_rule_that_holds_is_explained_of_the_whole_threat(served: Served, sit: Sit) -> None:
    periscope = served.tenant.periscope
    await periscope.add_threats_batch([report(1)])
    rule = await periscope.add_suppression("content~*SCAN*", "drill", "bob")
    ada = await sit("ada", "read", "act")
    await ada.go("#/suppressions?tab=explain&id=siem-1")
    verdict = ada.page.get_by_role("region", name="Explanation")
    await expect(verdict).to_contain_text(f"would be set aside: rule {rule.id} by bob: drill")
    await verdict.get_by_role("link", name="content~*SCAN*").click()
    await expect(ada.page.get_by_role("complementary", name="Rule")).to_contain_text("drill")


async def test_who_only_reads_sees_all_of_it_and_no_buttons(served: Served, sit: Sit) -> None:
    periscope = served.tenant.periscope
    await periscope.add_suppression("source=drill", "d" * 400, "bob")
    await periscope.add_threats_batch([report(1, "drill", threat_id="x" * 200)])
    await periscope.load_warninglist(json.dumps(HOSTS).encode())
    eve = await sit("eve", "read", viewport={"width": 390, "height": 800})
    page = eve.page
    for tab, seen in (("rules", "source=drill"), ("aside", "xxxx"), ("lists", "Common hosts")):
        await eve.go(f"#/suppressions?tab={tab}")
        await expect(page.locator("tbody tr")).to_contain_text(seen)
        assert await page.evaluate("document.querySelector('main').scrollWidth") <= 390
        wanted = 1 if tab == "lists" else 0  # what opens the row
        await expect(page.locator("main").get_by_role("button")).to_have_count(wanted)
        await expect(page.get_by_label("Load a list")).to_have_count(0)
        await eve.press("j", "b", "Delete", "a")
    await eve.go("#/suppressions?new=1&source=drill")
    await expect(page.get_by_text("Rules are made by administrators.")).to_be_visible()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert (await periscope.get_suppressed()).total == 1
