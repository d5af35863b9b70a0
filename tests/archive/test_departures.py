"""Two phases, any order of failures: a departure is there once, whole."""

from __future__ import annotations

import asyncio

import pytest

from periscope.archive import Archive, PendingBatch, open_archive
from periscope.errors import ArchiveError, ArchiveMismatch, BugError, UsageError
from tests.archive.samples import NASTY, NOW_MS, depart, departure, ids


async def test_what_left_is_final_and_what_stayed_is_gone(archive: Archive) -> None:
    batch = [departure(f"t{n}", reason="removed") for n in range(4)]
    await archive.prepare("b", 3, batch)
    assert await archive.history() == []
    assert await archive.pending() == [PendingBatch("b", 3, ("t0", "t1", "t2", "t3"))]
    assert await archive.confirm("b", [True, False, True, False]) == 2
    assert await archive.pending() == []
    assert [d for _, d in await archive.history()] == [batch[2], batch[0]]
    assert await archive.counts() == {"removed": 2}


async def test_both_phases_may_be_repeated(archive: Archive) -> None:
    batch = [departure("t0"), departure("t1", reason="expired_unseen")]
    for _ in range(2):
        await archive.prepare("b", 0, batch)
    for _ in range(2):
        assert await archive.confirm("b", [True, True]) == 2
    await archive.prepare("b", 0, batch)
    assert await archive.counts() == {"expired_seen": 1, "expired_unseen": 1}
    assert await archive.pending() == []
    assert await ids(archive) == ["t1", "t0"]


async def test_every_field_comes_back_as_it_was(archive: Archive) -> None:
    texts = {"source": NASTY, "title": NASTY, "actor": NASTY, "note": NASTY}
    odd = departure(NASTY, **texts, outcome="true_positive", level=3, record=b"", extra=b"\0")
    await archive.prepare(NASTY, 0, [odd])
    assert await archive.pending() == [PendingBatch(NASTY, 0, (NASTY,))]
    await archive.confirm(NASTY, [True])
    assert [d for _, d in await archive.history(threat_id=NASTY, source=NASTY)] == [odd]


async def test_the_longest_ids_are_stored_and_found(archive: Archive) -> None:
    longest = [f"{n}" + "\U0001f6a8" * 127 + "xyz" for n in range(3)]
    await depart(archive, *(departure(threat_id) for threat_id in longest))
    for threat_id in longest:
        assert await ids(archive, threat_id=threat_id) == [threat_id]


async def test_a_threat_departs_as_often_as_it_comes_back(archive: Archive) -> None:
    await depart(archive, departure("t"), batch_id="1")
    await depart(archive, departure("t", reason="removed"), batch_id="2")
    assert [d.reason for _, d in await archive.history(threat_id="t")] == [
        "removed",
        "expired_seen",
    ]


async def test_an_empty_batch_is_a_batch(archive: Archive) -> None:
    await archive.prepare("b", 0, [])
    assert await archive.pending() == [PendingBatch("b", 0, ())]
    assert await archive.confirm("b", []) == 0
    assert await archive.pending() == []


async def test_a_batch_that_stayed_cannot_be_revived(archive: Archive) -> None:
    """A worker that slept through the settling of its batch must not rely on rows that are gone."""
    await archive.prepare("b", 0, [departure("t")])
    await archive.confirm("b", [False])
    with pytest.raises(ArchiveError, match="settled"):
        await archive.prepare("b", 0, [departure("t")])
    with pytest.raises(BugError, match="another answer"):
        await archive.confirm("b", [True])
    assert await archive.confirm("b", [False]) == 0
    assert await archive.counts() == {}


async def test_what_cannot_be_right_is_refused(archive: Archive) -> None:
    with pytest.raises(ArchiveMismatch, match="never prepared"):
        await archive.confirm("unknown", [True])
    await archive.prepare("b", 0, [departure("t")])
    with pytest.raises(BugError, match="other threats"):
        await archive.prepare("b", 0, [departure("u")])
    with pytest.raises(BugError, match="holds 1 threats, not 2"):
        await archive.confirm("b", [True, True])
    assert await archive.pending() == [PendingBatch("b", 0, ("t",))]


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": "boredom"},
        {"confidence": float("nan")},
        {"severity": "VERY HIGH"},
        {"outcome": "\0"},
        {"views": 2**63},
    ],
    ids=str,
)
async def test_a_value_that_cannot_be_stored_stores_nothing(
    archive: Archive, wrong: dict[str, object]
) -> None:
    with pytest.raises(BugError):
        await archive.prepare("b", 0, [departure("t"), departure("u", **wrong)])
    assert await archive.pending() == []
    await depart(archive, departure("t"))


async def test_history_filters_and_pages(archive: Archive) -> None:
    severities = ["LOW", "HIGH", "CRITICAL"]
    await depart(
        archive,
        *(
            departure(
                f"t{n}", severity=severities[n % 3], source=f"s{n % 2}", departed_at_ms=NOW_MS + n
            )
            for n in range(12)
        ),
    )
    assert await ids(archive, severity="HIGH") == ["t10", "t7", "t4", "t1"]
    assert await ids(archive, severity="HIGH", source="s1") == ["t7", "t1"]
    assert await ids(archive, since_ms=NOW_MS + 10) == ["t11", "t10"]
    assert await ids(archive, reason="removed") == []
    walked, before = [], None
    while page := await archive.history(limit=5, before=before):
        walked += [d.threat_id for _, d in page]
        before = page[-1][0]
    assert walked == [f"t{n}" for n in reversed(range(12))]
    for limit in (0, -1, 10_001, 2**63):
        with pytest.raises(UsageError, match="limit"):
            await archive.history(limit=limit)


async def test_many_archives_at_once_double_nothing(place: str) -> None:
    """Several workers prepare and settle the same batches, at once, in a new archive."""
    archives = await asyncio.gather(*(open_archive(place) for _ in range(4)))
    assert len({archive.identity for archive in archives}) == 1
    batches = [[departure(f"t{n}-{i}") for i in range(5)] for n in range(8)]
    answer = [True, False, True, True, False]

    await asyncio.gather(
        *(a.prepare(f"b{n}", 0, batch) for a in archives for n, batch in enumerate(batches))
    )
    confirmed = await asyncio.gather(
        *(a.confirm(f"b{n}", answer) for a in archives for n in range(len(batches)))
    )
    assert set(confirmed) == {3}
    assert await archives[1].counts() == {"expired_seen": 24}
    assert len(await archives[2].history(limit=1000)) == 24
    await asyncio.gather(*(archive.close() for archive in archives))


async def test_a_closed_archive_says_so(archive: Archive) -> None:
    await archive.close()
    await archive.close()
    with pytest.raises(ArchiveError, match="is closed"):
        await archive.counts()


async def test_cancelled_calls_are_whole_or_absent(archive: Archive) -> None:
    calls = [
        asyncio.create_task(archive.prepare(f"b{n}", 0, [departure(f"t{n}"), departure(f"u{n}")]))
        for n in range(20)
    ]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    for batch in await archive.pending():
        assert len(batch.threat_ids) == 2
        assert await archive.confirm(batch.batch_id, [True, True]) == 2
    assert (await archive.counts())["expired_seen"] == len(await ids(archive))
