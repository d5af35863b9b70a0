"""The audit trail in a real browser: filtered, paged, live, saved without harm."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from playwright.async_api import expect

from tests.api.conftest import Served
from tests.api.support import put
from tests.browser.conftest import Sit
from tests.browser.seat import Seat

FORMULA = '=HYPERLINK("http://evil.example","x")'
HOSTILE = "<script>alert(1)</script>\u202e"


async def saved(seat: Seat, name: str) -> str:
    """What the browser keeps as a file when a button is pressed."""
    async with seat.page.expect_download() as waiting:
        await seat.page.get_by_role("button", name=name).click()
    return Path(await (await waiting.value).path()).read_text(encoding="utf-8")


async def test_who_did_what_filtered_and_paged(served: Served, sit: Sit) -> None:
    p = served.tenant.periscope
    await put(served, "t", "u")
    for number in range(120):
        await p.record_interaction("tu"[number % 2], f"a{number % 3}", "view")
    await p.comment("t", "zoe", HOSTILE)
    root = await sit("root", "admin")
    await root.go("#/audit?action=view")
    rows = root.page.locator("tbody tr")
    await expect(rows).to_have_count(100)
    await root.page.get_by_role("button", name="Older").click()
    await expect(rows).to_have_count(120)
    await root.page.get_by_role("button", name="a1", exact=True).first.click()
    await expect(rows).to_have_count(40)
    await root.page.get_by_label("Threat").fill("u")
    await root.press("Enter")
    await expect(rows).to_have_count(20)
    assert "analyst=a1" in (where := await root.page.evaluate("location.hash"))
    assert "threat=u" in where
    await root.page.get_by_label("Since").fill("2h")
    await root.press("Enter")
    await expect(rows).to_have_count(20)
    await root.page.get_by_label("Until").fill("2020-01-31 12:00")
    await root.press("Enter")
    await expect(root.page.get_by_text("Nothing on record fits.")).to_be_visible()
    root.allowed.add(422)
    await root.page.get_by_label("Until").fill("soon")
    await root.press("Enter")
    await expect(root.page.get_by_label("Until")).to_have_attribute("aria-invalid", "true")
    await root.page.get_by_role("button", name="Clear").click()
    await expect(rows.filter(has_text="zoe")).to_contain_text("<script>alert(1)</script>‹202E›")
    await rows.filter(has_text="zoe").get_by_role("link", name="t").click()
    await expect(root.page.get_by_role("complementary", name="Threat")).to_be_visible()
    assert await root.page.evaluate("location.hash") == "#/queue?t=t"


async def test_what_comes_is_told_and_what_is_shown_is_saved(served: Served, sit: Sit) -> None:
    p = served.tenant.periscope
    await put(served, "t", "+u")
    await p.comment("t", "ann", FORMULA)
    await p.comment("+u", FORMULA, "two\nlines")
    root = await sit("root", "admin")
    await root.go("#/audit?action=comment")
    rows = root.page.locator("tbody tr")
    await expect(rows).to_have_count(2)
    lines = [json.loads(one) for one in (await saved(root, "Save as NDJSON")).splitlines()]
    assert [one["threat_id"] for one in lines] == ["+u", "t"]
    assert lines[1]["detail"] == {"comment": FORMULA}
    cells = list(csv.reader(io.StringIO(await saved(root, "Save as CSV"), newline="")))
    assert [len(row) for row in cells] == [8, 8, 8]
    table = [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]
    assert (table[0]["threat_id"], table[0]["analyst_id"]) == ("'+u", f"'{FORMULA}")
    assert json.loads(table[1]["detail"]) == {"comment": FORMULA}
    for number in range(3):
        await p.comment("t", "ann", f"more {number}")
    newer = root.page.get_by_role("button", name="3 newer")
    await expect(newer).to_be_visible(timeout=10_000)
    await expect(rows).to_have_count(2)
    await newer.click()
    await expect(rows).to_have_count(5)
    await expect(rows.first).to_contain_text("more 2")
    await expect(newer).to_have_count(0)


async def test_no_cell_is_a_formula(served: Served, sit: Sit) -> None:
    root = await sit("root", "admin")
    await root.go("#/audit")
    given = [
        "=1",
        "+1",
        "-1",
        "@x",
        "|x",
        "%x",
        "\t=1",
        "\u200b=1",
        '"=1',
        "＝1",
        "a\0=1",
        "",
        "plain -1",
    ]
    found = await root.page.evaluate(
        "async (given) => { const base = document.querySelector('script[src]').src;"
        "const { safeCell } = await import(new URL('pages/audit.js', base).href);"
        "return given.map(safeCell); }",
        given,
    )
    assert found[:10] == [f"'{one}" for one in given[:10]]
    assert found[10:] == ["a=1", "", "plain -1"]


async def test_a_reader_sees_neither_page_nor_link(served: Served, sit: Sit) -> None:
    eve = await sit("eve", "read")
    await eve.go("#/audit")
    for where in ("#/audit", "#/admin", "#/admin?part=policy"):
        await eve.go(where)
        await expect(eve.page.get_by_text("There is no such page here.")).to_be_visible()
    for name in ("Audit", "Admin"):
        await expect(eve.page.get_by_role("link", name=name)).to_have_count(0)
