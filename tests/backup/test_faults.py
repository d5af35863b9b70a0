"""What goes wrong: nothing is half done without anyone knowing, and each refusal is one line."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from periscope import Periscope, PeriscopeError, StoreDamaged, UsageError
from periscope.archive import Archive, open_archive
from periscope.backup import BackupError, BackupReader, backup, restore, taking
from periscope.backup.moment import Moment, look
from periscope.backup.records import DIGEST_BYTES, MAGIC
from tests.backup.conftest import Home
from tests.rules.scene import add
from tests.support.servers import ServerProcess

POSITIONS = 60


async def is_untouched(home: Home) -> bool:
    async with Redis.from_url(home.url) as client:
        return await client.dbsize() == 0 and await home.archive.counts() == {}


async def refusal(home: Home, path: Path, **options: object) -> str:
    with pytest.raises(BackupError) as caught:
        await restore(home.settings(**options), home.archive, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_busy_database_is_refused_and_nothing_is_left(
    periscope: Periscope, archive: Archive, tmp_path: Path
) -> None:
    await add(periscope, *(f"t{number}" for number in range(300)))

    async def write() -> None:
        while True:
            await periscope.add_threat("t1", "as first seen", "HIGH")

    writer = asyncio.create_task(write())
    with pytest.raises(BackupError, match="stop what writes"):
        await backup(periscope, archive, tmp_path / "b")
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    assert list(tmp_path.glob("b*")) == []


async def act_duplicate(p: Periscope, _: Archive) -> None:
    assert str(await p.add_threat("a", "as first seen", "HIGH")) == "duplicate"


async def act_claim(p: Periscope, _: Archive) -> None:
    await p.claim("a", "ann")


async def act_comment(p: Periscope, _: Archive) -> None:
    await p.comment("a", "ann", "text")


async def act_trim(p: Periscope, archive: Archive) -> None:
    assert await p.archive_audit(archive) > 0


async def act_remove(p: Periscope, archive: Archive) -> None:
    await p.remove(archive, "b", "ann")


@pytest.mark.parametrize("act", [act_duplicate, act_claim, act_comment, act_trim, act_remove])
async def test_one_write_meanwhile_and_the_copy_is_taken_again(
    periscope: Periscope,
    archive: Archive,
    empty: Home,
    tmp_path: Path,
    act: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await add(periscope, "a", "b")
    await periscope.comment("a", "ann", "before")
    looks = 0

    async def look_and_write(*args: Any) -> Moment:
        nonlocal looks
        looks += 1
        if looks == 2:  # after the first copy
            await act(periscope, archive)
        return await look(*args)

    monkeypatch.setattr(taking, "look", look_and_write)
    taken = await backup(periscope, archive, tmp_path / "b")
    assert looks > 2
    restored = await restore(empty.settings(), empty.archive, taken.path)
    assert restored.ledger == await periscope.get_ledger(deep=True, archive=archive)


@pytest.mark.parametrize("act", [act_remove, act_trim])
async def test_the_archive_may_not_be_ahead_of_the_store(
    periscope: Periscope,
    archive: Archive,
    empty: Home,
    tmp_path: Path,
    act: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await add(periscope, "a", "b")
    export, exports = Archive.export, 0

    async def act_and_export(self: Archive) -> AsyncIterator[dict[str, Any]]:
        nonlocal exports
        exports += 1
        if exports == 1:
            await periscope.comment("a", "ann", "after the store was copied")
            await act(periscope, archive)
        async for row in export(self):
            yield row

    monkeypatch.setattr(Archive, "export", act_and_export)
    taken = await backup(periscope, archive, tmp_path / "b")
    assert exports == 2
    monkeypatch.undo()
    restored = await restore(empty.settings(), empty.archive, taken.path)
    assert restored.ledger == await periscope.get_ledger(deep=True, archive=archive)


async def test_files_that_were_cut_or_altered(small: Path, empty: Home, tmp_path: Path) -> None:
    whole, broken = small.read_bytes(), tmp_path / "broken"
    chosen = random.Random(7).sample(range(len(whole)), POSITIONS)
    edges = [*range(len(MAGIC) + 4), *range(len(whole) - DIGEST_BYTES - 10, len(whole))]
    for position in (*chosen, *edges):
        altered = bytearray(whole)
        altered[position] ^= 1 << position % 8
        for data in (bytes(altered), whole[:position]):
            broken.write_bytes(data)
            await refusal(empty, broken)
    broken.write_bytes(whole + b"\0")
    assert "damaged" in await refusal(empty, broken)
    assert await is_untouched(empty)
    await restore(empty.settings(), empty.archive, small)


async def test_forged_files_with_a_right_checksum(small: Path, empty: Home, tmp_path: Path) -> None:
    """A checksum is no signature: such a file is refused, or what was changed did not matter."""
    body, forged = small.read_bytes()[:-DIGEST_BYTES], tmp_path / "forged"
    refused = 0
    for position in random.Random(8).sample(range(len(MAGIC) + 2, len(body)), POSITIONS):
        data = bytearray(body)
        data[position] ^= 255
        forged.write_bytes(data + blake2b(data, digest_size=DIGEST_BYTES).digest())
        own = await open_archive(tmp_path / f"{position}.db")
        try:
            await restore(empty.settings(), own, forged)
        except PeriscopeError as exc:
            refused += "\n" not in str(exc)
        finally:
            await own.close()
        async with Redis.from_url(empty.url) as client:
            await client.flushall()
    assert refused > POSITIONS // 2


async def test_other_versions_and_things_that_are_no_backup(
    small: Path, empty: Home, tmp_path: Path
) -> None:
    path, whole = tmp_path / "x", small.read_bytes()
    path.write_bytes(MAGIC + b"\0\2" + whole[len(MAGIC) + 2 :])
    assert "newer Periscope (version 2" in await refusal(empty, path)
    path.write_bytes(b"")
    assert "is not a Periscope backup" in await refusal(empty, path)
    assert "Is a directory" in await refusal(empty, tmp_path)
    assert "No such file" in await refusal(empty, tmp_path / "nowhere")
    assert "namespace 'periscope', not of 'soc'" in await refusal(empty, small, namespace="soc")
    assert "leave the setting out" in await refusal(empty, small, partitions=3)
    assert await is_untouched(empty)


async def test_nothing_is_restored_over_something(
    small: Path, empty: Home, archive: Archive
) -> None:
    with pytest.raises(BackupError, match=r"archive .* is not empty"):
        await restore(empty.settings(), archive, small)
    async with Redis.from_url(empty.url) as client:
        assert await client.dbsize() == 0
        await client.set("{periscope:0}:t:x", "y")
        assert "holds keys of namespace" in await refusal(empty, small)
        assert await client.dbsize() == 1
        await client.flushall()
        await client.set("{periscope2:0}:t:x", "y")
    await restore(empty.settings(), empty.archive, small)
    assert "is not empty" in await refusal(empty, small)


async def test_a_server_that_cannot_take_the_keys(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = shutil.which("redis-server")
    if older is None or "TEST_SERVER" in os.environ:
        pytest.skip("needs a Redis beside the Valkey that the tests run on")
    monkeypatch.setattr("tests.support.servers.BINARY", older)
    server = ServerProcess().start()
    archive = await open_archive(tmp_path / "older.db")
    try:
        home = Home(server.url, archive)
        assert "cannot take keys of valkey" in await refusal(home, small)
        assert await is_untouched(home)
    finally:
        await archive.close()
        server.stop()


async def test_a_full_disk_and_places_that_cannot_be_written(
    periscope: Periscope, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BackupError, match=r"cannot write .*nowhere.*No such file"):
        await backup(periscope, archive, tmp_path / "nowhere" / "b")
    with pytest.raises(UsageError, match="is a folder"):
        await backup(periscope, archive, tmp_path)
    code = (
        "import asyncio, resource, signal, sys\n"
        "from periscope import Periscope\n"
        "from periscope.archive import open_archive\n"
        "from periscope.backup import BackupError, backup\n"
        "async def main():\n"
        "    async with Periscope.open(sys.argv[1]) as p:\n"
        "        archive = await open_archive(sys.argv[2])\n"
        "        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "        try:\n"
        "            await backup(p, archive, sys.argv[3])\n"
        "        except BackupError as exc:\n"
        "            print(exc)\n"
        "asyncio.run(main())\n"
    )
    await archive.counts()
    await periscope.adopt_archive(archive)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(periscope.settings.url), archive.shown),
        str(tmp_path / "b"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert b"cannot write" in out
    assert list(tmp_path.glob("b*")) == []


async def test_a_file_that_is_there_stays(
    periscope: Periscope, archive: Archive, tmp_path: Path
) -> None:
    path, part = tmp_path / "b", tmp_path / "b.part"
    path.write_text("precious")
    with pytest.raises(UsageError, match="is there already"):
        await backup(periscope, archive, path)
    assert path.read_text() == "precious"
    part.write_text("left by a killed one")
    await backup(periscope, archive, path, force=True)
    with BackupReader(path):
        assert not part.exists()
    part.write_text("left by a killed one")
    path.unlink()
    with pytest.raises(UsageError, match="another backup is writing it"):
        await backup(periscope, archive, path)
    assert part.exists()


RESTORER = """
import asyncio, os, signal, sys
from periscope import Settings
from periscope.archive import open_archive
from periscope.backup import restore, restoring

async def killed(self):
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    restoring._Filling.control = killed
    archive = await open_archive(sys.argv[2])
    await restore(Settings.load({}, url=sys.argv[1]), archive, sys.argv[3])

asyncio.run(main())
"""


async def test_a_restore_that_was_killed_is_no_database(small: Path, empty: Home) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RESTORER, empty.url, empty.archive.shown, str(small))
    )
    assert await process.wait() == -signal.SIGKILL
    with pytest.raises(StoreDamaged, match="not of the type"):
        await empty.open().start()
    assert "is not empty" in await refusal(empty, small)
