"""From the partitions of the source to those of the copy. Every step may be repeated.

What was written is read back and compared at once: nothing of either side changes meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from periscope.backup import Progress
from periscope.functions import LEDGER_FIELDS, Arg
from periscope.keys import Keyspace, PartitionKeys
from periscope.moving.calls import Copied, MoverCalls
from periscope.moving.proving import Proving
from periscope.moving.reading import Pairs, Reading
from periscope.rules import Rules
from periscope.suppressed import read_entry

STEP = 80  # threats of one call: what a server writes within a few milliseconds,
STEP_BYTES = 2**19  # or so many bytes
MOST_WAITING_BYTES = 2**25
MEMOS = ("done", "done_before")
FILL_STEP = 500
FILL_BYTES = 2**18

_decode_memo = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.msgpack.Decoder(str).decode


@dataclass(slots=True)
class _Waiting:
    """Threats for one partition of the copy, until they are worth a call."""

    threats: list[Copied] = field(default_factory=list)
    size: int = 0


class Copying:
    """Fills one copy."""

    def __init__(
        self,
        reading: Reading,
        calls: MoverCalls,
        proving: Proving,
        target: Keyspace,
        rules: Rules,
        progress: Progress,
    ) -> None:
        self._reading = reading
        self._calls = calls
        self._proving = proving
        self._target = target
        self._rules = rules
        self._progress = progress
        self._source: PartitionKeys  # which is being copied: all that waits is of it
        self._waiting: dict[PartitionKeys, _Waiting] = {}
        self._waiting_bytes = 0

    async def partition(self, keys: PartitionKeys) -> None:
        """Copy everything of a partition that belongs to a threat, departed ones too."""
        self._source = keys
        async for ids in self._reading.ids(keys):
            threats = await self._reading.threats(keys, ids)
            for one in threats:
                await self._take(one)
            self._progress.done += len(ids)
        await self._write_all()
        await self._hash(keys.stubs, "stubs", itself)
        await self._ages(keys.stub_ages, "stub_ages")
        await self._hash(keys.suppressed, "suppressed", itself)
        await self._ages(keys.suppressed_ages, "suppressed_ages")
        await self._hash(keys.removed, "removed", itself)
        for name in MEMOS:
            await self._hash(getattr(keys, name), name, threat_of_memo)

    async def totals(self, partitions: Sequence[PartitionKeys]) -> None:
        """Write what the partitions count, as one: the ledger stands in the copy's first one."""
        metas, ledgers = [], []
        for keys in partitions:
            meta, ledger = await self._reading.hashes([keys.meta, keys.ledger])
            metas.append(meta)
            ledgers.append(ledger)
        first, *_ = self._target.partitions
        counts = {name: sum(int(part.get(name, 0)) for part in ledgers) for name in LEDGER_FIELDS}
        await self._calls.fill(first, first.ledger, "hash", _flat(counts))
        acts = {name for meta in metas for name in meta if name.startswith("acts_")}
        sums = {name: _sum(metas, name) for name in ("forgotten", *sorted(acts))}
        await self._calls.fill(first, first.meta, "hash", _flat(sums))
        # The highest of all: tokens of claims only ever rise, and nothing is forgotten early.
        kept = {name: _most(metas, name) for name in ("token", "remembered_since")}
        for keys in self._target.partitions:
            await self._calls.fill(
                keys, keys.meta, "hash", _flat({name: n for name, n in kept.items() if n})
            )

    async def causes(self, copy: Reading) -> None:
        """Count the suppressed entries of each partition of the copy by their cause."""
        for keys in self._target.partitions:
            counts: Counter[str] = Counter()
            async for pairs in copy.fields(keys.suppressed):
                counts.update(read_entry(name, packed).cause for name, packed in pairs)
            causes = [(cause.encode(), b"%d" % number) for cause, number in counts.items()]
            await self._fill(keys, keys.suppressed_causes, "hash", causes)

    async def prove_memos(self, before: Keyspace) -> None:
        """Is every request id that the source remembers in the copy, and nothing else?

        There are fewer only where an id was used in several partitions: each is looked for then.

        Raises:
            MoveError: one is not.
        """
        for name in MEMOS:
            if await self._proving.has_all(self._reading, before, self._target, name):
                continue
            for source in before.partitions:
                async for pairs in self._reading.fields(getattr(source, name)):
                    for keys, part in self._by_target(pairs, threat_of_memo).items():
                        await self._proving.pairs(getattr(keys, name), part, same=False)

    async def _take(self, one: Copied) -> None:
        keys = self._target.partition_of(one.threat_id)
        waiting = self._waiting.setdefault(keys, _Waiting())
        if waiting.threats and waiting.size + one.size > STEP_BYTES:
            await self._write(keys)
            waiting = self._waiting.setdefault(keys, _Waiting())
        waiting.threats.append(one)
        waiting.size += one.size
        self._waiting_bytes += one.size
        if len(waiting.threats) >= STEP:
            await self._write(keys)
        elif self._waiting_bytes > MOST_WAITING_BYTES:
            await self._write_all()

    async def _write(self, keys: PartitionKeys) -> None:
        waiting = self._waiting.pop(keys)
        self._waiting_bytes -= waiting.size
        await self._calls.adopt(keys, self._rules, waiting.threats)
        for one in waiting.threats:
            if one.is_crowded:
                await self._crowd(keys, one.threat_id)
        await self._proving.threats(keys, waiting.threats)

    async def _write_all(self) -> None:
        for keys in list(self._waiting):
            await self._write(keys)

    async def _crowd(self, keys: PartitionKeys, threat_id: bytes) -> None:
        """The analysts of a threat that very many worked on."""
        key = keys.analysts(threat_id)
        async for pairs in self._reading.fields(self._source.analysts(threat_id)):
            await self._fill(keys, key, "hash", pairs)
            await self._proving.pairs(key, pairs, same=True)

    async def _hash(
        self, key: bytes, name: str, threat_of: Callable[[bytes, bytes], bytes]
    ) -> None:
        # Of a request id that was used in several partitions, the first to come stays remembered.
        async for pairs in self._reading.fields(key):
            for keys, part in self._by_target(pairs, threat_of).items():
                await self._fill(keys, getattr(keys, name), "new", part)
                same = threat_of is itself
                await self._proving.pairs(getattr(keys, name), part, same=same)

    async def _ages(self, key: bytes, name: str) -> None:
        async for members in self._reading.scored(key):
            for keys, part in self._by_target(members, itself).items():
                scores = [(score, member) for member, score in part]
                await self._fill(keys, getattr(keys, name), "set", scores)

    def _by_target(
        self, pairs: Pairs, threat_of: Callable[[bytes, bytes], bytes]
    ) -> dict[PartitionKeys, Pairs]:
        """The pairs by the partition of the copy in which their threat is."""
        sorted_out: dict[PartitionKeys, Pairs] = {}
        for name, value in pairs:
            keys = self._target.partition_of(threat_of(name, value))
            sorted_out.setdefault(keys, []).append((name, value))
        return sorted_out

    async def _fill(self, keys: PartitionKeys, key: bytes, kind: str, pairs: Pairs) -> None:
        parts: list[Arg] = []
        size = 0
        for name, value in pairs:
            parts += (name, value)
            size += len(name) + len(value)
            if len(parts) >= 2 * FILL_STEP or size > FILL_BYTES:
                await self._calls.fill(keys, key, kind, parts)
                parts, size = [], 0
        await self._calls.fill(keys, key, kind, parts)


def itself(name: bytes, _: bytes) -> bytes:
    """What is remembered of a threat under its own id."""
    return name


def threat_of_memo(_: bytes, packed: bytes) -> bytes:
    """The threat of a remembered act: [verb, analyst, threat, ...], see 60_desk.lua."""
    return _decode_text(_decode_memo(packed)[2]).encode()


def _flat(counts: dict[str, int]) -> list[Arg]:
    return [part for pair in counts.items() for part in pair]


def _sum(parts: Sequence[dict[str, bytes]], name: str) -> int:
    return sum(int(part.get(name, 0)) for part in parts)


def _most(parts: Sequence[dict[str, bytes]], name: str) -> int:
    return max(int(part.get(name, 0)) for part in parts)
