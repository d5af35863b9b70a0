"""The dashboard: its numbers are the store's, and each leads to the list that it counts."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from playwright.async_api import Locator, Page, Route, expect

from periscope import Periscope
from periscope.access import Limits
from periscope.models import Status
from periscope.timeline import EVERY_MS
from periscope.timeline.samples import Sample, keep_sample, minute_of, sample_of
from tests.api.conftest import Served
from tests.browser.conftest import Sit
from tests.browser.seat import Seat
from tests.conftest import OpenHere

HISTORY = 20  # minutes
KNOWN_OF_SENSOR = "#/knowledge?level=2&q=source%3A%22sensor+a%22"
ROWS = ".row[data-id]"
IMPORTS = (
    "(name) => import(document.querySelector('script[type=module]').src.replace('main.js', name))"
)


async def fill(p: Periscope) -> None:
    """Twenty threats: some looked at, three decided, one dismissed, one snoozed."""
    severities = ["CRITICAL"] + ["HIGH"] * 5 + ["MEDIUM"] * 6 + ["LOW"] * 8
    reports = [
        {
            "threat_id": f"t-{number:02d}",
            "content": f"Report {number}",
            "severity": severity,
            "source": "sensor a" if number % 2 else "kev",
        }
        for number, severity in enumerate(severities)
    ]
    await p.add_threats_batch([*reports, *reports[:3]])  # and three duplicates
    for threat_id, action in (("t-02", "escalate"), ("t-07", "view"), ("t-13", "dismiss")):
        await p.record_interaction(threat_id, "ann", action)
    await p.decide("t-01", "ann", "true_positive_impact")
    await p.decide("t-03", "ann", "false_positive_logic")
    await p.decide("t-08", "ann", "benign_expected")
    await p.decide("t-09", "ben", "inconclusive")


async def keep_history(p: Periscope, minutes: int = HISTORY) -> None:
    """Samples of the last minutes, as if the queue had filled by one LOW threat a minute."""
    last = sample_of(await p.get_stats())
    for ago in range(minutes, 0, -1):
        at_ms = minute_of(last.at_ms) - ago * EVERY_MS + 5
        low = last.open["LOW"] + 100 - ago
        await keep_sample(
            p.functions,
            p.settings.namespace,
            Sample(
                *(at_ms, {**last.open, "LOW": low}, last.unseen),
                *(last.level_1 + 100 - ago, last.level_2, last.level_3),
                *(last.received + 100 - ago, last.departed),
            ),
        )


@pytest.fixture
async def lived(open_here: OpenHere, serve: Any) -> Served:
    """A service with threats, and a timeline of twenty minutes."""
    async with open_here() as p:
        await fill(p)
        await keep_history(p)
    started: Served = await serve()
    return started


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


async def sit_at_it(sit: Sit, at: Served, where: str = "#/dashboard", **options: Any) -> Seat:
    ada = await sit("ada", at=at, **options)
    await ada.go(where)
    await expect(card(ada.page, "Levels").locator(".funnel")).to_be_visible()
    return ada


async def lands_on(ada: Seat, link: Locator, many: int, *, by_key: bool = False) -> None:
    """A number that is a link says as many as the list has that it leads to; then back."""
    assert re.search(rf"(?<!\d){many}(?!\d)", await link.inner_text()), await link.inner_text()
    if by_key:
        await link.focus()
        await ada.press("Enter")
    else:
        await link.click()
    await expect(ada.page.locator(".board")).to_be_visible()
    await expect(ada.page.locator(ROWS)).to_have_count(many)
    await ada.page.go_back()
    await expect(card(ada.page, "Levels").locator(".funnel")).to_be_visible()


async def test_the_numbers_are_those_of_the_store_and_lead_to_their_lists(
    lived: Served, sit: Sit
) -> None:
    stats = await lived.tenant.periscope.get_stats()
    board = (await lived.admin.get("/v1/board")).json()
    open_now = stats.counts[Status.OPEN.value]
    ada = await sit_at_it(sit, lived)
    page = ada.page
    scores = card(page, "Scores of what is open").locator(".bars a b")
    # Scores fall, so they are compared at once, and where none passes a bound for minutes.
    await expect(scores).to_have_text([str(one) for one in board["scores"]])
    await lands_on(ada, scores.nth(2), board["scores"][2])
    chart = card(page, "Queue by severity")
    for severity in ("CRITICAL", "HIGH", "MEDIUM", "LOW"):
        link = chart.get_by_role("link", name=severity.lower())
        await lands_on(ada, link, open_now[severity], by_key=severity == "HIGH")
    levels = card(page, "Levels")
    await lands_on(ada, levels.locator("p a").nth(0), stats.queue)
    await lands_on(ada, levels.locator("p a").nth(1), 1)  # dismissed
    await lands_on(ada, levels.locator("p a").nth(3), 3)  # closed
    short_term = levels.get_by_role("link", name=str(stats.ledger.level_2), exact=True).last
    await expect(short_term).to_have_attribute("href", "#/knowledge?level=2")
    oldest = card(page, "Oldest unseen")
    unseen = [int(one) for one in await oldest.locator("tbody td:nth-child(4)").all_inner_texts()]
    assert unseen == [board["unseen"][one] for one in ("CRITICAL", "HIGH", "MEDIUM", "LOW")]
    await oldest.get_by_role("row", name="critical").locator("a").first.click()
    await ada.until_ids(["t-00"])  # the one that waits longest, by when it was first seen
    await page.go_back()
    ledger = card(page, "Ledger")
    await expect(ledger).to_contain_text("It balances")
    assert await ledger.locator("dl").first.locator("dd").all_inner_texts() == [
        *("23", "20", "0", "3", "0", "0")
    ]
    await expect(card(page, "Store")).to_contain_text("It takes changes.")
    await expect(card(page, "Store")).to_contain_text(lived.tenant.periscope.server.durability)


async def test_key_figures_are_those_of_the_time_that_is_asked_for(lived: Served, sit: Sit) -> None:
    told = (await lived.admin.get("/v1/kpis", params={"for_s": 3600})).json()
    ada = await sit_at_it(sit, lived, "#/dashboard?for=1h")
    times = card(ada.page, "Time to …").get_by_role("row", name="All")
    await expect(times).to_be_visible()
    shown = await times.locator("td").all_inner_texts()
    names = ("triage", "acknowledge", "decide")
    wanted = [told["times"][name]["ALL"]["count"] for name in names]
    assert [int(one.split()[-1]) for one in shown[:3]] == wanted == [3, 7, 4]
    by_source = {one["source"]: one for one in told["sources"]}
    rows = card(ada.page, "Outcomes by source").locator("tbody tr")
    await expect(rows).to_have_count(2)
    for row in await rows.all():
        name = await row.locator("th").inner_text()
        decided, true, wrong, neither = (
            int(one) for one in (await row.locator("td").all_inner_texts())[:4]
        )
        one = by_source[name]
        assert (decided, true, neither) == (one["decided"], one["true_positives"], one["neither"])
        assert wrong == decided - true - neither
    sensor = rows.filter(has_text="sensor a").locator("td a")  # the others have no list
    await expect(sensor).to_have_text(["1"])
    await expect(sensor).to_have_attribute("href", KNOWN_OF_SENSOR)
    assert await times.evaluate("(row) => getComputedStyle(row.closest('table')).display") == (
        "table"
    )
    await expect(ada.page.get_by_label("the last hour")).to_be_checked()
    await ada.press("4")
    await expect(ada.page).to_have_url(re.compile(r"#/dashboard\?for=7d$"))
    await expect(card(ada.page, "In and out, per minute")).to_contain_text("By the hour.")
    await ada.page.get_by_label("the last 6 hours").focus()
    await ada.press("ArrowRight")
    await expect(ada.page).to_have_url(re.compile(r"#/dashboard$"))


async def ink(chart: Locator) -> str:
    """What is drawn, as data."""
    return str(await chart.locator("canvas").evaluate("(one) => one.toDataURL()"))


async def test_charts_follow_theme_and_width_and_can_be_read_as_tables(
    lived: Served, sit: Sit
) -> None:
    ada = await sit_at_it(sit, lived, "#/dashboard?for=1h", color_scheme="light")
    page = ada.page
    chart = card(page, "Queue by severity")
    await expect(chart.locator("canvas")).to_be_visible()
    light = await ink(chart)
    await ada.press("t", "t")  # as the system, light, dark
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    for _ in range(50):
        if await ink(chart) != light:
            break
        await page.evaluate("() => new Promise(requestAnimationFrame)")
    assert await ink(chart) != light
    await chart.get_by_text("Table").click()
    rows = chart.get_by_role("region", name="Table of").locator("tbody tr")
    await expect(rows.nth(HISTORY)).to_be_visible()  # one more where a minute began meanwhile
    assert "106" in await rows.locator("td:last-child").all_inner_texts()  # of a minute ago
    flow = card(page, "In and out, per minute")
    await flow.get_by_text("Table").click()
    cells = flow.locator("tbody tr").nth(5).locator("td")
    await expect(cells).to_have_text(["1.0", "0.0"])
    for width in (1024, 390):
        await page.set_viewport_size({"width": width, "height": 800})
        await expect(chart.locator(".uplot")).to_have_css("width", re.compile(r"^\d+px$"))
        await page.wait_for_function(
            "() => [...document.querySelectorAll('.plot')].every((one) =>"
            " one.firstElementChild.clientWidth === one.clientWidth)"
            " && document.getElementById('main').scrollWidth <= innerWidth"
            " && document.documentElement.scrollWidth <= innerWidth"
        )
    await ada.press("g", "q")
    await expect(page.locator(".uplot")).to_have_count(0)


async def test_what_is_late_is_told_by_a_sign_and_by_how_much(served: Served, sit: Sit) -> None:
    p = served.tenant.periscope
    rules = await p.get_policy()
    await p.set_policy(msgspec.structs.replace(rules, target_critical=timedelta(milliseconds=1)))
    late = {"threat_id": "late", "content": "beacon", "severity": "CRITICAL"}
    await p.add_threats_batch([late, {**late, "threat_id": "early", "severity": "LOW"}])
    ada = await sit("ada")
    age = ".age"
    await expect(ada.row("late").locator(age)).to_contain_text("!")
    await expect(ada.row("early").locator(age)).not_to_contain_text("!")
    await ada.go("#/overdue")
    await expect(ada.page.get_by_role("columnheader", name="Late by")).to_be_visible()
    await expect(ada.row("late").locator(age)).to_have_text(re.compile(r"^\+\d+ s! overdue$"))
    await ada.go("#/dashboard")
    wait = card(ada.page, "Oldest unseen").get_by_role("row", name="critical").locator(age)
    await expect(wait).to_contain_text("!")
    colour = "(one) => getComputedStyle(one).color"
    assert await wait.evaluate(colour) == await wait.locator("circle").last.evaluate(
        "(one) => getComputedStyle(one).stroke"
    )


async def test_an_empty_database_says_when_there_will_be_something(
    served: Served, sit: Sit
) -> None:
    ada = await sit_at_it(sit, served)
    await expect(card(ada.page, "Queue by severity")).to_contain_text("One is kept every minute")
    flow = card(ada.page, "In and out, per minute")
    await expect(flow).to_contain_text("the next at")
    await keep_history(served.tenant.periscope, 1)  # two samples are one flow: no line yet
    await ada.press("r")
    await expect(flow).to_contain_text("Too few samples")
    await expect(card(ada.page, "Oldest unseen").get_by_role("row", name="high")).to_contain_text(
        "none"
    )
    await expect(card(ada.page, "Outcomes by source")).to_contain_text("Nothing was decided")
    await expect(card(ada.page, "Ledger")).to_contain_text("It balances")


async def test_what_happens_is_shown_without_asking_more_than_every_five_seconds(
    served: Served, sit: Sit
) -> None:
    ada = await sit_at_it(sit, served)
    asked: list[tuple[str, float]] = []
    ada.page.on("request", lambda one: asked.append((one.url, time.monotonic())))
    await served.tenant.periscope.add_threats_batch(
        [{"threat_id": f"n-{n}", "content": "new", "severity": "HIGH"} for n in range(7)]
    )
    await expect(card(ada.page, "Levels").locator("p a").first).to_have_text("7", timeout=12_000)
    await served.tenant.periscope.decide("n-1", "ann", "benign_expected")
    await expect(card(ada.page, "Levels").locator("p a").first).to_have_text("6", timeout=12_000)
    moments = [at for url, at in asked if url.endswith("/v1/stats")]
    assert len(moments) >= 2
    assert all(b - a > 4.5 for a, b in pairwise(moments)), moments


async def test_a_card_that_cannot_be_read_says_so_and_others_go_on(
    served: Served, sit: Sit
) -> None:
    ada = await sit("ada")
    await ada.page.route("**/v1/board", lambda route: route.abort())
    await ada.go("#/dashboard")
    scores = card(ada.page, "Scores of what is open")
    await expect(scores.get_by_role("alert")).to_contain_text("cannot be reached")
    await expect(card(ada.page, "Ledger")).to_contain_text("It balances")
    await ada.page.unroute("**/v1/board")
    await scores.get_by_role("button", name="Try again").click()
    await expect(scores.locator(".bars a")).to_have_count(10)


async def test_whoever_is_limited_is_told_why_there_is_nothing(served: Served, sit: Sit) -> None:
    limited = await served.key("read", limits=Limits(("siem",)))

    async def as_limited(route: Route) -> None:
        """Have the API's answer to a limited key, to what the page asks."""
        answer = await limited.get(route.request.url)
        await route.fulfill(status=answer.status_code, body=answer.text)

    ada = await sit("ada")
    ada.allowed.add(403)
    for name in ("stats", "board", "timeline", "kpis"):
        await ada.page.route(f"**/v1/{name}*", as_limited)
    await ada.go("#/dashboard")
    told = card(ada.page, "These figures are not for you")
    await expect(told).to_contain_text("your key is limited to some of them")
    await expect(told.get_by_role("link", name="the queue")).to_be_visible()


