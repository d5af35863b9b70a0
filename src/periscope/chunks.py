"""Chunks: what travels, and is stored, together. Each knows its command and reads its reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from secrets import token_bytes
from typing import Any

from hiredis import pack_command

from periscope.acts import ActReply, PackedAct, parse_acts
from periscope.functions import Functions, parse_ingest
from periscope.intake import Packed
from periscope.keys import PartitionKeys
from periscope.models import Outcome
from periscope.settings import Settings

SHORT = (
    "stored, but not as safely as asked for: too few replicas (or no disk) confirmed it in time; "
    "repeating it is safe"
)
TOUCH_MS = 60_000
DOUBT = "sent, and not answered: repeating it is safe"


class Awaits(IntFlag):
    """What an acknowledgement waits for, beyond what the server does by itself."""

    NOTHING = 0
    DISK = 1
    REPLICAS = 2


@dataclass(slots=True, eq=False)
class Chunk:
    """Entries of one partition. `awaits`: what must have happened before they count as stored.

    `in_doubt`: it was sent and the answer was lost, so it may have been stored.
    """

    keys: PartitionKeys
    chunk_id: bytes = field(default_factory=lambda: token_bytes(12), kw_only=True)
    heals: int = field(default=0, kw_only=True)
    in_doubt: bool = field(default=False, kw_only=True)
    awaits: Awaits = field(default=Awaits.NOTHING, kw_only=True)

    @property
    def size(self) -> int:
        """How many entries it has."""
        raise NotImplementedError

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
    """Reports of one partition, and how many rejected ones are to be counted with them."""

    reports: Sequence[Packed]
    rejected: int = 0

    @property
    def size(self) -> int:
        """How many reports it has."""
        return len(self.reports)

    def command(self, functions: Functions, before_id: bytes) -> tuple[Any, ...]:
        """The call of periscope_ingest_2."""
        return functions.ingest_command(
            self.keys, self.chunk_id, before_id, self.rejected, self.reports
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


def following(chunk: Chunk, settings: Settings) -> bytes:
    """What follows a chunk on its connection, packed: nothing, or what makes it as safe as asked.

    WAIT counts what its connection wrote. A chunk that was stored over another connection, before
    that was lost, writes nothing when sent again: a small write stands for it.
    """
    if not chunk.awaits:
        return b""
    wait_ms = int(settings.replica_timeout_s * 1000)
    packed: bytes = _packed("SET", chunk.keys.reply(b"wait"), b"1", "PX", TOUCH_MS)
    if Awaits.DISK in chunk.awaits:
        packed += _packed("WAITAOF", 1, 0, wait_ms)
    if Awaits.REPLICAS in chunk.awaits:
        packed += _packed("WAIT", settings.replicas, wait_ms)
    return packed


def is_safe(awaits: Awaits, told: Sequence[Any], replicas: int) -> bool:
    """Do the answers of WAITAOF and WAIT say that enough disks and replicas have it?"""
    answers = iter(told)
    on_disk = Awaits.DISK not in awaits or int(next(answers)[0]) >= 1
    return on_disk and (Awaits.REPLICAS not in awaits or int(next(answers)) >= replicas)


def _packed(*words: bytes | str | int) -> bytes:
    packed: bytes = pack_command(words)  # type: ignore[arg-type]
    return packed
