"""Typed calls of the functions that look after threats: lists of levels, promotion, departures.

As in `functions.py`, a reply is parsed here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from periscope.errors import BugError
from periscope.functions import Functions
from periscope.keys import PartitionKeys
from periscope.rules import Rules

VOID = "VOID"
AT_ONCE = 250  # ids that one call looks for


class LevelEntry(NamedTuple):
    """A threat of level 2 or 3 in a list: tuples of these compare as the ranking does."""

    value: float
    last_activity_ms: int
    threat_id: bytes
    place: bytes
    fades: bool
    record: bytes | None


class LevelStretch(NamedTuple):
    """A partition's stretch of a level."""

    now_ms: int
    total: int
    entries: list[LevelEntry]


class Unclaimed(NamedTuple):
    """What a partition offers whoever asks for the next: (score, last activity, id), falling."""

    now_ms: int
    ranks: list[tuple[float, int, bytes]]


class DueEntry(NamedTuple):
    """An overdue threat: tuples of these compare as the list is ordered."""

    due_ms: int
    threat_id: bytes
    record: bytes | None


class DueStretch(NamedTuple):
    """A partition's stretch of what is overdue; with `cut_ms` it goes on from there."""

    now_ms: int
    entries: list[DueEntry]
    cut_ms: int


class Candidate(NamedTuple):
    """What a sweep found: a threat that is to settle home (no record), or to be archived."""

    word: str
    threat_id: bytes
    revision: int
    record: bytes
    last_words: bytes
    analysts: list[bytes]
    at_ms: int


class SweepStep(NamedTuple):
    """Candidates, and where the sweep goes on; stretch -1 when it is complete."""

    now_ms: int
    candidates: list[Candidate]
    stretch: int
    offset: int


