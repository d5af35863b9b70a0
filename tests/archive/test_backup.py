"""Out of one archive, into an empty one: equal, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from periscope.archive import Archive, open_archive
from periscope.errors import ArchiveError
from tests.archive.samples import NASTY, act, depart, departure


async def fill(archive: Archive) -> None:
    await depart(archive, *(departure(f"t{n}") for n in range(1200)), departure(NASTY, note=NASTY))
    await depart(archive, departure("whole", confidence=1.0, departed_at_ms=1), batch_id="old")
    await archive.retain(2)
    await archive.write_audit([act(n, detail=NASTY) for n in range(20)])
    await archive.erase("t5")
    await archive.prepare("p", 4, [departure("u"), departure("v")])


async def exported(archive: Archive) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(row)) async for row in archive.export()]


async def test_an_archive_moves_whole_into_either_dialect(
    archive: Archive, place: str, tmp_path: Path
) -> None:
    await fill(archive)
    rows = await exported(archive)
    copy = await open_archive(tmp_path / "copy.db")
    await copy.restore(rows)
    assert copy.identity == archive.identity
    assert await exported(copy) == rows
    assert await copy.history(limit=5000) == await archive.history(limit=5000)
    assert await copy.pending() == await archive.pending()
    assert await copy.confirm("p", [True, False]) == 1
    assert await copy.confirm("b", [True] * 1201) == 1201
    assert await copy.counts() == {"expired_seen": 1203}
    await copy.close()


async def test_an_archive_is_restored_into_either_dialect(archive: Archive, tmp_path: Path) -> None:
    original = await open_archive(tmp_path / "original.db")
    await fill(original)
    rows = await exported(original)

    async def stream() -> Any:
        for row in rows:
            yield row

    await archive.restore(stream())
    assert await exported(archive) == rows
    await depart(archive, departure("later"), batch_id="later")
    (number, newest), (before, _) = await archive.history(limit=2)
    assert newest.threat_id == "later"
    assert number > before
    await original.close()


async def test_an_export_is_of_one_instant(archive: Archive) -> None:
    await depart(archive, *(departure(f"t{n}") for n in range(600)))
    seen: list[dict[str, Any]] = []
    async for row in archive.export():
        if not seen:
            await depart(archive, departure("later"), batch_id="later")
        seen.append(row)
    assert seen[-1] == {"table": "end", "rows": 1 + 1 + 600}
    assert len(seen) == seen[-1]["rows"] + 2


@pytest.mark.parametrize("damage", ["cut", "lost", "base64", "type", "table", "newer", "none"])
async def test_a_damaged_backup_changes_nothing(
    archive: Archive, tmp_path: Path, damage: str
) -> None:
    original = await open_archive(tmp_path / "original.db")
    await depart(original, *(departure(f"t{n}") for n in range(3)))
    rows = await exported(original)
    await original.close()
    identity = archive.identity
    match damage:
        case "cut":
            del rows[-1]
        case "lost":
            del rows[-2]
        case "base64":
            rows[-2]["record"] = "*"
        case "type":
            rows[-2]["views"] = "1"
        case "table":
            rows[-2]["table"] = "meta"
        case "newer":
            rows[0]["schema"] = 99
        case "none":
            rows.clear()
    with pytest.raises(ArchiveError, match=r"^archive: .*backup"):
        await archive.restore(rows)
    assert archive.identity == identity
    assert await archive.counts() == {}
    await depart(archive, departure("t"))


async def test_only_an_empty_archive_is_filled(archive: Archive) -> None:
    await archive.prepare("b", 0, [departure("t")])
    with pytest.raises(ArchiveError, match="not empty"):
        await archive.restore(await exported(archive))
    assert len(await archive.pending()) == 1
