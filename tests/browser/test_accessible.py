"""For everybody: axe-core finds nothing, the focus is seen, little is read aloud, all fits."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
from playwright.async_api import expect

from tests.api.conftest import Served
from tests.api.support import put, to_level_two
from tests.browser.conftest import Sit
from tests.browser.seat import Seat

SIZES = ((1440, 900), (1024, 768), (390, 800))
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
AXE = """async (rules) => {
  const found = await axe.run(document, { resultTypes: ["violations"],
    runOnly: { type: "tag", values: rules } });
  const told = (one, node) => [one.id, node.target.join(" "),
    node.failureSummary.replace(/\\s+/g, " ").slice(0, 240), node.html.slice(0, 160)].join(" ");
  return found.violations.flatMap((one) => one.nodes.map((node) => told(one, node)));
}"""
PAGES = (
    "#/queue",
    "#/overdue",
    "#/knowledge",
    "#/knowledge?level=3",
    "#/knowledge?part=departed",
    "#/dashboard",
    "#/feeds",
    "#/suppressions",
    "#/suppressions?tab=aside",
    "#/suppressions?tab=lists",
    "#/audit",
    "#/admin?part=keys",
    "#/admin?part=accounts",
    "#/admin?part=policy",
    "#/admin?part=service",
    "#/admin?part=settings",
    "#/account",
    "#/nowhere",
)


async def fill(served: Served) -> None:
    """A queue with something of each kind in it."""
    for number, severity in enumerate(("CRITICAL", "HIGH", "MEDIUM", "LOW")):
        said = {
            "title": f"Beacon {number} to a server nobody knows",
            "tags": ["c2", "vpn"],
            "tlp": ("red", "amber", "green", "clear")[number],
            "industry": "energy",
            "indicators": [{"type": "domain", "value": f"evil{number}.example"}],
            "references": ["https://example.org/a", "javascript:1"],
        }
        await put(served, f"alert-{number}", severity=severity, source="ids", metadata=said)
    p = served.tenant.periscope
    await put(served, "known")
    await to_level_two(served, "known")
    await p.claim("alert-1", "bob")
    await p.comment("alert-0", "bob", "Seen on two hosts.")


async def settled(seat: Seat) -> None:
    """Wait until a page is there and reads nothing any more."""
    await expect(seat.page.locator("main")).not_to_be_empty()
    await expect(seat.page.locator('main .empty[aria-busy="true"]')).to_have_count(0)
    await expect(seat.page.locator('[role=grid][aria-busy="true"]')).to_have_count(0)
    await expect(seat.page.get_by_text("Reading…")).to_have_count(0)


async def violations(seat: Seat, sizes: Any = SIZES) -> list[str]:
    """What axe-core has against the page as it is, at all sizes, light and dark."""
    found = set[str]()
    for width, height in sizes:
        await seat.page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            await seat.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            told = await seat.page.evaluate(AXE, RULES)
            found |= {f"{width} {scheme}: {one}" for one in told}
            wide = await seat.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if wide > 0:
                found.add(f"{width} {scheme}: wider than the screen by {wide}")
    return sorted(found)


async def open_axe(seat: Seat) -> None:
    """Bring axe-core into the page as a debugger does; where one may not, `bypass_csp` lets it."""
    await seat.page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text())


@pytest.mark.parametrize("is_full", [False, True], ids=["empty", "full"])
async def test_no_page_breaks_a_rule(served: Served, sit: Sit, *, is_full: bool) -> None:
    if is_full:
        await fill(served)
    root = await sit("root", "admin", bypass_csp=True)
    await open_axe(root)
    found = dict[str, list[str]]()
    for where in (*PAGES, *(["#/queue?t=alert-0"] if is_full else [])):
        await root.go(where)
        await settled(root)
        if told := await violations(root, SIZES if is_full else (SIZES[0], SIZES[2])):
            found[where] = told
    assert not found, "\n".join(f"{where} {one}" for where, told in found.items() for one in told)


DIALOGS = {
    "keys": ("?",),
    "palette": ("Control+k",),
    "decide": ("o", "6"),
    "snooze": ("s",),
    "comment": ("w",),
    "views": ("v",),
    "cell": ("f",),
}
FORMS = {
    "#/admin?part=keys": "Make a key…",
    "#/admin?part=accounts": "Add an account…",
    "#/feeds": "Add a feed",
    "#/suppressions": "New rule",
}


async def test_no_dialog_breaks_a_rule(served: Served, sit: Sit) -> None:
    await fill(served)
    root = await sit("root", "admin", bypass_csp=True)
    await open_axe(root)
    await expect(root.page.locator(".row[data-id]")).to_have_count(4)
    found = dict[str, list[str]]()
    for what, keys in DIALOGS.items():
        await root.press(*keys)
        await expect(root.page.locator("dialog[open]")).to_be_visible()
        found[what] = await violations(root, (SIZES[0], SIZES[2]))
        await root.press("Escape")
        await expect(root.page.locator("dialog[open]")).to_have_count(0)
    for where, name in FORMS.items():
        await root.go(where)
        await root.page.get_by_role("button", name=name).first.click()
        await expect(root.page.locator("dialog[open]")).to_be_visible()
        found[where] = await violations(root, (SIZES[0], SIZES[2]))
        await root.press("Escape")
        await expect(root.page.locator("dialog[open]")).to_have_count(0)
    await root.page.set_viewport_size({"width": 1440, "height": 900})
    await root.go("#/queue")
    await root.until_here("alert-0")
    await root.press("x", "d")
    await expect(root.page.locator(".toast")).to_be_visible()
    found["receipt"] = await violations(root, (SIZES[0], SIZES[2]))
    told = [f"{what} {one}" for what, all_of_it in found.items() for one in all_of_it]
    assert not told, "\n".join(told)


async def test_signing_in_breaks_no_rule(served: Served, sit: Sit) -> None:
    await fill(served)
    ada = await sit("ada", bypass_csp=True)
    await open_axe(ada)
    await ada.context.clear_cookies()
    await ada.press("d")
    await expect(ada.page.get_by_role("dialog")).to_contain_text("Your session has ended")
    assert await violations(ada) == []
    await ada.page.reload()
    await expect(ada.page.get_by_label("Password")).to_be_visible()
    await open_axe(ada)
    assert await violations(ada) == []


async def test_at_twice_the_size_nothing_is_lost(served: Served, sit: Sit) -> None:
    await fill(served)
    root = await sit("root", "admin", viewport={"width": 720, "height": 450}, device_scale_factor=2)
    wide = []
    for width, height in ((720, 450), (320, 512)):
        await root.page.set_viewport_size({"width": width, "height": height})
        for where in (*PAGES, "#/queue?t=alert-0"):
            await root.go(where)
            await settled(root)
            beyond = await root.page.evaluate(BEYOND)
            if any(beyond):
                wide.append((width, where, beyond))
    assert wide == []


BEYOND = """() => ["html", "main", ".peek-body"].map((one) => document.querySelector(one))
  .map((one) => (one ? Math.max(0, one.scrollWidth - one.clientWidth) : 0))"""


async def test_the_focus_is_seen_wherever_it_is(served: Served, sit: Sit) -> None:
    await fill(served)
    root = await sit("root", "admin", viewport={"width": 1440, "height": 900})
    await root.page.emulate_media(forced_colors="active", reduced_motion="reduce")
    for where in ("#/queue?t=alert-0", "#/dashboard", "#/feeds", "#/admin?part=policy"):
        await root.go(where)
        await settled(root)
        await root.page.evaluate("document.activeElement.blur()")
        stops = 0
        for _ in range(45):
            await root.press("Tab")
            told = await root.page.evaluate(SEEN)
            if told is None:
                continue  # beyond the last stop it begins anew
            assert told["seen"], (where, told)
            stops += 1
        assert stops > 8, where
        assert await root.page.evaluate(MOVING) == [], where
    await root.go("#/queue")
    here = root.page.locator('.row[data-here="true"]')
    await expect(here).to_have_css("outline-style", "solid")


SEEN = """() => {
  const one = document.activeElement;
  if (one === document.body) return null;
  const isDrawn = (each) => each && getComputedStyle(each).outlineStyle !== "none"
    && parseFloat(getComputedStyle(each).outlineWidth) >= 2;
  const box = one.getBoundingClientRect();
  const inside = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
  return { seen: inside && (isDrawn(one) || isDrawn(one.closest(":focus-within.field-box"))),
    what: one.outerHTML.slice(0, 160) };
}"""
MOVING = """() => [...document.querySelectorAll("*")].filter((one) => {
  const style = getComputedStyle(one);
  const isLong = (text) => text.split(",").some((each) => parseFloat(each) > 0.01);
  const isAnimated = style.animationName !== "none" && isLong(style.animationDuration);
  return isAnimated || isLong(style.transitionDuration);
}).map((one) => one.outerHTML.slice(0, 120))"""


async def test_what_a_screen_reader_is_told(served: Served, sit: Sit) -> None:
    await fill(served)
    ada = await sit("ada")
    grid = ada.page.get_by_role("grid", name="Queue")
    await expect(grid).to_have_attribute("aria-rowcount", "5")
    await expect(ada.page.get_by_role("heading", name="Queue", level=1)).to_have_count(1)
    tree = await rows_told(ada)
    assert tree[0]["name"] == "critical, Beacon 0 to a server nobody knows, ids"
    assert tree[1]["name"].endswith("ids, held by bob")
    assert [one["focused"] for one in tree] == [True, False, False, False]
    await ada.press("x", "j")
    tree = await rows_told(ada)
    assert [one["selected"] for one in tree] == [True, False, False, False]
    assert [one["focused"] for one in tree] == [False, True, False, False]
    await ada.press("Escape", "m")
    await expect(ada.page.get_by_role("status").filter(has_text="alert-1")).to_be_visible()
    loud = await ada.page.locator('[aria-live="assertive"]').count()
    assert loud == 0


async def rows_told(seat: Seat) -> list[dict[str, Any]]:
    """The rows of the list, as assistive technology has them."""
    debugger = await seat.context.new_cdp_session(seat.page)
    nodes = (await debugger.send("Accessibility.getFullAXTree"))["nodes"]
    await debugger.detach()
    found = []
    for node in nodes:
        states = {one["name"]: one["value"].get("value") for one in node.get("properties", ())}
        if node.get("role", {}).get("value") == "row" and "selected" in states:
            name = node["name"]["value"]
            found.append(
                {
                    "name": name,
                    "selected": states["selected"],
                    "focused": states.get("focused", False),
                }
            )
    return found


async def test_what_changes_every_second_is_not_read_aloud(served: Served, sit: Sit) -> None:
    await fill(served)
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(4)
    await ada.page.evaluate(LISTEN)
    await ada.press("x")  # whoever has something selected is not followed
    for number in range(3):
        await put(served, f"late-{number}")
        await expect(ada.page.locator(".pill")).to_contain_text(f"{number + 1} new")
    await served.service.close()
    lost = ada.page.locator(".live")
    await expect(lost).to_contain_text("not live")
    for second in (2, 3, 4):
        await expect(lost).to_contain_text(f"for {second} s")
    said = await ada.page.evaluate("() => window.__said")
    assert len([one for one in said if "new" in one]) <= 1, said
    assert len([one for one in said if "not live" in one]) == 1, said


LISTEN = """() => {
  window.__said = [];
  const last = new Map();
  const note = () => {
    for (const one of document.querySelectorAll("[role=status], [role=alert], [aria-live]")) {
      const text = one.textContent.trim();
      if (last.get(one) !== text && text) window.__said.push(text);
      last.set(one, text);
    }
  };
  note();
  window.__said.length = 0;
  const all = { subtree: true, childList: true, characterData: true };
  new MutationObserver(note).observe(document.body, all);
}"""
