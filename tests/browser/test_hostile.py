"""Hostile content in every field and view: it is text, it stays in its place, nothing runs."""

from __future__ import annotations

from functools import partial
from typing import Any

from playwright.async_api import expect

from tests.api.conftest import Served
from tests.api.support import to_level_two
from tests.browser.conftest import Sit
from tests.browser.hostile import IDS, LONG, ODD, TEXTS, TURNED, assert_harmless, report
from tests.browser.seat import Seat
from tests.support.nodes import wait_until

PLACES = """(rows) => rows.map((row) => {
  const box = (one) => one.getBoundingClientRect();
  const cells = [...row.children].filter((one) => one.offsetParent);
  const lefts = cells.map((one) => Math.round(box(one).left));
  return { height: Math.round(box(row).height), lefts };
})"""


FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


async def fill(served: Served, *reports: dict[str, Any]) -> None:
    result = await served.tenant.periscope.add_threats_batch(list(reports))
    assert result.rejected_count == 0, result.rejected


async def assert_in_place(seat: Seat) -> None:
    """No row is higher than another, no cell stands elsewhere than its heading."""
    found = await seat.page.locator(".row:not(.head)").evaluate_all(PLACES)
    [head] = await seat.page.locator(".row.head").evaluate_all(PLACES)
    assert len({one["height"] for one in found}) == 1, found
    assert all(one["lefts"] == head["lefts"] for one in found), (head, found)


async def test_a_queue_of_hostile_reports(served: Served, sit: Sit) -> None:
    await fill(served, *(report(f"text-{at}", text) for at, text in enumerate(TEXTS)))
    long = {"title": "L" * 65_000}
    await fill(served, {"threat_id": "n", "content": "-", "severity": "LOW", "metadata": long})
    ada = await sit("ada", viewport={"width": 1440, "height": 900})
    await expect(ada.page.locator(".row[data-id]")).to_have_count(len(TEXTS) + 1)
    await assert_harmless(ada, "queue")
    await assert_in_place(ada)
    shown = await ada.page.locator(".row .headline").all_inner_texts()
    for wanted in ("<script>window.__ran=1</script>", "invoice fdp.exe", "__proto__", "אבגד"):
        assert any(wanted in one for one in shown), (wanted, shown)
    await ada.press("X", "Escape", "?", "Escape", "Control+k")
    await assert_harmless(ada, "palette")


async def test_each_hostile_report_opened(served: Served, sit: Sit) -> None:
    await fill(served, *(report(f"text-{at}", text) for at, text in enumerate(TEXTS)))
    ada = await sit("ada", viewport={"width": 1440, "height": 900})
    rows = ada.page.locator(".row[data-id]")
    await expect(rows).to_have_count(len(TEXTS))
    for at, one in enumerate(await ada.ids()):
        await ada.go(f"#/queue?t={one}")
        await expect(ada.page.locator(".peek .id").first).to_have_text(one)
        await expect(ada.page.locator(".peek .report")).to_be_visible()
        if at % 4 == 0:
            await ada.press("7", "6")
        await assert_harmless(ada, f"{one}: {TEXTS[int(one.removeprefix('text-'))][:80]}")
    await ada.go(f"#/queue?t=text-{TEXTS.index(TURNED[0])}")
    tags = ada.page.locator(".peek .tags")
    await expect(tags).to_contain_text("invoice‹202E›fdp.exe‹202C›")
    box = await ada.page.locator(".peek").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 1440


async def test_hostile_ids_are_acted_on(served: Served, sit: Sit) -> None:
    await fill(served, *(report(one, "beacon") for one in IDS))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(len(IDS))
    assert set(await ada.ids()) == set(IDS)
    await assert_in_place(ada)
    for _ in IDS:
        here = await ada.here()
        assert here is not None
        await ada.press("Enter")
        await expect(ada.page.locator(".peek h2")).to_be_visible()
        if here not in (".", ".."):
            await expect(ada.page.locator(".peek .report")).to_be_visible()
        await ada.press("o", "4")
        await expect(ada.page.locator("dialog[data-name=decide] h2")).to_be_visible()
        await assert_harmless(ada, f"dialog of {here!r}")
        await ada.press("Enter")
        await wait_until(partial(is_closed, served, here), f"{here!r} is closed")
        await assert_harmless(ada, f"receipt of {here!r}")


