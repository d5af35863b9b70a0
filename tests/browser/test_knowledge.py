"""Knowledge in a real browser: levels, industries, curves, recall, and what has left."""

from __future__ import annotations

from playwright.async_api import expect

from periscope import Policy
from periscope.models import Level
from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.seat import Seat

STRAIGHT_TO_LONG = Policy(
    long_term_confidence=0.0, long_term_consolidations=1, validated_escalations=0
)
HOSTILE = "<img src=x onerror=alert(1)>\u202e"


async def put(served: Served, *ids: str, industry: str = "energy", title: str = "Beacon") -> None:
    metadata = {"title": title, "industry": industry}
    reports = [
        {
            "threat_id": one,
            "content": "x",
            "severity": "HIGH",
            "source": "ids",
            "metadata": metadata,
        }
        for one in ids
    ]
    result = await served.tenant.periscope.add_threats_batch(reports)
    assert result.added == len(ids)


async def promote(served: Served, *ids: str) -> None:
    """Promote threats by what analysts do to them: to level 2, or 3 if the policy says so."""
    p = served.tenant.periscope
    for one in ids:
        for analyst in ("ann", "zoe", "carl"):
            await p.record_interaction(one, analyst, "escalate")
            await p.record_interaction(one, analyst, "investigate")
    assert set((await p.promote_eligible_threats()).promoted_ids) == set(ids)


async def to_long_term(served: Served, *ids: str) -> None:
    p = served.tenant.periscope
    before = await p.get_policy()
    await p.set_policy(STRAIGHT_TO_LONG)
    await promote(served, *ids)
    await p.set_policy(before)


async def level_of(served: Served, threat_id: str) -> Level | None:
    found = await served.tenant.periscope.get_threat(threat_id)
    return None if found is None else found.level


async def curve_of(seat: Seat, threat_id: str) -> list[float]:
    """Where a row's curve runs: the height of each of its points."""
    points = await seat.row(threat_id).locator("polyline").get_attribute("points")
    return [float(one.split(",")[1]) for one in points.split()]


async def test_what_is_known_is_looked_at_and_recalled(served: Served, sit: Sit) -> None:
    await put(served, "short", title=HOSTILE)
    await promote(served, "short")
    ada = await sit("ada")
    await ada.press("g", "k")
    await ada.until_ids(["short"])
    tab = ada.page.get_by_role("tab", name="Short-term")
    await expect(tab).to_have_text("Short-term 1")
    await expect(ada.row("short")).to_contain_text("validated")
    await expect(ada.row("short")).to_contain_text("in 6 d 23 h")
    assert len(set(await curve_of(ada, "short"))) == 1, "level 2 does not decay"
    await ada.press("Enter")
    await expect(ada.page.get_by_role("complementary", name="Threat")).to_be_visible()
    await ada.press("Escape")
    await ada.press("w")
    await ada.page.get_by_role("textbox", name="Comment").fill("seen before")
    await ada.press("Control+Enter")
    await expect(ada.page.get_by_role("status").filter(has_text="Commented")).to_be_visible()
    assert await level_of(served, "short") is Level.SHORT_TERM, "to look at it is no interaction"
    await ada.press("R")
    await expect(ada.row("short")).to_have_attribute("data-done", "recalled")
    toast = ada.page.get_by_role("status").filter(has_text="returns by itself")
    await expect(toast).to_be_visible()
    await expect(toast.get_by_role("button", name="Undo")).to_have_count(0)
    assert await level_of(served, "short") is Level.WORKING
    await expect(tab).to_have_text("Short-term 0", timeout=10_000)
    await ada.press("Space")
    await expect(ada.page.get_by_text("Nothing has come this far yet.")).to_be_visible()


async def test_long_term_by_industry_and_how_it_decays(served: Served, sit: Sit) -> None:
    await put(served, "kept", "fading")
    await put(served, "bank", industry="Finance")
    await to_long_term(served, "kept", "fading", "bank")
    await served.tenant.periscope.decide("fading", "ann", "false_positive_logic")
    ada = await sit("ada")
    await ada.go("#/knowledge?level=3")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(3)
    assert len(set(await curve_of(ada, "kept"))) == 1
    falling = await curve_of(ada, "fading")
    assert falling == sorted(falling)
    assert falling[0] < falling[-1], "down is further from the top"
    await expect(ada.row("kept")).to_contain_text("never")
    await expect(ada.row("fading")).to_contain_text("in 89 d")
    await expect(ada.row("fading")).to_contain_text("pattern")
    await ada.page.get_by_role("button", name="finance", exact=True).click()
    await ada.until_ids(["bank"])
    assert await ada.page.evaluate("location.hash") == "#/knowledge?level=3&industry=finance"
    await ada.page.get_by_role("button", name="All", exact=True).click()
    await expect(ada.page.locator(".row[data-id]")).to_have_count(3)
    await ada.page.get_by_label("Another industry").fill("health")
    await ada.press("Enter")
    await expect(ada.page.get_by_text("Nothing of this level fits.")).to_be_visible()
    await ada.go("#/knowledge?level=3&q=nowhere")
    await ada.page.get_by_role("button", name="Clear the filters").click()
    await expect(ada.page.locator(".row[data-id]")).to_have_count(3)
    await ada.page.get_by_role("tab", name="Long-term").focus()
    await ada.press("ArrowLeft")
    await expect(ada.page.get_by_role("tab", name="Short-term")).to_be_focused()
    await expect(ada.page.get_by_role("grid", name="Short-term knowledge")).to_be_visible()


async def test_what_departed_is_found_and_allowed_again(served: Served, sit: Sit) -> None:
    p, archive = served.tenant.periscope, await served.tenant.archive()
    ids = [f"t{number:03d}" for number in range(120)]
    await put(served, *ids, title=HOSTILE)
    for one in ids:
        await p.remove(archive, one, "zoe", "a test")
    root = await sit("root", "admin")
    await root.go("#/knowledge?level=departed")
    rows = root.page.locator("tbody tr")
    await expect(rows).to_have_count(100)
    await root.page.get_by_role("button", name="More").click()
    await expect(rows).to_have_count(120)
    await expect(rows.first).to_contain_text("‹202E›")
    await expect(rows.first).to_contain_text("by zoe")
    await root.page.get_by_role("button", name="Allow t119 again").click()
    dialog = root.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("t119")
    await dialog.get_by_role("button", name="Allow again").click()
    await expect(rows.first).to_contain_text("allowed again")
    await put(served, "t119")
    assert await level_of(served, "t119") is Level.WORKING
    await root.page.get_by_label("Reason").select_option("expired_unseen")
    await expect(root.page.get_by_text("Nothing that fits has left.")).to_be_visible()
    await root.page.set_viewport_size({"width": 390, "height": 800})
    await root.page.get_by_label("Reason").select_option("removed")
    await expect(rows).to_have_count(100)
    assert await root.page.evaluate("document.documentElement.scrollWidth") <= 390
    eve = await sit("eve", "read")
    await eve.go("#/knowledge?level=departed&severity=HIGH")
    await expect(eve.page.locator("tbody tr")).to_have_count(100)
    await expect(eve.page.get_by_role("button", name="Allow")).to_have_count(0)
