"""The books of one batch: chunks being filled, ready ones, and what became of those sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from itertools import chain, islice
from typing import Any

from periscope.acts import ActIntake, PackedAct
from periscope.awaits import SHORT, Awaits
from periscope.chunks import CHUNK_ID_BYTES, ActChunk, Answer, Chunk, ReportChunk
from periscope.errors import BatchInterrupted, OutcomeUnknown
from periscope.intake import Intake
from periscope.keys import Keyspace, PartitionKeys
from periscope.marks import Packed, in_parts, pack_marks
from periscope.models import BatchResult, Outcome, Rejection
from periscope.work import InteractionsResult

CHUNK_ENTRIES = 500
CHUNK_ACTS = 100  # an act takes the server several times as long as a report
CHUNK_MARKED = 250  # one that is marked as noise about twice
CHUNK_BYTES = 1024 * 1024
MAX_REJECTIONS_KEPT = 100_000

Entry = Packed | PackedAct
Told = Callable[[Rejection, Any], None]
"""Called with each rejected item as it was given; it must not raise."""


class Batch:
    """Sorts entries into chunks of their partitions, and counts what became of each."""

    most = CHUNK_ENTRIES
    result: BatchResult | InteractionsResult

    def __init__(self, keyspace: Keyspace, awaits: Awaits = Awaits.NOTHING) -> None:
        self.met = 0
        self.stored: Callable[[Answer], None] = _nothing
        self._awaits = awaits
        self._unsafe = 0
        self.ready: deque[Chunk] = deque()
        self._keyspace = keyspace
        self._filling: dict[PartitionKeys, _Filling] = {}
        self._refused = 0
        self._refusal: Exception | None = None
        self.told: Told | None = None

    def take(self, items: Sequence[Any]) -> None:
        """Validate items and sort them into their partitions; full chunks become ready."""
        packed, rejected = self._prepare(items)
        if self.told is not None:
            for one in rejected:
                self.told(one, items[one.index - self.met])
        self.met += len(items)
        self._reject(rejected)
        for keys, entries in self._by_partition(packed):
            filling = self._filling.setdefault(keys, _Filling(self.most))
            if filling.take_all(entries):
                continue
            for entry in entries:
                if not filling.has_room(entry):
                    self._close(keys)
                    filling = self._filling[keys] = _Filling(self.most)
                filling.add(entry)
        for keys in [keys for keys, filling in self._filling.items() if filling.full]:
            self._close(keys)

    def close_all(self) -> None:
        """Make every chunk ready."""
        for keys in list(self._filling):
            self._close(keys)

    def note(self, answers: Iterable[Answer]) -> None:
        """Count what the server answered, then raise the first refusal among it."""
        self.count(answers)
        if self._refusal is not None:
            raise self._refusal

    def count(self, answers: Iterable[Answer]) -> None:
        """Count what the server answered."""
        for answer in answers:
            refusal = OutcomeUnknown(SHORT) if answer.short else answer.refusal
            if isinstance(refusal, OutcomeUnknown):
                self._unsafe += answer.chunk.size
                self._refusal = self._refusal or refusal
            elif refusal is not None:
                self._refused += answer.chunk.size
                self._refusal = self._refusal or refusal
            else:
                self.stored(answer)
                self._tally(answer)

    def interrupted(self, cause: Exception, unknown: int, unsent: int) -> BatchInterrupted:
        """The one exception that accounts for every entry that the source gave."""
        unsent += sum(len(filling.entries) for filling in self._filling.values())
        unsent += sum(chunk.size for chunk in self.ready)
        return BatchInterrupted(
            self.result,
            refused=self._refused + unsent,
            unknown=unknown + self._unsafe,
            cause=cause,
        )

    def _prepare(self, items: Sequence[Any]) -> tuple[Sequence[Entry], Sequence[Rejection]]:
        raise NotImplementedError

    def _make_ready(self, keys: PartitionKeys, entries: list[Any]) -> None:
        raise NotImplementedError

    def _tally(self, answer: Answer) -> None:
        raise NotImplementedError

    def _by_partition(
        self, packed: Sequence[Entry]
    ) -> Iterable[tuple[PartitionKeys, Sequence[Entry]]]:
        if len(self._keyspace.partitions) == 1:
            return [(self._keyspace.partitions[0], packed)]
        groups: dict[PartitionKeys, list[Entry]] = {}
        for entry in packed:
            groups.setdefault(self._keyspace.partition_of(entry[0]), []).append(entry)
        return groups.items()

    def _close(self, keys: PartitionKeys) -> None:
        filling = self._filling.pop(keys, None)
        if filling is not None and filling.entries:
            self._make_ready(keys, filling.entries)

    def _reject(self, rejected: Sequence[Rejection]) -> None:
        self.result.rejected_count += len(rejected)
        room = MAX_REJECTIONS_KEPT - len(self.result.rejected)
        self.result.rejected.extend(islice(rejected, max(0, room)))


class ReportBatch(Batch):
    """Reports on their way in; rejected ones are counted in the ledger with the next chunk.

    Chunks of a batch with a `name` are named by it, by their place and by all that is in them: the
    same batch again has the same ones, and the server answers what it answered. (Other reports
    under the same name are other chunks.)
    """

    def __init__(
        self,
        keyspace: Keyspace,
        intake: Intake,
        awaits: Awaits = Awaits.NOTHING,
        name: bytes = b"",
    ) -> None:
        super().__init__(keyspace, awaits)
        self._name = name
        self._made = 0
        self.result: BatchResult = BatchResult()
        self._intake = intake
        self._uncounted = 0

    def close_all(self) -> None:
        """Make every chunk ready; also one for rejections that no chunk has carried yet."""
        super().close_all()
        if self._uncounted:
            self._make_ready(self._keyspace.partitions[0], [])

    def _prepare(self, items: Sequence[Any]) -> tuple[Sequence[Packed], Sequence[Rejection]]:
        return self._intake.prepare(items, self.met)

    def _make_ready(self, keys: PartitionKeys, entries: list[Any]) -> None:
        if not self._intake.marking.was_used:
            self._append(keys, entries)
            return
        for part in in_parts(entries, CHUNK_MARKED):
            self._append(keys, part, pack_marks(part))

    def _append(self, keys: PartitionKeys, entries: Sequence[Any], marks: bytes = b"") -> None:
        rejected, self._uncounted = self._uncounted, 0
        chunk = ReportChunk(keys, entries, rejected, marks, awaits=self._awaits)
        if self._name:
            self._made += 1
            place = b"%d %d %d" % (self._made, keys.number, rejected)
            chunk.chunk_id = _named(self._name, place, entries)
        self.ready.append(chunk)

    def _reject(self, rejected: Sequence[Rejection]) -> None:
        super()._reject(rejected)
        self._uncounted += len(rejected)

    def _tally(self, answer: Answer) -> None:
        for count, outcome in answer.result:
            match outcome:
                case Outcome.ADDED:
                    self.result.added += count
                case Outcome.SIGHTING:
                    self.result.sightings += count
                case Outcome.DUPLICATE:
                    self.result.duplicates += count
                case Outcome.SUPPRESSED:
                    self.result.suppressed += count


class ActBatch(Batch):
    """Interactions on their way in."""

    most = CHUNK_ACTS

    def __init__(self, keyspace: Keyspace, awaits: Awaits = Awaits.NOTHING) -> None:
        super().__init__(keyspace, awaits)
        self.result: InteractionsResult = InteractionsResult()
        self._intake = ActIntake()

    def _prepare(self, items: Sequence[Any]) -> tuple[Sequence[PackedAct], Sequence[Rejection]]:
        return self._intake.prepare(items, self.met)

    def _make_ready(self, keys: PartitionKeys, entries: list[Any]) -> None:
        self.ready.append(ActChunk(keys, entries, awaits=self._awaits))

    def _tally(self, answer: Answer) -> None:
        assert isinstance(answer.chunk, ActChunk)  # noqa: S101 - this batch made it
        refused = []
        for act, reply in zip(answer.chunk.acts, answer.result, strict=True):
            if reply.word == "DONE":
                self.result.recorded += 1
            elif reply.word == "AGAIN":
                self.result.repeated += 1
            else:
                refused.append(Rejection(act.index, act.threat_id.decode(), reply.reason))
        if refused:
            self._reject(refused)
            self.result.rejected.sort()  # by index: those of validation came before


class _Filling:
    """A chunk that still takes entries: `most` of them or 1 MiB, whichever comes first."""

    __slots__ = ("_bytes", "_most", "entries")

    def __init__(self, most: int) -> None:
        self._most = most
        self.entries: list[Entry] = []
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Is there no room for any more?"""
        return len(self.entries) >= self._most

    def take_all(self, entries: Sequence[Entry]) -> bool:
        """Take the entries if all of them fit; False if not, and none is taken."""
        size = sum(map(_size, entries))
        if len(self.entries) + len(entries) > self._most or self._bytes + size > CHUNK_BYTES:
            return False
        self.entries.extend(entries)
        self._bytes += size
        return True

    def has_room(self, entry: Entry) -> bool:
        """Does the entry fit? The first always does."""
        fits = self._bytes + _size(entry) <= CHUNK_BYTES
        return not self.entries or (fits and not self.full)

    def add(self, entry: Entry) -> None:
        """Take the entry."""
        self.entries.append(entry)
        self._bytes += _size(entry)


def _named(name: bytes, place: bytes, entries: Sequence[Packed]) -> bytes:
    """Return an id that nobody else's chunk has, nor one with anything else in it."""
    hashed = blake2b(digest_size=CHUNK_ID_BYTES)
    for part in (name, place, *chain.from_iterable((one[0], one[1]) for one in entries)):
        hashed.update(b"%d:" % len(part))
        hashed.update(part)
    return hashed.digest()


def _nothing(answer: Answer) -> None:
    """Nobody wants to know what was stored."""


def _size(entry: Entry) -> int:
    return 2 * len(entry[0]) + len(entry[1])