async def is_closed(served: Served, threat_id: str) -> bool:
    found = await served.tenant.periscope.get_threat(threat_id)
    return found is not None and found.status.value == "closed"


async def test_values_of_other_kinds_where_a_text_is_expected(served: Served, sit: Sit) -> None:
    fields = ("title", "tags", "tlp", "industry", "indicators", "references", "more")
    reports = [
        {
            "threat_id": f"odd-{at}",
            "content": "odd",
            "severity": "LOW",
            "metadata": dict.fromkeys(fields, value),
        }
        for at, value in enumerate(ODD)
    ]
    await fill(served, *reports)
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(len(ODD))
    for one in await ada.ids():
        await ada.go(f"#/queue?t={one}")
        await expect(ada.page.locator(".peek .id").first).to_have_text(one)
        await expect(ada.page.locator(".peek .report")).to_be_visible()
        await assert_harmless(ada, one)


async def test_hostile_addresses(served: Served, sit: Sit) -> None:
    await fill(served, report("one", "beacon"))
    ada = await sit("ada")
    ada.allowed |= {400, 404, 422}
    for text in (*TEXTS, *IDS):
        for place in ("#/queue?q=", "#/queue?t=", "#/overdue?q=", "#/", "#/queue?"):
            await ada.page.evaluate(
                "([place, text]) => { location.hash = place + encodeURIComponent(text); }",
                [place, text[:3000]],
            )
        await expect(ada.page.locator("main")).not_to_be_empty()
        await assert_harmless(ada, text[:80])
    await ada.go("#/queue?q=constructor:a __proto__:b toString:c holder:toString -constructor:d")
    await expect(ada.page.locator(".filter-bar")).to_be_visible()
    await ada.go("#/queue")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(1)


async def test_what_analysts_write_and_are_called(served: Served, sit: Sit) -> None:
    p = served.tenant.periscope
    await fill(served, report("one", "beacon"))
    for at, text in enumerate(TEXTS):
        who = text[:100].encode()[:120].decode(errors="ignore").strip() or "-"
        if all(one.isprintable() for one in who):
            await p.record_interaction("one", who, "view")
        await p.comment("one", f"analyst-{at}", text[:4000])
    ada = await sit("ada", viewport={"width": 1440, "height": 2400})
    await ada.go("#/queue?t=one")
    await expect(ada.page.locator(".history li").first).to_be_visible()
    await expect(ada.page.locator("[data-part=desk] table")).to_be_visible()
    await assert_harmless(ada, "history")
    peek = ada.page.locator(".peek")
    assert await peek.evaluate("(one) => one.scrollWidth <= one.clientWidth")


WHERE = (
    "#/feeds",
    "#/suppressions",
    "#/suppressions?tab=aside",
    "#/suppressions?tab=lists",
    "#/audit",
    "#/admin?part=keys",
    "#/admin?part=accounts",
    "#/admin?part=service",
    "#/admin?part=settings",
    "#/admin?part=constructor",
    "#/knowledge",
    "#/knowledge?level=3",
    "#/knowledge?level=toString",
    "#/knowledge?part=departed",
    "#/dashboard",
    "#/dashboard?for=__proto__",
    "#/overdue",
)


async def test_what_others_name_things(served: Served, sit: Sit) -> None:
    made = await name_things(served)
    assert min(made.values()) > 10, made
    root = await sit("root", "admin", viewport={"width": 1440, "height": 900})
    await expect(root.page.locator(".row[data-id]").first).to_be_visible()
    for where in WHERE:
        await root.go(where)
        await expect(root.page.locator("main")).not_to_be_empty()
        await expect(root.page.locator('main .empty[aria-busy="true"]')).to_have_count(0)
        await expect(root.page.get_by_text("Reading…")).to_have_count(0)
        await assert_harmless(root, where)
    await root.go("#/queue")
    await expect(root.page.locator(".row[data-id]").first).to_be_visible()
    await root.press("v")
    views = root.page.locator("dialog[data-name=views]")
    await expect(views).to_contain_text("<script>window.__ran=1</script>")
    await assert_harmless(root, "views")
    assert await views.evaluate("(one) => one.scrollWidth <= one.clientWidth")


