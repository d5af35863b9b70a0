"""What was done about keys and accounts stands in the audit trail, and is no threat's affair."""

from __future__ import annotations

import json

import pytest

from periscope import (
    AccessInvalid,
    AuditFull,
    LockedOut,
    Periscope,
    Policy,
    Unauthenticated,
)
from periscope.access import Access
from periscope.archive import Archive, AuditEntry
from tests.access.conftest import PASSWORD


def told(entries: list[AuditEntry]) -> list[tuple[str, str, str]]:
    return [
        (one.action, one.analyst_id, json.loads(one.detail)["subject"])
        for one in entries
        if not one.threat_id
    ]


@pytest.mark.usefixtures("quick")
async def test_everything_is_on_record_with_who_did_it(
    periscope: Periscope, access: Access
) -> None:
    assert await access.first_key() is not None
    key, _ = await access.create_key("siem", ["ingest", "read"], by="ann", rate_per_s=5)
    await access.revoke_key(key.prefix, by="bob")
    await access.create_account("carl", PASSWORD, ["read"], by="ann")
    token, _ = await access.sign_in("carl", PASSWORD)
    await access.sign_out(token)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await access.sign_in("carl", "wrong wrong wrong")
    with pytest.raises(LockedOut):
        await access.sign_in("carl", PASSWORD)
    await access.set_password("carl", PASSWORD + "!", by="ann")
    await access.set_scopes("carl", ["admin"], by="ann")
    await access.disable_account("carl", by="bob")
    await access.enable_account("carl", by="bob")
    await access.sign_in_as("dora", ["read"], issuer="https://id.example")
    await access.remark("ann", "set_policy", "policy", {"revision": 7})
    entries = await periscope.get_recent_audit()
    failed = ("failed_sign_in", "periscope", "carl")
    assert told(entries).count(failed) == 5
    assert [one for one in told(entries) if one != failed] == [
        ("create_key", "periscope", "key:first"),
        ("create_key", "ann", "key:siem"),
        ("revoke_key", "bob", "key:siem"),
        ("create_account", "ann", "carl"),
        ("sign_in", "carl", "carl"),
        ("sign_out", "carl", "carl"),
        ("lock_out", "carl", "carl"),
        ("set_password", "ann", "carl"),
        ("set_scopes", "ann", "carl"),
        ("disable_account", "bob", "carl"),
        ("enable_account", "bob", "carl"),
        ("vouched_account", "periscope", "dora"),
        ("sign_in", "dora", "dora"),
        ("set_policy", "ann", "policy"),
    ]
    siem = json.loads(entries[1].detail)
    assert siem == {
        "subject": "key:siem",
        "prefix": key.prefix,
        "scopes": "ingest read",
        "rate_per_s": 5.0,
        "burst": 5,
    }


async def test_the_archive_takes_remarks_and_erasing_leaves_them(
    periscope: Periscope, access: Access, archive: Archive
) -> None:
    """A threat may be called what it likes: what was said of keys is not said of it."""
    for threat_id in ("key:siem", "siem", "periscope"):
        await periscope.add_threat(threat_id, "x", "HIGH")
        await periscope.record_interaction(threat_id, "ann", "view")
    key, _ = await access.create_key("siem", ["ingest"], by="ann")
    assert await periscope.archive_audit(archive) == 4
    await access.revoke_key(key.prefix, by="ann")
    for threat_id in ("key:siem", "siem", "periscope"):
        await periscope.erase(archive, threat_id, "ann")
    await periscope.archive_audit(archive)
    assert await periscope.get_recent_audit() == []
    found = [one for _, one in await archive.audit(limit=1000)][::-1]
    about_none = [one for one in found if not one.threat_id]
    assert [one.action for one in about_none] == ["create_key", "revoke_key"]
    assert not any(one.erased for one in about_none)
    assert (await archive.audit(threat_id="key:siem", limit=9))[-1][1].action == "view"


async def test_a_remark_that_is_sent_twice_is_there_once(
    periscope: Periscope, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = access._calls._call

    async def twice(*given: object) -> object:
        await call(*given)  # type: ignore[arg-type]
        return await call(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(access._calls, "_call", twice)
    await access.remark("ann", "set_policy", "policy")
    assert len(await periscope.get_recent_audit()) == 1


@pytest.mark.parametrize("action", ["", "a b", "Set", "x" * 65, "a\n", "\x1b[2J"])
async def test_no_action_no_remark(periscope: Periscope, access: Access, action: str) -> None:
    with pytest.raises(AccessInvalid):
        await access.remark("ann", action, "x")
    with pytest.raises(AccessInvalid):
        await access.remark("a\nb", "fine", "x")
    with pytest.raises(AccessInvalid):
        await access.remark("ann", "fine", "x", {"much": "y" * 5000})
    assert await periscope.get_recent_audit() == []


async def fill_the_trail(access: Access) -> None:
    for number in range(100):
        await access.remark("ann", "note", f"{number}")


@pytest.mark.usefixtures("quick")
async def test_what_cannot_be_recorded_gives_no_rights_but_takes_them(
    periscope: Periscope, access: Access, archive: Archive
) -> None:
    key, secret = await access.create_key("siem", ["ingest"], by="ann")
    await access.create_account("ann", PASSWORD, ["read"], by="ann")
    await periscope.set_policy(Policy(audit_limit_kb=1))
    with pytest.raises(AuditFull):
        await fill_the_trail(access)
    with pytest.raises(AuditFull):
        await access.create_key("other", ["ingest"], by="ann")
    with pytest.raises(AuditFull):
        await access.create_account("bob", PASSWORD, ["read"], by="ann")
    with pytest.raises(AuditFull):
        await access.set_scopes("ann", ["admin"], by="ann")
    await access.sign_in("ann", PASSWORD)
    with pytest.raises(AuditFull):
        await access.revoke_key(key.prefix, by="ann")
    with pytest.raises(Unauthenticated):
        await access.identify_key(secret)
    assert [one.name for one in await access.keys()] == ["siem"]
    assert [one.scopes for one in await access.accounts()] == [("read",)]
    await periscope.archive_audit(archive)
    await access.revoke_key(key.prefix, by="ann")
    assert told(await periscope.get_recent_audit())[-1] == ("revoke_key", "ann", "key:siem")
