"""Chunks: what travels, and is stored, together. Each knows its command and reads its reply."""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any

from periscope.acts import ActReply, PackedAct, parse_acts
from periscope.awaits import Awaits
from periscope.functions import Functions, parse_ingest
from periscope.keys import PartitionKeys
from periscope.marks import Packed
from periscope.models import Outcome

CHUNK_ID_BYTES = 12
REPEATED_FOR_S = 480  # less than the ten minutes for which replies are remembered


@dataclass(slots=True, eq=False)
class Chunk:
    """Entries of one partition. `awaits`: what must have happened before they count as stored.

    `in_doubt`: it was sent and the answer was lost, so it may have been stored.
    """

    keys: PartitionKeys
    chunk_id: bytes = field(default_factory=lambda: token_bytes(CHUNK_ID_BYTES), kw_only=True)
    heals: int = field(default=0, kw_only=True)
    in_doubt: bool = field(default=False, kw_only=True)
    _doubted_at: float = field(default=0.0, kw_only=True)
    awaits: Awaits = field(default=Awaits.NOTHING, kw_only=True)

    @property
    def size(self) -> int:
        """How many entries it has."""
        raise NotImplementedError

    def doubt(self) -> None:
        """The answer was lost."""
        if not self.in_doubt:
            self.in_doubt, self._doubted_at = True, get_running_loop().time()

    @property
    def is_forgotten(self) -> bool:
        """May the server have forgotten that it stored this? A repetition would count once more."""
        return self.in_doubt and get_running_loop().time() > self._doubted_at + REPEATED_FOR_S

    def command(self, functions: Functions, before_id: bytes) -> tuple[Any, ...]:
        """The call that stores it, once the chunk `before_id` was stored (its own id: none)."""
        raise NotImplementedError

    def parse(self, reply: Any) -> Any:
        """What became of its entries, from the server's reply.

        Raises:
            BugError: this is no reply to such a call.
        """
        raise NotImplementedError


@dataclass(slots=True, eq=False)
class ReportChunk(Chunk):
    """Reports of one partition, and how many rejected ones are to be counted with them.

    `marks` says which of them are noise; of `pack_marks`.
    """

    reports: Sequence[Packed]
    rejected: int = 0
    marks: bytes = b""

    @property
    def size(self) -> int:
        """How many reports it has."""
        return len(self.reports)

    def command(self, functions: Functions, before_id: bytes) -> tuple[Any, ...]:
        """The call of periscope_ingest_3."""
        return functions.ingest_command(
            self.keys, self.chunk_id, before_id, self.rejected, self.reports, self.marks
        )

    def parse(self, reply: Any) -> list[tuple[int, Outcome]]:
        """Runs of outcomes."""
        return parse_ingest(reply, len(self.reports))


@dataclass(slots=True, eq=False)
class ActChunk(Chunk):
    """Acts on threats of one partition.

    `full` asks for the threats as well; with `first` acts are tried until one is done.
    """

    acts: Sequence[PackedAct]
    full: bool = False
    first: bool = False

    @property
    def size(self) -> int:
        """How many acts it has."""
        return len(self.acts)

    def command(self, functions: Functions, before_id: bytes) -> tuple[Any, ...]:
        """The call of periscope_act."""
        keys = self.keys
        names = [*keys.singles, keys.reply(self.chunk_id), keys.reply(before_id)]
        for act in self.acts:
            names += (keys.record(act.threat_id), keys.analysts(act.threat_id))
        moment = functions.moment
        # 2: with records, and another chunk may follow that names this one as stored before it.
        full = 2 if self.full and not self.first else int(self.full)
        head = (functions.rules.packed, moment, full, int(self.first))
        payloads = [act.payload for act in self.acts]
        return ("FCALL", "periscope_act", len(names), *names, *head, *payloads)

    def parse(self, reply: Any) -> list[ActReply]:
        """A reply for each act."""
        return parse_acts(reply, len(self.acts))


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a chunk: what it parsed to, or the error with which the server refused it.

    `short`: it was carried out, but not enough replicas have it: it may yet be lost.
    """

    chunk: Chunk
    result: Any
    refusal: Exception | None = None
    short: bool = False

    def stored_ids(self) -> Iterable[bytes]:
        """Ids of the reports that went in: what was suppressed left no threat behind."""
        if not isinstance(self.chunk, ReportChunk):
            return ()
        ids = (report[0] for report in self.chunk.reports)
        if all(outcome is not Outcome.SUPPRESSED for _, outcome in self.result):
            return ids
        outcomes = (outcome for count, outcome in self.result for _ in range(count))
        return [one for one in ids if next(outcomes) is not Outcome.SUPPRESSED]