async def name_things(served: Served) -> dict[str, int]:
    """Give everything that has a name or a reason each of the texts; how many were taken."""
    made = dict.fromkeys(("keys", "views", "rules", "removed", "known"), 0)
    p = served.tenant.periscope
    archive = await p.open_archive()
    for at, text in enumerate(TEXTS):
        short = text[:70]
        name = {"name": short, "scopes": ["read"]}
        view = {"name": short, "query": f'"{short}"'[:100], "shared": True}
        where = [{"field": "source", "op": "=", "value": text[:100]}, "severity<=LOW"]
        rule = {"where": where, "reason": text[:400], "for_s": 3600}
        for kind, path, body in (
            ("keys", "/v1/keys", name),
            ("views", "/v1/views", view),
            ("rules", "/v1/suppressions", rule),
        ):
            answer = await served.admin.post(path, json=body)
            assert answer.status_code in (201, 422), answer.text
            made[kind] += answer.status_code == 201
        await fill(served, report(f"gone-{at}", text, source="x"), report(f"text-{at}", text))
        await p.remove(archive, f"gone-{at}", f"analyst-{at}", text[:1000])
        made["removed"] += 1
        if at % 3 == 0:
            await fill(served, report(f"known-{at}", text, source="known"))
            await to_level_two(served, f"known-{at}")
            made["known"] += 1
    return made


async def test_texts_as_the_page_makes_them(served: Served, sit: Sit) -> None:
    ada = await sit("ada")
    made = await ada.page.evaluate(
        """async (given) => {
          const base = document.querySelector('script[type=module]').src.replace("main.js", "");
          const text = await import(`${base}core/text.js`);
          const at = performance.now();
          for (let n = 0; n < 200; n += 1) text.line(given.long);
          const took = (performance.now() - at) / 200;
          return {
            took,
            family: text.shown(given.family),
            piled: text.line(given.piled).length,
            lone: text.shown("a\\ud800b"),
            cut: text.shown("ab\\u{1f600}c", 3),
            odd: given.odd.map((one) => text.line(one)),
            turned: text.quote("\\u05d0\\u05d1 1"),
            plain: text.quote("a-1"),
            fanged: text.defanged("http://a.b\\u3002c@d"),
          };
        }""",
        {
            "family": FAMILY + " a\u200db \u26a0\ufe0f x\ufe0f",
            "long": LONG,
            "piled": "z" + "\u0335" * 500,
            "odd": list(ODD),
        },
    )
    assert made.pop("took") < 5
    assert all(isinstance(one, str) for one in made.pop("odd"))
    assert made == {
        "family": f"{FAMILY} a‹200D›b \u26a0\ufe0f x‹FE0F›",
        "piled": 1 + 4 + len("‹+295›…"),
        "lone": "a\ufffdb",
        "cut": "ab\ufffd…",
        "turned": "\u2068\u05d0\u05d1 1\u2069",
        "plain": "a-1",
        "fanged": "hxxp://a[.]b[.]c[@]d",
    }


async def test_what_stands_in_the_browsers_storage_breaks_nothing(served: Served, sit: Sit) -> None:
    """Another version may have left it, or somebody's hand."""
    await fill(served, report("one", "One"))
    ada = await sit("ada")
    await expect(ada.page.locator(".row[data-id]")).to_have_count(1)
    kept = await ada.page.evaluate("() => Object.keys(localStorage)")
    assert {"periscope.theme", "periscope.letters", "periscope.parts"} <= set(kept)
    for value in ('{"toString": 1}', "7", "[]", "null", "<img src=x>", '"neon"'):
        await ada.page.evaluate(
            "([keys, value]) => { for (const key of keys) localStorage.setItem(key, value); }",
            [kept, value],
        )
        await ada.page.reload()
        await expect(ada.page.locator(".row[data-id]")).to_have_count(1)
        await ada.press("Enter", "t")
        await expect(ada.page.locator(".peek h2")).to_have_text("One")