async def test_in_less_out_is_what_the_queue_changed_by(served: Served, sit: Sit) -> None:
    ada = await sit("ada")
    sample = """({ at, open, gone = 0, added }) => ({ at_ms: at * 60000, received: added,
        open: { CRITICAL: 0, HIGH: open, MEDIUM: 0, LOW: 0 },
        level_1: added - gone, level_2: 0, level_3: 0, departed: gone })"""
    told = await ada.page.evaluate(
        f"""async () => {{
          const {{ flowLines }} = await ({IMPORTS})("pages/dashboard-cards.js");
          const sample = {sample};
          return flowLines([
            sample({{ at: 10, open: 5, added: 5 }}),
            sample({{ at: 11, open: 8, added: 9 }}),
            sample({{ at: 13, open: 12, added: 11, gone: 3 }}),
            sample({{ at: 20, open: 12, added: 50 }}),
            sample({{ at: 21, open: 10, added: 50 }}),
            sample({{ at: 22, open: 1, added: 1 }}),
          ], 60000);
        }}"""
    )
    # Four came and one was done; then two came and two came back in two minutes; a gap of which
    # nothing is known; two were done; and another database.
    assert told["lines"][0] == [4, 2, None, None, 0, None]
    assert told["lines"][1] == [1, 0, None, None, 2, None]
    # What came within a minute that has just begun is told with the next; hours likewise.
    told = await ada.page.evaluate(
        f"""async () => {{
          const {{ flowLines, kpiLines }} = await ({IMPORTS})("pages/dashboard-cards.js");
          const sample = {sample};
          const hour = (start_ms) => ({{ start_ms, inflow: 120, outflow: 60 }});
          return [
            flowLines([
              sample({{ at: 10.8, open: 5, added: 5 }}),
              sample({{ at: 11, open: 8, added: 8 }}),
              sample({{ at: 12, open: 11, added: 11 }}),
            ], 60000),
            kpiLines({{ bucket_seconds: 3600, since_ms: 3500000, until_ms: 7300000,
              flow: [0, 3600000, 7200000].map(hour) }}),
          ];
        }}"""
    )
    assert [round(one, 6) for one in told[0]["lines"][0]] == [5]
    assert told[1] == {"times": [3_600_000], "lines": [[2], [1]]}


async def test_a_score_below_a_bound_is_asked_for_without_it(served: Served, sit: Sit) -> None:
    ada = await sit("ada")
    told = await ada.page.evaluate(
        f"""async () => {{
          const {{ parse, toParams }} = await ({IMPORTS})("core/query.js");
          const wrong = ["score:0.2..<", "score:<0.3", "score:0..<2"]
            .map((one) => parse(one).problem);
          return [toParams("score:0.2..<0.3"), toParams("score:0.2..0.3"), wrong];
        }}"""
    )
    below, upto, wrong = told
    assert float(below["max_score"]) < 0.3 <= float(below["max_score"]) + 2**-53
    assert (below["min_score"], upto["max_score"]) == ("0.2", "0.3")
    assert all(wrong)
