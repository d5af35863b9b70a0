"""Administration in a real browser: keys, accounts, the policy, the service, one's own password."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec.structs import replace
from playwright.async_api import expect

from tests.api.conftest import Served
from tests.api.support import put
from tests.browser.conftest import Sit
from tests.browser.seat import PASSWORD, Seat
from tests.support.nodes import wait_until

OTHER = "another long password"


def field(seat: Seat, name: str) -> Any:
    return seat.page.locator(f'input[name="{name}"]')


async def test_a_key_is_made_used_and_revoked(served: Served, sit: Sit) -> None:
    await put(served, "ours", source="ids")
    await put(served, "theirs", source="edr")
    root = await sit("root", "admin")
    await root.go("#/admin")
    await root.page.get_by_role("button", name="Make a key…").click()
    form = root.page.get_by_role("dialog", name="Make an API key")
    await form.get_by_label("Name").fill("<b>soar</b>")
    await form.get_by_label("act", exact=False).and_(form.get_by_role("checkbox")).first.check()
    await form.get_by_label("Acts for the analyst").fill("soar-bot")
    await form.get_by_label("HIGH", exact=True).check()
    await form.get_by_label("Sources, one a line").fill("ids\nnids")
    await form.get_by_label("Requests a second").fill("50")
    await form.get_by_role("button", name="Make the key").click()
    dialog = root.page.get_by_role("dialog", name="The key's secret")
    secret = await dialog.get_by_label("Secret").input_value()
    await root.press("Escape")
    await expect(dialog.get_by_role("status")).to_contain_text("store it first")
    await dialog.get_by_role("button", name="I have stored it").click()
    await expect(dialog).to_have_count(0)
    assert secret.split("_")[2] not in await root.page.content(), "it is kept nowhere"
    client = served.client(secret)
    found = (await client.get("/v1/threats?fields=threat_id")).json()["items"]
    assert found == [{"threat_id": "ours"}]
    row = root.page.locator("tbody tr").filter(has_text="<b>soar</b>")
    for told in ("read, act", "soar-bot", "ids, nids", "HIGH", "50/s", "in 89 d"):
        await expect(row).to_contain_text(told)
    await row.get_by_role("button", name="Revoke <b>soar</b>").click()
    await root.page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(row).to_have_count(0)

    async def is_refused() -> bool:
        return (await client.get("/v1/session")).status_code == 401

    await wait_until(is_refused, "the key is refused", timeout_s=1.5)
    await root.page.get_by_label("revoked or expired").check()
    await expect(row).to_contain_text("revoked")


async def test_accounts_are_added_changed_and_disabled(served: Served, sit: Sit) -> None:
    root = await sit("root", "admin")
    await root.go("#/admin?part=accounts")
    await root.page.get_by_role("button", name="Add an account…").click()
    form = root.page.get_by_role("dialog", name="Add an account")
    await form.get_by_label("Name").fill("mia")
    await form.get_by_label("Password").fill(PASSWORD)
    await form.get_by_role("button", name="Add", exact=True).click()
    row = root.page.locator("tbody tr").filter(has_text="mia")
    await expect(row).to_contain_text("read, act")
    mia = await sit("mia")
    for name in ("Audit", "Admin"):
        await expect(mia.page.get_by_role("link", name=name)).to_have_count(0)
    await root.page.get_by_role("button", name="Scopes: mia").click()
    await root.page.get_by_role("dialog").get_by_role("checkbox").nth(2).uncheck()
    await root.page.get_by_role("button", name="Give these").click()
    await expect(row.locator("td").nth(1)).to_have_text("read")
    again = mia.page.get_by_role("dialog", name="Your session has ended")
    await expect(again).to_be_visible(timeout=10_000)
    await again.get_by_label("Password").fill(PASSWORD)
    await mia.press("Enter")
    await expect(again).to_have_count(0)
    await root.page.get_by_role("button", name="Disable: mia").click()
    await root.page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    await expect(row).to_contain_text("disabled")
    await expect(again).to_be_visible(timeout=10_000)
    await root.page.get_by_role("button", name="Enable: mia").click()
    await expect(row).to_contain_text("by password")


async def test_ones_own_password(served: Served, sit: Sit) -> None:
    eve = await sit("eve", "read")
    eve.allowed.add(422)
    await eve.page.get_by_role("link", name="eve").click()
    await eve.page.get_by_label("The password that you have").fill("not this one, no")
    await eve.page.get_by_label("The new one, 12").fill(OTHER)
    again = eve.page.get_by_label("The new one again")
    await again.fill("something else entirely")
    await expect(eve.page.get_by_text("The two are not the same.")).to_be_visible()
    await again.fill(OTHER)
    await eve.press("Enter")
    await expect(eve.page.get_by_text("this is not the old password")).to_be_visible()
    await eve.page.get_by_label("The password that you have").fill(PASSWORD)
    await eve.press("Enter")
    dialog = eve.page.get_by_role("dialog", name="Your session has ended")
    await dialog.get_by_label("Password").fill(OTHER)
    await eve.press("Enter")
    await expect(dialog).to_have_count(0)
    assert await eve.page.evaluate("fetch('/v1/session').then((one) => one.status)") == 200


async def test_the_policy_is_changed_though_others_change_it(served: Served, sit: Sit) -> None:
    p = served.tenant.periscope
    root = await sit("root", "admin")
    root.allowed.add(412)
    await root.go("#/admin?part=policy")
    await expect(field(root, "target_high_ms")).to_have_value("1 h")
    await expect(root.page.get_by_text("default 30 min · time")).to_be_visible()
    await expect(field(root, "interactions_cap")).not_to_be_editable()
    save = root.page.get_by_role("button", name="Look at the changes…")
    await field(root, "target_high_ms").fill("soon")
    await expect(root.page.get_by_text("a time, as 15 min or 1 h 30 min")).to_be_visible()
    await expect(save).to_be_disabled()
    await field(root, "target_high_ms").fill("90 m")
    await field(root, "severity_low").fill("0.15")
    await expect(root.page.get_by_text("2 changed")).to_be_visible()
    before = await p.get_policy()
    theirs = replace(before, target_high=timedelta(hours=2), decay_floor=0.25)
    await p.set_policy(theirs)
    await save.click()
    review = root.page.get_by_role("dialog", name="Change the policy for everybody")
    await expect(review.locator("tbody tr")).to_have_count(2)
    await expect(review).to_contain_text("1 h 30 min")
    await review.get_by_role("button", name="Put in force").click()
    conflict = root.page.get_by_role("dialog", name="Somebody else changed the policy")
    clash = conflict.locator('tr[data-clash="true"]')
    await expect(clash).to_have_text("Response targets, since first seen: HIGH1 h2 h1 h 30 min")
    await expect(conflict.locator("tbody tr")).to_have_count(3)
    assert await p.get_policy() == theirs, "nothing was overwritten"
    await conflict.get_by_role("button", name="Put mine on top of theirs…").click()
    await expect(review).to_contain_text("2 h")
    await review.get_by_role("button", name="Put in force").click()
    await expect(root.page.get_by_text("Nothing is changed.")).to_be_visible()
    wanted = replace(theirs, target_high=timedelta(minutes=90), severity_low=0.15)
    assert await p.get_policy() == wanted


async def test_the_service_and_its_ledger(served: Served, sit: Sit) -> None:
    await put(served, "t")
    for analyst in ("ann", "zoe", "carl"):
        for action in ("escalate", "investigate"):
            await served.tenant.periscope.record_interaction("t", analyst, action)
    root = await sit("root", "admin", viewport={"width": 390, "height": 800})
    await root.go("#/admin?part=service")
    await expect(root.page.get_by_text("takes changes")).to_be_visible()
    await root.page.get_by_role("button", name="Promote now").click()
    await expect(root.page.get_by_text("1 promoted, 0 failed.")).to_be_visible()
    await root.page.get_by_role("button", name="Recount everything…").click()
    await root.page.get_by_role("dialog").get_by_role("button", name="Recount").click()
    await expect(root.page.get_by_text("Recounted: 1 records.")).to_be_visible()
    for part in ("keys", "accounts", "policy", "service", "settings"):
        await root.go(f"#/admin?part={part}")
        await expect(root.page.locator(".card").first).to_be_visible()
        assert await root.page.evaluate("document.documentElement.scrollWidth") <= 390, part
    setting = root.page.locator("tbody tr").filter(has_text="PERISCOPE_URL")
    await expect(setting).to_contain_text("hidden")
    assert served.secret not in await root.page.content()
