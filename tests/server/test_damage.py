"""Data files that are cut, changed or missing; and their repair."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from periscope.errors import StoreDamaged, StoreError, StoreUnsuitable
from periscope.server import EmbeddedServer, repair, server_status

from .helpers import client

WRITES = 20
BODY = "x" * 300
LOG = "appendonlydir/appendonly.aof.1.incr.aof"
SNAPSHOT = "appendonlydir/appendonly.aof.1.base.rdb"
MANIFEST = "appendonlydir/appendonly.aof.manifest"


@pytest.fixture
async def written(data_dir: Path) -> Path:
    """A data directory after some transactions, each longer than 300 bytes."""
    server = await EmbeddedServer.join(data_dir, durability="fast")
    async with client(server) as c:
        for number in range(1, WRITES + 1):
            async with c.pipeline(transaction=True) as pipe:
                pipe.set("a", f"{number}{BODY}")
                pipe.set("b", f"{number}{BODY}")
                await pipe.execute()
    await server.leave()
    return data_dir


async def last_write(data_dir: Path) -> int:
    """The number of the last transaction that is there, after checking that it is whole."""
    server = await EmbeddedServer.join(data_dir, durability="fast")
    try:
        async with client(server) as c:
            a, b = await c.mget("a", "b")
            assert a == b, "a torn transaction"
            return int((a or b"0").decode().rstrip("x"))
    finally:
        await server.leave()


async def test_a_cut_tail_costs_the_last_transaction_at_most(
    written: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = (written / LOG).read_bytes()
    for cut in [*range(1, 20), *range(20, 201, 15)]:
        (written / LOG).write_bytes(whole[:-cut])
        assert await last_write(written) == WRITES - 1
    assert "was torn, and is dropped" in caplog.text


def spoil(file: Path, position: int, byte: bytes) -> None:
    content = bytearray(file.read_bytes())
    content[position : position + 1] = byte
    file.write_bytes(content)


@pytest.mark.parametrize("where", ["array", "bulk", "length", "newline", "name"])
async def test_a_changed_byte_is_refused_and_repaired(written: Path, where: str) -> None:
    whole = (written / LOG).read_bytes()
    middle = whole.index(b"*3\r\n$3\r\nSET", len(whole) // 2)
    offset, byte = {
        "array": (0, b"#"),
        "bulk": (4, b"?"),
        "length": (5, b"9"),
        "newline": (3, b"7"),
        "name": (8, b"X"),
    }[where]
    spoil(written / LOG, middle + offset, byte)
    with pytest.raises(StoreDamaged, match="periscope server repair") as refused:
        await EmbeddedServer.join(written)
    assert "\n" not in str(refused.value)
    assert "xxx" not in str(refused.value), "threats' data have no business in a message"
    assert not (await server_status(written)).running

    said = await repair(written)

    assert "cut off" in said
    assert "\n" not in said
    (copy,) = written.glob("appendonlydir.damaged-*")
    assert len((copy / Path(LOG).name).read_bytes()) == len(whole)
    assert WRITES // 2 - 1 <= await last_write(written) < WRITES
    assert "nothing to repair" in await repair(written)


async def test_any_changed_byte_starts_or_is_refused_with_a_remedy(written: Path) -> None:
    whole = (written / LOG).read_bytes()
    dice = random.Random(7)
    for _ in range(20):
        (written / LOG).write_bytes(whole)
        spoil(written / LOG, dice.randrange(len(whole)), dice.randbytes(1))
        try:
            server = await EmbeddedServer.join(written, durability="fast")
        except StoreDamaged:
            await repair(written)
            await last_write(written)
        else:
            await server.leave()


async def test_holes_that_a_full_disk_left_are_closed_without_loss(
    written: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Valkey leaves zero bytes where it took back a half-written command."""
    whole = (written / LOG).read_bytes()
    first = whole.index(b"*1\r\n$5\r\nMULTI", 1000)
    second = whole.index(b"*1\r\n$5\r\nMULTI", 3000)
    parts = [whole[:first], whole[first:second], whole[second:]]
    (written / LOG).write_bytes((b"\0" * 100_000).join(parts) + b"\0" * 7)

    assert await last_write(written) == WRITES

    assert "removed 200007 zero bytes" in caplog.text
    assert (written / LOG).read_bytes().startswith(whole)
    assert not list(written.glob("appendonlydir/temp-*"))


async def test_later_logs_are_cut_too(written: Path) -> None:
    """After damage in an earlier log, changes of a later one would have nothing to stand on."""
    whole = (written / LOG).read_bytes()
    later = written / "appendonlydir/appendonly.aof.2.incr.aof"
    later.write_bytes(whole.replace(b"20x", b"99x"))
    with (written / MANIFEST).open("a") as manifest:
        manifest.write("file appendonly.aof.2.incr.aof seq 2 type i\n")
    spoil(written / LOG, whole.rindex(b"MULTI"), b"m?"[1:])

    await repair(written)

    assert later.read_bytes() == b""
    assert await last_write(written) == WRITES - 1


async def test_a_damaged_snapshot_is_refused(written: Path) -> None:
    spoil(written / SNAPSHOT, 40, b"\xff")
    with pytest.raises(StoreDamaged):
        await EmbeddedServer.join(written)
    assert "restore a backup" in await repair(written)


@pytest.mark.parametrize("content", [b"", b"garbage\n", b"\xff\xfe\n", None])
async def test_a_damaged_manifest_is_refused_and_nothing_is_overwritten(
    written: Path, content: bytes | None
) -> None:
    """Without its manifest, the server itself would start empty and truncate the log."""
    whole = (written / LOG).read_bytes()
    if content is None:
        (written / MANIFEST).unlink()
    else:
        (written / MANIFEST).write_bytes(content)
    with pytest.raises(StoreDamaged):
        await EmbeddedServer.join(written)
    with pytest.raises(StoreDamaged):
        await repair(written)
    assert (written / LOG).read_bytes() == whole


async def test_a_missing_log_is_refused(written: Path) -> None:
    (written / LOG).unlink()
    with pytest.raises(StoreDamaged):
        await EmbeddedServer.join(written)


async def test_a_first_start_that_was_killed_is_no_damage(written: Path) -> None:
    """It leaves an empty snapshot and perhaps an empty log, and no manifest yet."""
    (written / MANIFEST).unlink()
    (written / LOG).write_bytes(b"")
    assert await last_write(written) == 0


async def test_repair_refuses_where_a_server_runs_or_never_ran(data_dir: Path) -> None:
    with pytest.raises(StoreUnsuitable):
        await repair(data_dir)
    server = await EmbeddedServer.join(data_dir)
    with pytest.raises(StoreError, match="runs"):
        await repair(data_dir)
    await server.leave()


async def test_a_log_of_the_server_that_grew_too_long_is_begun_anew(data_dir: Path) -> None:
    server = await EmbeddedServer.join(data_dir)
    await server.leave()
    with (data_dir / "server.log").open("ab") as log:
        log.truncate(11 * 2**20)
    server = await EmbeddedServer.join(data_dir)
    await server.leave()
    assert (data_dir / "server.log").stat().st_size < 2**20
