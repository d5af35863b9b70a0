"""A lane: one connection with several chunks under way, answered in the order sent.

Order is the point: a threat that is reported in two chunks must end as the later one says, so the
chunks of a batch share one connection. When it is lost, every unanswered chunk is sent again in the
same order over a new one; each has an id whose reply the server remembers, so none counts twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from periscope.acts import ActReply, PackedAct, parse_acts
from periscope.connection import LOST, RECONNECT_PAUSE_S, honour
from periscope.errors import BugError
from periscope.functions import Functions, PolicyMoved, is_missing_function, parse_ingest
from periscope.intake import Packed
from periscope.keys import PartitionKeys
from periscope.models import Outcome

HEALS = 3


@dataclass(slots=True, eq=False)
class Chunk:
    """What travels, and is stored, together: entries of one partition."""

    keys: PartitionKeys
    chunk_id: bytes = field(default_factory=lambda: token_bytes(12), kw_only=True)
    heals: int = field(default=0, kw_only=True)

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
        head = (functions.rules.packed, moment, int(self.full), int(self.first))
        payloads = [act.payload for act in self.acts]
        return ("FCALL", "periscope_act", len(names), *names, *head, *payloads)

    def parse(self, reply: Any) -> list[ActReply]:
        """A reply for each act."""
        return parse_acts(reply, len(self.acts))


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a chunk: what it parsed to, or the error with which the server refused it."""

    chunk: Chunk
    result: Any
    refusal: Exception | None = None


class Lane:
    """Sends chunks over a connection of its own, at most `in_flight` unanswered at a time."""

    def __init__(
        self, functions: Functions, connection: AbstractConnection, in_flight: int, retry_s: float
    ) -> None:
        self._functions = functions
        self._connection = connection
        self._in_flight = in_flight
        self._retry_s = retry_s
        self._unanswered: deque[Chunk] = deque()
        self._answers: list[Answer] = []
        self._deadline: float | None = None
        self._ended: Exception | None = None

    @property
    def unanswered(self) -> int:
        """Entries that were sent and have no answer: their outcome is unknown."""
        return sum(chunk.size for chunk in self._unanswered)

    async def submit(self, chunk: Chunk) -> None:
        """Send a chunk, first waiting for room. Answers that come meanwhile are kept for `answers`.

        Raises:
            StoreUnavailable: the server stayed away for longer than `retry_s`.
        """
        while len(self._unanswered) >= self._in_flight:
            await self._receive()
        self._unanswered.append(chunk)
        try:
            await self._send(chunk)
        except LOST as exc:
            await self._reconnect(exc)

    async def drain(self) -> None:
        """Wait for every answer that is still out."""
        while self._unanswered:
            await self._receive()

    def answers(self) -> list[Answer]:
        """Answers received since the last time this was asked, in the order of sending."""
        answers, self._answers = self._answers, []
        return answers

    async def abandon(self) -> None:
        """Drop the connection if answers are still out, so that nobody else receives them."""
        if self._unanswered:
            await self._connection.disconnect(nowait=True)

    async def _receive(self) -> None:
        """Take one answer off the wire; or mend, reconnect, and leave it to the next call."""
        if self._ended is not None:
            raise self._ended
        try:
            reply = await self._connection.read_response()
        except ResponseError as exc:
            if not await self._heal(exc):
                self._answer(None, self._functions.explain(exc))
        except LOST as exc:
            await self._reconnect(exc)
        else:
            await self._take(reply)

    async def _take(self, reply: object) -> None:
        chunk = self._unanswered[0]
        try:
            result = chunk.parse(reply)
        except BugError as exc:
            # Not an answer to a chunk: whatever follows on this wire cannot be trusted either.
            await self._connection.disconnect(nowait=True)
            chunk.heals += 1
            if chunk.heals > HEALS:
                raise
            await self._reconnect(exc)
        else:
            self._answer(result)

    def _answer(self, result: Any, refusal: Exception | None = None) -> None:
        self._answers.append(Answer(self._unanswered.popleft(), result, refusal))
        self._deadline = None

    async def _send(self, chunk: Chunk) -> None:
        command = chunk.command(self._functions, self._before(chunk))
        await honour(self._connection.send_packed_command(pack_command(command)))

    def _before(self, chunk: Chunk) -> bytes:
        """The unanswered chunk of the same partition that must be stored first; else the chunk.

        Without this a chunk could be refused and the one behind it accepted, when somebody else
        loads the library between the two: the older report would come last.
        """
        before = chunk.chunk_id
        for other in self._unanswered:
            if other is chunk:
                break
            if other.keys is chunk.keys:
                before = other.chunk_id
        return before

    async def _heal(self, exc: ResponseError) -> bool:
        """Mend what can be mended (library flushed, policy moved); then send everything again.

        The chunks behind the refused one were refused as well, because each names the one before:
        sending all of them again keeps the order.
        """
        first = self._unanswered[0]
        error = self._functions.explain(exc)
        missing = is_missing_function(exc)
        if not (missing or isinstance(error, PolicyMoved)) or first.heals >= HEALS:
            return False
        first.heals += 1
        await self._read_away(len(self._unanswered) - 1)
        if missing:
            await self._functions.load()
        else:
            await self._functions.refresh()
        await self._send_again()
        return True

    async def _read_away(self, count: int) -> None:
        for _ in range(count):
            try:
                await self._connection.read_response()
            except ResponseError:
                continue
            except LOST:
                return

    async def _send_again(self) -> None:
        try:
            for chunk in self._unanswered:
                await self._send(chunk)
        except LOST as exc:
            await self._reconnect(exc)

    async def _reconnect(self, cause: BaseException) -> None:
        """Connect anew and send every unanswered chunk again.

        The time for it runs from the first failure to the next answer: a server that shakes hands
        and then answers nothing is as far away as one that is not there.
        """
        now = asyncio.get_running_loop().time
        self._deadline = self._deadline or now() + self._retry_s
        while True:
            await self._connection.disconnect(nowait=True)
            if now() >= self._deadline:
                self._ended = self._functions.explain(cause)
                raise self._ended from cause
            try:
                await self._functions.connections.mend()
                await self._connection.connect()
                for chunk in self._unanswered:
                    await self._send(chunk)
            except (*LOST, ResponseError) as exc:
                cause = exc
                await asyncio.sleep(RECONNECT_PAUSE_S)
            else:
                return
