"""Retention and erasure take the words and leave the numbers."""

from __future__ import annotations

from pathlib import Path

from periscope.archive import Archive, open_archive
from tests.archive.samples import NOW_MS, act, depart, departure, ids


async def test_retention_is_bounded_and_keeps_the_counts(archive: Archive) -> None:
    old = [departure(f"o{n}", departed_at_ms=n) for n in range(10)]
    await depart(archive, *old, departure("new", reason="removed"))
    await archive.write_audit([act(n, at_ms=n) for n in range(5)])
    await archive.write_audit([act(9)])
    purged = []
    while count := await archive.retain(NOW_MS, limit=6):
        purged.append(count)
    assert purged == [6, 6, 3]
    assert await ids(archive) == ["new"]
    assert [e.stream_id for _, e in await archive.audit()] == [f"{NOW_MS}-9"]
    assert await archive.counts() == {"expired_seen": 10, "removed": 1}
    assert await archive.audit_reached(0) == f"{NOW_MS}-9"


async def test_retention_never_touches_what_is_pending(archive: Archive) -> None:
    await archive.prepare("b", 0, [departure("t", departed_at_ms=1)])
    assert await archive.retain(NOW_MS) == 0
    assert await archive.confirm("b", [True]) == 1
    assert await archive.retain(NOW_MS) == 1
    assert await archive.counts() == {"expired_seen": 1}


async def test_row_numbers_are_never_given_twice(archive: Archive) -> None:
    await depart(archive, departure("t", departed_at_ms=1), batch_id="1")
    [(first, _)] = await archive.history()
    await archive.retain(NOW_MS)
    await depart(archive, departure("u"), batch_id="2")
    [(second, _)] = await archive.history()
    assert second > first


async def test_erasure_blanks_all_that_was_said(archive: Archive) -> None:
    wordy = departure("t", note="why", actor="ana", outcome="benign")
    await depart(archive, wordy, departure("other"))
    await archive.prepare("p", 0, [departure("t", reason="removed")])
    await archive.write_audit([act(1, threat_id="t"), act(2, threat_id="other")])
    assert await archive.erase("t") == 3
    assert await archive.erase("t") == 0
    await archive.confirm("p", [True])
    blank = {"title": "", "source": "", "record": b"", "extra": b"", "note": "", "erased": True}
    assert [d for _, d in await archive.history(threat_id="t")] == [
        departure("t", reason="removed", **blank),
        departure("t", actor="ana", outcome="benign", **blank),
    ]
    assert [(e.detail, e.erased) for _, e in await archive.audit(threat_id="t")] == [("", True)]
    assert [d for _, d in await archive.history(threat_id="other")] == [departure("other")]
    assert await archive.counts() == {"expired_seen": 2, "removed": 1}


async def test_a_late_repeat_does_not_bring_erased_words_back(archive: Archive) -> None:
    await archive.prepare("b", 0, [departure("t")])
    await archive.write_audit([act(1, threat_id="t")])
    await archive.erase("t")
    await archive.prepare("b", 0, [departure("t")])
    assert await archive.write_audit([act(1, threat_id="t")]) == 0
    await archive.confirm("b", [True])
    assert [d.title for _, d in await archive.history()] == [""]
    assert [e.detail for _, e in await archive.audit()] == [""]


async def test_nothing_erased_is_left_in_the_files(tmp_path: Path) -> None:
    archive = await open_archive(tmp_path / "archive.db")
    secrets = [b"verysecret-title", b"verysecret-source", b"verysecret-record" * 2000]
    texts = {"title": secrets[0].decode(), "source": secrets[1].decode(), "record": secrets[2]}
    await depart(archive, *(departure(f"t{n}") for n in range(50)), departure("t", **texts))
    await archive.erase("t")
    for path in tmp_path.iterdir():
        assert b"verysecret" not in path.read_bytes(), path.name
    await archive.close()
