"""What was backed up is there again: key for key, row for row."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from periscope import Periscope
from periscope.archive import Archive
from periscope.backup import Progress, backup, restore
from periscope.backup.reader import BackupReader
from periscope.calls import Calls
from tests.backup.conftest import SNOOZE, Home
from tests.conftest import assert_only_known_keys
from tests.rules.scene import START_MS, add, ids_of, pass_time

READ = {
    b"string": ("GET",),
    b"hash": ("HGETALL",),
    b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    b"stream": ("XRANGE", "-", "+"),
}


async def dumped(url: str) -> dict[bytes, tuple[Any, int, Any]]:
    """Every key of the namespace: what it holds, when it ends, a stream's last id.

    Not as dumped bytes: the order of a large hash is not the same in two servers.
    """
    async with Redis.from_url(url, protocol=2) as client:
        found = {}
        async for name in client.scan_iter("{periscope:*", count=1000):
            kind = await client.execute_command("TYPE", name)
            verb, *rest = READ[kind]
            held = await client.execute_command(verb, name, *rest)
            stream = await client.xinfo_stream(name) if kind == b"stream" else {}
            ends_ms = await client.execute_command("PEXPIRETIME", name)
            found[name] = (held, ends_ms, stream.get("last-generated-id"))
        return found


async def exported(archive: Archive) -> list[dict[str, Any]]:
    return [row async for row in archive.export()]


async def test_everything_comes_back(
    lively: Periscope, archive: Archive, empty: Home, tmp_path: Path
) -> None:
    before, rows = await dumped(str(lively.settings.url)), await exported(archive)
    ledger = await lively.get_ledger(deep=True, archive=archive)
    assert ledger.balanced
    assert min(ledger.level_1, ledger.level_2, ledger.departed, ledger.removed) > 0
    progress = Progress()
    taken = await backup(lively, archive, tmp_path / "all.backup", progress=progress)
    assert (taken.threats, taken.keys) == (ledger.in_levels, len(before))
    assert taken.rows == len(rows) - 2
    assert stat.S_IMODE(taken.path.stat().st_mode) == 0o600
    assert sorted(tmp_path.glob("all*")) == [taken.path]

    restored = await restore(empty.settings(), empty.archive, taken.path, progress=progress)
    assert restored.ledger == ledger
    assert (restored.keys, restored.rows) == (taken.keys, taken.rows)
    assert await exported(empty.archive) == rows
    assert empty.archive.identity == archive.identity
    assert await dumped(empty.url) == before


async def test_what_was_restored_works_on(
    lively: Periscope, archive: Archive, empty: Home, tmp_path: Path
) -> None:
    page = await lively.get_active_paginated(count=50)
    desk = await lively.get_desk("claimed")
    taken = await backup(lively, archive, tmp_path / "b")
    await restore(empty.settings(), empty.archive, taken.path)
    async with empty.open() as p:
        p.functions.now_ms = lively.functions.now_ms
        again = await p.get_active_paginated(count=50)
        assert ids_of(again) == ids_of(page)
        # Cursors are signed with the secret, which came along.
        rest = await p.get_active_paginated(page.next_cursor, count=50)
        assert ids_of(rest) == ids_of(await lively.get_active_paginated(page.next_cursor, count=50))
        assert await p.get_desk("claimed") == desk
        assert await p.get_policy() == await lively.get_policy()
        assert str(await p.add_threat("new 449", "x", "LOW")) == "suppressed"
        decided = await p.decide("new 1", "bob", "benign_expected", note="ours", request_id="r1")
        assert decided.revision == (await p.get_threat("new 1")).revision  # type: ignore[union-attr]
        await p.sweep(empty.archive)
        pass_time(p, SNOOZE // timedelta(milliseconds=1))
        assert (await p.wake_snoozed_threats()).woken_ids == ["new 30"]
        assert ids_of(await p.get_by_status("snoozed")) == ["new 31"]
        assert await p.archive_audit(empty.archive) > 0
        assert (await p.get_ledger(deep=True, archive=empty.archive)).balanced
        await assert_only_known_keys(p)


@pytest.mark.parametrize("departed", [True, False])
async def test_a_departure_under_way_is_settled(
    periscope: Periscope, archive: Archive, empty: Home, tmp_path: Path, departed: bool
) -> None:
    """A worker was killed between archive and store, or between store and archive."""
    await add(periscope, "stays", "leaves")
    periscope.functions.now_ms = START_MS

    async def killed(*_: Any, **__: Any) -> Any:
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        whose, name = (Archive, "confirm") if departed else (Calls, "depart")
        patch.setattr(whose, name, killed)
        with pytest.raises(SystemExit):
            await periscope.remove(archive, "leaves", "ann")
    taken = await backup(periscope, archive, tmp_path / "b")
    restored = await restore(empty.settings(), empty.archive, taken.path)
    assert restored.ledger.balanced
    assert restored.ledger.removed == departed
    assert restored.ledger.in_levels == 2 - departed
    assert await empty.archive.pending() == []
    await periscope.resolve_departures(archive)


async def test_remembered_replies_keep_their_end(
    periscope: Periscope, archive: Archive, empty: Home, tmp_path: Path
) -> None:
    await add(periscope, "a")
    taken = await backup(periscope, archive, tmp_path / "b")
    await restore(empty.settings(), empty.archive, taken.path)
    before, after = await dumped(str(periscope.settings.url)), await dumped(empty.url)
    replies = [name for name in after if b":reply:" in name]
    assert replies
    assert all(after[name][1] == before[name][1] > 0 for name in replies)


async def test_an_empty_database(periscope: Periscope, archive: Archive, empty: Home) -> None:
    path = Path(archive.shown).with_name("b")
    taken = await backup(periscope, archive, path)
    assert (taken.threats, taken.rows) == (0, 0)
    restored = await restore(empty.settings(), empty.archive, path)
    assert restored.ledger.received == 0
    with BackupReader(path) as reader:
        assert reader.verify(Progress()) == sum(1 for _ in reader.records())