class Calls:
    """Calls about one database's levels and their keeping."""

    def __init__(self, functions: Functions) -> None:
        self.functions = functions

    async def levels(
        self,
        keys: PartitionKeys,
        rules: Rules,
        level: int,
        industry: str,
        count: int,
        *,
        records: int,
        as_of_ms: int | None = None,
        after: tuple[bytes, bytes] = (b"", b""),
    ) -> LevelStretch:
        """The next `count` of level 2 or 3 after the places where the last page ended."""
        rank = keys.short_rank if level == 2 else keys.long_rank
        args = (rules.packed, self._at(as_of_ms), level, industry, count, records, *after)
        now_ms, total, flat, found = await self.functions.call(
            "periscope_levels", [keys.meta, rank], args
        )
        rows = zip(flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True)
        entries = [
            LevelEntry(float(value), _moment(place), threat_id, place, bool(fades), None)
            for place, fades, value, threat_id in rows
        ]
        for position, record in enumerate(found):
            entries[position] = entries[position]._replace(record=record)
        return LevelStretch(now_ms, total, entries)

    async def overdue(
        self,
        keys: PartitionKeys,
        rules: Rules,
        severity: int,
        count: int,
        *,
        records: int,
        as_of_ms: int | None = None,
        after: tuple[int, bytes] = (0, b""),
    ) -> DueStretch:
        """The next `count` overdue ones after (due, id), the longest overdue first."""
        args = (rules.packed, self._at(as_of_ms), severity, count, records, *after)
        now_ms, flat, found, cut_ms = await self.functions.call(
            "periscope_overdue", _queue(keys), args
        )
        found += [None] * (len(flat) // 2 - len(found))
        rows = zip(flat[::2], flat[1::2], found, strict=True)
        return DueStretch(now_ms, [DueEntry(*row) for row in rows], cut_ms)

    async def count_overdue(
        self, keys: PartitionKeys, rules: Rules, severity: int, as_of_ms: int
    ) -> int:
        """How many of this severity are overdue, counted in bounded steps."""
        total = offset = 0
        while offset >= 0:
            args = (rules.packed, as_of_ms, severity, offset)
            _, count, offset = await self.functions.call(
                "periscope_count_overdue", _queue(keys), args
            )
            total += count
        return total

    async def unclaimed(
        self, keys: PartitionKeys, rules: Rules, severity: int, count: int, as_of_ms: int | None
    ) -> Unclaimed:
        """The highest ranked open threats that nobody holds, scored as of `as_of_ms` or now."""
        names = [keys.meta, keys.board, keys.claims]
        moment = self.functions.moment if as_of_ms is None else as_of_ms
        after: tuple[bytes, bytes] = (b"", b"")
        while True:
            args = (rules.packed, moment, severity, count, *after)
            now_ms, flat, *goes_on = await self.functions.call("periscope_next", names, args)
            after = (goes_on[0], goes_on[1])
            if flat or not after[0]:
                ranks = zip(map(float, flat[1::3]), map(int, flat[2::3]), flat[::3], strict=True)
                return Unclaimed(now_ms, list(ranks))

    async def find(
        self, keys: PartitionKeys, request_ids: Sequence[str]
    ) -> list[tuple[str, str, str] | None]:
        """(verb, analyst, threat id) of each remembered act; None where nothing is remembered."""
        names = [keys.meta, keys.done, keys.done_before]
        found: list[tuple[str, str, str] | None] = []
        for first in range(0, len(request_ids), AT_ONCE):
            some = request_ids[first : first + AT_ONCE]
            found += map(_past, await self.functions.call("periscope_find_2", names, some))
        return found

    async def desk(self, keys: PartitionKeys, threat_id: bytes) -> tuple[int, dict[bytes, bytes]]:
        """(server time, analysts hash) of a threat."""
        names = [keys.meta, keys.analysts(threat_id)]
        now_ms, flat = await self.functions.call("periscope_desk", names, (self.functions.moment,))
        return now_ms, dict(zip(flat[::2], flat[1::2], strict=True))

    async def holdings(self, keys: PartitionKeys) -> dict[str, int]:
        """What else the partition holds; names as in `periscope_holdings`."""
        _, flat = await self.functions.call(
            "periscope_holdings", keys.singles, (self.functions.moment,)
        )
        return {
            name.decode(): int(count) for name, count in zip(flat[::2], flat[1::2], strict=True)
        }

    async def promotable(
        self, keys: PartitionKeys, offset: int, count: int
    ) -> tuple[list[bytes], int]:
        """(ids that are latched and free, how many were looked at) from `offset` on."""
        names = [keys.meta, keys.promotable, keys.claims]
        args = (self.functions.moment, offset, count)
        _, ids, examined = await self.functions.call("periscope_promotable", names, args)
        return ids, examined

    async def promote(
        self, keys: PartitionKeys, rules: Rules, batch_id: bytes, ids: Sequence[bytes]
    ) -> list[str]:
        """Promote what is still latched and free; DONE, SKIPPED or UNKNOWN for each.

        The same batch again is answered as the first time.
        """
        return await self._change("periscope_promote_2", keys, rules, batch_id, ids)

    async def settle(
        self, keys: PartitionKeys, rules: Rules, batch_id: bytes, ids: Sequence[bytes]
    ) -> list[str]:
        """Send home what was recalled and is quiet; as `promote`."""
        return await self._change("periscope_settle_2", keys, rules, batch_id, ids)

    async def sleepers(self, keys: PartitionKeys, offset: int, count: int) -> list[bytes]:
        """Ids of snoozed threats whose time has come, the earliest first, from `offset` on."""
        args = (self.functions.moment, offset, count)
        names = [keys.meta, keys.exceptions]
        _, ids = await self.functions.call("periscope_sleepers", names, args)
        return list(ids)

    async def wake(
        self, keys: PartitionKeys, rules: Rules, batch_id: bytes, ids: Sequence[bytes]
    ) -> list[str]:
        """Open again what was snoozed until now; as `promote`."""
        return await self._change("periscope_wake", keys, rules, batch_id, ids)

    async def overtaken(
        self, keys: PartitionKeys, rules: Rules, stretch: int, offset: int, count: int
    ) -> SweepStep:
        """A step of a sweep: what time has overtaken from (stretch, offset) on."""
        args = (rules.packed, self.functions.moment, stretch, offset, count)
        now_ms, found, stretch, offset = await self.functions.call(
            "periscope_overtaken", keys.singles, args
        )
        candidates = [
            Candidate(word.decode(), threat_id, int(revision), record, words, analysts, now_ms)
            for word, threat_id, revision, record, words, analysts in found
        ]
        return SweepStep(now_ms, candidates, stretch, offset)

    async def depart(
        self,
        keys: PartitionKeys,
        rules: Rules,
        batch_id: str,
        departing: Sequence[tuple[bytes, int]],
        actor: str = "",
    ) -> str:
        """Let go of archived threats (id, revision): 'd' or 'k' each, or VOID. Safe to repeat."""
        revisions = [revision for _, revision in departing]
        args = (rules.packed, self.functions.moment, batch_id, actor, *revisions)
        names = _pairs(keys, [threat_id for threat_id, _ in departing])
        _, words = await self.functions.call("periscope_depart", names, args)
        return _departure(words, len(departing))

    async def resolve(self, keys: PartitionKeys, batch_id: str, count: int) -> str:
        """What became of a departure of which no answer came; VOID if nothing ever will."""
        words = await self.functions.call(
            "periscope_resolve", [keys.meta, keys.departures], (batch_id, self.functions.moment)
        )
        return _departure(words, count)

    async def confirm(self, keys: PartitionKeys, batch_ids: Sequence[str]) -> None:
        """Forget the answers of departures that the archive has confirmed."""
        if batch_ids:
            await self.functions.call("periscope_confirm", [keys.departures], tuple(batch_ids))

    async def forget(self, keys: PartitionKeys, rules: Rules, most: int) -> int:
        """Forget stubs that are too old or too many, `most` at once; how many."""
        args = (rules.packed, self.functions.moment, most)
        return int(await self.functions.call("periscope_forget", keys.singles, args))

    async def trim_audit(self, keys: PartitionKeys, last_entry: str) -> None:
        """Let go of the audit trail up to an entry that is in the archive."""
        while await self.functions.call("periscope_trim", [keys.meta, keys.audit], (last_entry,)):
            pass

    async def events(
        self, keys: PartitionKeys, after: str, count: int
    ) -> tuple[str, list[tuple[str, bytes]]]:
        """(last entry that was let go of, entries after `after` as (id, payload))."""
        lost, found = await self.functions.call(
            "periscope_events", [keys.meta, keys.events], (after, count)
        )
        return lost.decode(), [(entry.decode(), fields[1]) for entry, fields in found]

    async def note(self, control: bytes, name: str, expected: str, value: str) -> str:
        """Compare and set a note on the whole database; what it says now."""
        found = await self.functions.call(
            "periscope_note",
            [control],
            (name, expected, value),
            aside=True,
            lasting=expected != value,  # else it is only read
        )
        return bytes(found).decode()

    async def _change(
        self, name: str, keys: PartitionKeys, rules: Rules, batch_id: bytes, ids: Sequence[bytes]
    ) -> list[str]:
        args = (rules.packed, self.functions.moment)
        names = _pairs(keys, ids, keys.reply(batch_id))
        _, words = await self.functions.call(name, names, args)
        told = [word.decode() for word in words]
        if not set(told) <= {"DONE", "SKIPPED", "UNKNOWN"} or len(told) != len(ids):
            raise BugError(f"{name} answered {told!r:.100} to {len(ids)} threats")
        return told

    def _at(self, as_of_ms: int | None) -> Any:
        return self.functions.moment if as_of_ms is None else as_of_ms


def decode(packed: bytes) -> Any:
    """What the functions packed with msgpack."""
    return msgspec.msgpack.decode(packed)


def _pairs(keys: PartitionKeys, ids: Sequence[bytes], *own: bytes) -> list[bytes]:
    names = [*keys.singles, *own]
    for threat_id in ids:
        names += (keys.record(threat_id), keys.analysts(threat_id))
    return names


def _queue(keys: PartitionKeys) -> list[bytes]:
    return [keys.meta, keys.board, keys.exceptions]


def _moment(place: bytes) -> int:
    return int.from_bytes(place[8:14])


def _departure(words: bytes, expected: int) -> str:
    text = words.decode()
    if text != VOID and (len(text) != expected or text.strip("dk")):
        raise BugError(f"a departure of {expected} threats was answered {text!r:.100}")
    return text


def _past(found: list[bytes]) -> tuple[str, str, str] | None:
    if not found:
        return None
    verb, analyst, threat_id = (part.decode() for part in found)
    return verb, analyst, threat_id
