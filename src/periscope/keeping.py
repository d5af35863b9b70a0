"""What time and workers do: promotion, expiry as a move into the archive, settling, removal.

Every step is safe to repeat and to run from any number of workers: the server looks again before it
acts, and a departure is written to the archive first, then done, then confirmed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from secrets import token_bytes, token_hex
from typing import Any, TypeVar

import msgspec

from periscope.acts import check_name, check_note, pack_act
from periscope.archive import Archive, AuditEntry, Departure, departing, fingerprint_of
from periscope.calls import VOID, Calls, Candidate
from periscope.errors import (
    ActRefused,
    ArchiveMismatch,
    OutcomeUnknown,
    PeriscopeError,
    StoreError,
    ThreatUnknown,
)
from periscope.functions import Functions
from periscope.header import read_threat
from periscope.keys import Keyspace, PartitionKeys, control_key
from periscope.reader import Reader, encoded, steady
from periscope.rules import Rules
from periscope.suppressed import SuppressedCalls
from periscope.trail import STEP as TRAIL_STEP
from periscope.trail import entries, time_of
from periscope.work import MAX_ANALYST_BYTES, PromotionStats, SweepStats

FORGET_STEP = 250  # suppressed entries of one call, likewise
STEP = 60  # threats of one call: within what may delay others
ANSWER_KEPT_MS = 600_000
TRIES = 5
R = TypeVar("R")
T = TypeVar("T")


class Keeping:
    """Keeps one database in order; the promises stand at the methods of `Periscope`."""

    def __init__(
        self, functions: Functions, keyspace: Keyspace, reader: Reader, secret: bytes
    ) -> None:
        self._functions = functions
        self._keyspace = keyspace
        self._reader = reader
        self._calls = Calls(functions)
        self._suppressed = SuppressedCalls(functions)
        self._fingerprint = fingerprint_of(secret)
        self._adopted: set[str] = set()

    async def promote(self) -> PromotionStats:
        """See `Periscope.promote_eligible_threats`."""
        stats = PromotionStats()
        return await self._each(lambda keys: self._promote_in(keys, stats), lambda _: stats)

    async def _each(
        self, call: Callable[[PartitionKeys], Awaitable[T]], add_up: Callable[[list[T]], R]
    ) -> R:
        """Call for each partition, and go on past those that are away; see `reader.each`."""
        return await self._reader.each(self._keyspace.partitions, call, add_up)

    async def _promote_in(self, keys: PartitionKeys, stats: PromotionStats) -> None:
        offset, skipped = 0, set[bytes]()
        while True:
            ids, examined = await self._calls.promotable(keys, offset, STEP)
            words = await self._promote_these(keys, ids)
            for threat_id, word in zip(ids, words, strict=True):
                if word == "DONE":
                    stats.promoted += 1
                    stats.promoted_ids.append(threat_id.decode())
                elif word == "UNKNOWN":
                    stats.failed += 1
            # What is claimed stays in its place; whatever left, another worker's too, makes room.
            # One that was skipped has left, unless it is met again.
            met = [one for one, word in zip(ids, words, strict=True) if word == "SKIPPED"]
            offset += examined - len(ids) + words.count("UNKNOWN")
            offset += sum(one in skipped for one in met)
            skipped.update(met)
            if examined < STEP:
                return

    async def _promote_these(self, keys: PartitionKeys, ids: Sequence[bytes]) -> list[str]:
        if not ids:
            return []

        batch_id = token_bytes(12)

        async def call(rules: Rules) -> list[str]:
            return await self._calls.promote(keys, rules, batch_id, ids)

        return await steady(self._functions, call)

    async def sweep(self, archive: Archive) -> SweepStats:
        """See `Periscope.sweep`."""
        await self.adopt(archive)
        stats = SweepStats()

        async def sweep(keys: PartitionKeys) -> None:
            await self._sweep_in(keys, archive, stats)
            stats.forgotten_stubs += await self._forget_stubs(keys)
            stats.forgotten_suppressed += await self._forget_suppressed(keys)

        return await self._each(sweep, lambda _: stats)

    async def _sweep_in(self, keys: PartitionKeys, archive: Archive, stats: SweepStats) -> None:
        stretch = offset = 0
        while stretch >= 0:

            async def call(rules: Rules, at: tuple[int, int] = (stretch, offset)) -> Any:
                return await self._calls.overtaken(keys, rules, *at, STEP)

            step = await steady(self._functions, call)
            kept = await self._settle(keys, step.candidates, stats)
            kept += await self._expire(keys, archive, step.candidates, stats)
            stats.kept += kept
            # What was kept has mostly moved away; only where all was kept it must be passed over.
            stuck = kept if kept == len(step.candidates) else 0
            stretch, offset = step.stretch, step.offset + stuck

    async def _settle(
        self, keys: PartitionKeys, candidates: Sequence[Candidate], stats: SweepStats
    ) -> int:
        """Send recalled threats home; how many stayed."""
        ids = [one.threat_id for one in candidates if one.word == "settled"]
        if not ids:
            return 0

        batch_id = token_bytes(12)

        async def call(rules: Rules) -> list[str]:
            return await self._calls.settle(keys, rules, batch_id, ids)

        words = await steady(self._functions, call)
        stats.settled += words.count("DONE")
        return len(words) - words.count("DONE")

    async def _expire(
        self,
        keys: PartitionKeys,
        archive: Archive,
        candidates: Sequence[Candidate],
        stats: SweepStats,
    ) -> int:
        """Move expired threats into the archive; how many stayed, because they were touched."""
        expired = [one for one in candidates if one.word == "expired"]
        departed = await self._depart(keys, archive, expired, "")
        for one in departed:
            if one.interactions:
                stats.expired_seen += 1
            else:
                stats.expired_unseen += 1
        return len(expired) - len(departed)

    async def _depart(
        self,
        keys: PartitionKeys,
        archive: Archive,
        leaving: Sequence[Candidate],
        actor: str,
        note: str = "",
    ) -> list[Departure]:
        """Archive, let go, confirm, forget: in this order, so that no crash loses anything."""
        if not leaving:
            return []
        batch_id = token_hex(16)
        rows = self._rows(leaving, actor, note)
        await archive.prepare(batch_id, keys.number, rows)
        ids = [(one.threat_id, one.revision) for one in leaving]

        async def call(rules: Rules) -> str:
            return await self._calls.depart(keys, rules, batch_id, ids, actor)

        try:
            words = await steady(self._functions, call)
        except OutcomeUnknown as unknown:
            try:
                words = await self._calls.resolve(keys, batch_id, len(rows))
            except PeriscopeError:
                raise unknown from None  # pending, until somebody can say for sure
        except StoreError:
            with suppress(PeriscopeError):  # else whoever comes next resolves it
                await self._resolve(keys, archive, batch_id, len(rows))
            raise
        await self._confirm(keys, archive, batch_id, words, len(rows))
        return [row for row, word in zip(rows, words, strict=False) if word == "d"]

    def _rows(self, leaving: Sequence[Candidate], actor: str, note: str) -> list[Departure]:
        policy = self._functions.rules.policy
        rows = []
        for one in leaving:
            threat = read_threat(one.threat_id, one.record, one.at_ms, policy)
            extra = msgspec.msgpack.encode([one.last_words, one.analysts])
            rows.append(departing(threat, one.record, extra, actor, note))
        return rows

    async def _confirm(
        self, keys: PartitionKeys, archive: Archive, batch_id: str, words: str, count: int
    ) -> int:
        """Make final what departed, and forget the answer: its own caller has it.

        A batch that was given up keeps its mark, and what others resolve keeps its answer for a
        while: a call that is late must find it.
        """
        final = await archive.confirm(batch_id, departed(words, count))
        if words != VOID:
            await self._calls.confirm(keys, [batch_id])
        return final

    async def resolve(self, archive: Archive) -> int:
        """See `Periscope.resolve_departures`."""
        await self.adopt(archive)
        pending = await archive.pending()

        async def settle(keys: PartitionKeys) -> int:
            # One of a time when there were more partitions was settled then; it gets a mark here.
            count = len(self._keyspace.partitions)
            mine = [batch for batch in pending if batch.partition % count == keys.number]
            done = [
                await self._resolve(keys, archive, batch.batch_id, len(batch.threat_ids))
                for batch in mine
            ]
            await self._tidy(keys, archive)
            return sum(done)

        return await self._each(settle, _sum)

    async def _resolve(
        self, keys: PartitionKeys, archive: Archive, batch_id: str, count: int
    ) -> int:
        """Ask what became of a batch, and make that final; rows made final."""
        words = await self._calls.resolve(keys, batch_id, count)
        if words == VOID and not await _is_pending(archive, batch_id):
            return 0  # confirmed meanwhile, so the store had forgotten what it answered
        return await archive.confirm(batch_id, departed(words, count))

    async def _tidy(self, keys: PartitionKeys, archive: Archive) -> None:
        """Forget old answers that the archive has confirmed, and old marks."""
        flat = await self._reader.run("HGETALL", keys.departures)
        if not flat:
            return
        answers = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
        # Asked after the answers were read: a batch that is not pending now was confirmed.
        pending = {batch.batch_id for batch in await archive.pending()}
        now_ms = (await self._functions.stats(keys)).now_ms
        done = [
            batch_id.decode()
            for batch_id, words in answers.items()
            if batch_id.decode() not in pending and _is_over(words, now_ms)
        ]
        await self._calls.confirm(keys, done)

    async def remove(self, archive: Archive, threat_id: str, analyst_id: str, note: str) -> None:
        """See `Periscope.remove`."""
        check_name(analyst_id, "analyst_id", MAX_ANALYST_BYTES)
        check_note(note)
        await self.adopt(archive)
        key_bytes = encoded(threat_id)
        keys = self._keyspace.partition_of(key_bytes)
        for _ in range(TRIES):
            leaving = await self._as_candidate(keys, key_bytes)
            if leaving is None:
                if await self._was_removed(keys, archive, key_bytes):
                    return
                raise ThreatUnknown(f"no threat {threat_id!r}")
            if await self._depart(keys, archive, [leaving], analyst_id, note):
                return
        raise ActRefused(f"{threat_id!r} changes all the time; try again")

    async def _was_removed(self, keys: PartitionKeys, archive: Archive, threat_id: bytes) -> bool:
        """Was it a removal whose outcome nobody knew? It is settled then."""
        if not threat_id or not await self._reader.run("HEXISTS", keys.removed, threat_id):
            return False
        final = 0
        for batch in await archive.pending():
            if threat_id.decode() in batch.threat_ids:
                final += await self._resolve(keys, archive, batch.batch_id, len(batch.threat_ids))
        return final > 0

    async def _as_candidate(self, keys: PartitionKeys, threat_id: bytes) -> Candidate | None:
        async def call(rules: Rules) -> tuple[int, bytes]:
            now_ms, (record,) = await self._functions.threats(keys, rules, [threat_id])
            return now_ms, record

        now_ms, record = await steady(self._functions, call)
        if not threat_id or not record:
            return None
        revision = read_threat(threat_id, record, now_ms, self._functions.rules.policy).revision
        words = await self._reader.run("HGET", keys.sources, threat_id) or b""
        flat = await self._reader.run("HGETALL", keys.analysts(threat_id))
        pairs = flat.items() if isinstance(flat, dict) else ()
        fields = [part for pair in pairs for part in pair]
        return Candidate("removed", threat_id, revision, record, words, fields, now_ms)

    async def erase(self, archive: Archive, threat_id: str, analyst_id: str, engine: Any) -> int:
        """See `Periscope.erase`."""
        await self.adopt(archive)
        with suppress(ThreatUnknown):  # it departed before: what is left stands in the archive
            await self.remove(archive, threat_id, analyst_id, "erased")
        reply = await engine.act(pack_act("erase", threat_id, analyst_id))
        reply.check()
        await self._archive_part(self._keyspace.partition_of(encoded(threat_id)), archive)
        return await archive.erase(threat_id)

    async def archive_audit(self, archive: Archive) -> int:
        """See `Periscope.archive_audit`."""
        await self.adopt(archive)
        return await self._each(lambda keys: self._archive_part(keys, archive), _sum)

    async def _archive_part(self, keys: PartitionKeys, archive: Archive) -> int:
        moved = 0
        while found := await entries(self._reader, keys, TRAIL_STEP):
            moved += await archive.write_audit([entry for _, part in found for entry in part])
            await self._calls.trim_audit(keys, found[-1][0])
        return moved

    async def recent_audit(self, most: int) -> list[AuditEntry]:
        """See `Periscope.get_recent_audit`."""
        return await self._each(
            lambda keys: entries(self._reader, keys, most, newest=True),
            lambda parts: sorted(
                (one for part in parts for _, acts in part for one in acts), key=time_of
            ),
        )

    async def adopt(self, archive: Archive) -> None:
        """See `Periscope.adopt_archive`."""
        if archive.identity in self._adopted:
            return
        if await archive.belong_to(self._fingerprint) != self._fingerprint:
            raise ArchiveMismatch(
                f"{archive.shown} is the archive of another database: give this one an archive of "
                "its own (setting archive)"
            )
        control = control_key(self._keyspace.namespace)
        known = await self._calls.note(control, "archive", "", archive.identity)
        if known != archive.identity:
            raise ArchiveMismatch(
                f"{archive.shown} is not the archive of this database; give the one that it was "
                "used with first (setting archive), or none of its departed threats will be found"
            )
        self._adopted.add(archive.identity)

    async def _forget_stubs(self, keys: PartitionKeys) -> int:
        async def call(rules: Rules) -> int:
            return await self._calls.forget(keys, rules, STEP)

        return await self._until_done(call)

    async def _forget_suppressed(self, keys: PartitionKeys) -> int:
        return await self._until_done(lambda _: self._suppressed.outlived(keys, FORGET_STEP))

    async def _until_done(self, call: Callable[[Rules], Awaitable[int]]) -> int:
        """Call until there is nothing left to do; how much was done in all."""
        done = 0
        while some := await steady(self._functions, call):
            done += some
        return done


def _sum(counts: list[int]) -> int:
    return sum(counts)


def departed(words: str, count: int) -> list[bool]:
    """For each threat of a batch, whether it departed, from the words of the functions."""
    return [word == "d" for word in words] if words != VOID else [False] * count


async def _is_pending(archive: Archive, batch_id: str) -> bool:
    return any(batch.batch_id == batch_id for batch in await archive.pending())


def _is_over(answer: bytes, now_ms: int) -> bool:
    """Can nobody ask for this answer any more? It waits for late calls of a killed worker."""
    return now_ms - int(answer.split()[1]) > ANSWER_KEPT_MS
