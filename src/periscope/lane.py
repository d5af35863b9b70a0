"""A lane: chunks under way to the servers, answered in the order sent.

Order is the point: a threat that is reported in two chunks must end as the later one says, so the
chunks of a partition share one connection. When anything goes wrong on the way, every unanswered
chunk is sent again, in the same order, to whoever is in charge by then: each has an id whose reply
is remembered (an act its own), so none counts twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from periscope.chunks import DOUBT, Answer, Awaits, Chunk
from periscope.connection import LOST, Node, honour
from periscope.connection.explain import ELSEWHERE, is_moving, is_short_of_replicas
from periscope.connection.patience import Patience
from periscope.errors import (
    AuditFull,
    BugError,
    OutcomeUnknown,
    PeriscopeError,
    StoreDamaged,
    StoreFull,
    StoreUnavailable,
)
from periscope.functions import Functions, PolicyMoved, is_missing_function
from periscope.keys import PartitionKeys
from periscope.settings import Settings

HEALS = 3
log = logging.getLogger("periscope")
_WAITS = (Awaits.DISK, Awaits.REPLICAS)
TOUCH_MS = 60_000
FULL_PAUSE_S = 0.25


@dataclass(frozen=True, slots=True)
class _Sent:
    """A chunk that is under way, and where its answer will come."""

    chunk: Chunk
    wire: AbstractConnection
    node: Node


class Lane:
    """Sends chunks of some partitions, at most `in_flight` unanswered to each server at a time.

    It holds a connection to each server of those partitions from `open` to `close`. `wait_s` is how
    long a chunk waits for a server that is full; it is refused then.
    """

    def __init__(
        self,
        functions: Functions,
        partitions: Sequence[PartitionKeys],
        settings: Settings,
        *,
        wait_s: float = 0.0,
    ) -> None:
        self._functions = functions
        self._connections = functions.connections
        self._partitions = partitions
        self._settings = settings
        self._wait_s = wait_s
        self._away_s = max(settings.retry_s, wait_s)
        self._wires: dict[Node, AbstractConnection] = {}
        self._unanswered: deque[Chunk] = deque()
        self._sent: deque[_Sent] = deque()
        self._answers: list[Answer] = []
        self._patience: Patience | None = None
        self._full_since: float | None = None
        self._ended: Exception | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Shielded: a cancelled return of connections would keep them from everybody else for ever.
        await asyncio.shield(self.close())

    @property
    def unanswered(self) -> int:
        """Entries that were sent and have no answer: their outcome is unknown."""
        return sum(chunk.size for chunk in self._unanswered)

    @property
    def under_way(self) -> int:
        """Chunks that were sent and have no answer."""
        return len(self._unanswered)

    async def open(self) -> None:
        """Take a connection to each server of the partitions.

        Raises:
            StoreUnavailable: one could not be reached for `retry_s`.
        """
        # In one order for all lanes: two of them cannot each hold what the other one waits for.
        for keys in sorted(self._partitions, key=self._place):
            node = self._connections.topology.node_of(keys.meta)
            if node is None or node not in self._wires:
                node, wire = await self._connections.take(keys.meta, self._away_s)
                if node in self._wires:
                    await node.pool.release(wire)
                else:
                    self._wires[node] = wire

    async def close(self) -> None:
        """Give the connections back; those with answers still out are cut, so nobody gets them."""
        waiting = {sent.wire for sent in self._sent}
        self._sent.clear()
        for node, wire in list(self._wires.items()):
            del self._wires[node]
            if wire in waiting:
                await wire.disconnect(nowait=True)
            await node.pool.release(wire)

    async def make_room(self) -> None:
        """Wait until another chunk may be under way; as `submit`, which does so by itself."""
        while len(self._unanswered) >= self._settings.in_flight * max(1, len(self._wires)):
            await self.receive()

    async def submit(self, chunk: Chunk) -> None:
        """Send a chunk, first waiting for room. Answers that come meanwhile are kept for `answers`.

        Raises:
            StoreUnavailable: the server stayed away for longer than `retry_s`.
        """
        await self.make_room()
        self._unanswered.append(chunk)
        try:
            await self._send(chunk)
        except (RedisError, *LOST) as exc:
            await self._recover(exc)

    async def drain(self) -> None:
        """Wait for every answer that is still out."""
        while self._unanswered:
            await self.receive()

    def answers(self) -> list[Answer]:
        """Answers received since the last time this was asked, in the order of sending."""
        answers, self._answers = self._answers, []
        return answers

    async def take_back(self) -> list[Chunk]:
        """Give up on all that is unanswered; return it in the order sent.

        For chunks behind one that was refused: each names the one before, so none was stored.
        """
        await self._cut()
        chunks = list(self._unanswered)
        self._unanswered.clear()
        await self.close()
        return chunks

    async def receive(self) -> None:
        """Take the next answer off its wire; or mend what is wrong, for the next call."""
        if self._ended is not None:
            raise self._ended
        sent = self._sent[0]
        try:
            reply, safe = await self._read(sent)
            result = None if isinstance(reply, ResponseError) else sent.chunk.parse(reply)
        except (BugError, RedisError, *LOST) as exc:
            await self._recover(exc)
            return
        self._sent.popleft()
        if isinstance(reply, ResponseError):
            await self._refused(sent.chunk, reply)
        else:
            sent.node.away_since = None
            self._answer(Answer(sent.chunk, result, short=not safe))

    async def _read(self, sent: _Sent) -> tuple[Any, bool]:
        """(the reply, or the error with which it was refused; is it as safe as was asked for?)."""
        reply = await _reply(sent.wire)
        awaits = sent.chunk.awaits
        if not awaits:
            return reply, True
        told = [await _reply(sent.wire)]
        # Several that are under way wait one after the other.
        most_s = self._settings.replica_timeout_s * (len(self._unanswered) + 1)
        told += [await _reply(sent.wire, most_s) for kind in _WAITS if kind in awaits]
        if isinstance(reply, ResponseError):
            return reply, False
        for answer in told:
            if isinstance(answer, ResponseError):
                raise answer
        return reply, _is_safe(awaits, told[1:], self._settings.replicas)

    def _answer(self, answer: Answer) -> None:
        self._unanswered.popleft()
        self._answers.append(answer)
        self._patience = self._full_since = None

    async def _refused(self, chunk: Chunk, exc: ResponseError) -> None:
        """Nothing of a chunk was stored. What can be mended is, and it goes again."""
        error = self._functions.explain(exc)
        if self._will_pass(exc) or self._may_wait(error):
            await self._recover(exc)
        elif self._can_heal(chunk, exc, error):
            chunk.heals += 1
            await self._recover(exc)
        else:
            self._answer(Answer(chunk, None, _doubted(chunk, error)))

    def _will_pass(self, exc: ResponseError) -> bool:
        """Are these threats on the move, or is another primary about to serve them?"""
        by_itself = isinstance(exc, ELSEWHERE) or is_short_of_replicas(exc)
        return (
            is_moving(exc)
            or isinstance(exc, LOST)
            or (by_itself and self._connections.topology.can_change)
        )

    def _can_heal(self, chunk: Chunk, exc: ResponseError, error: Exception) -> bool:
        """Library flushed, policy moved; or the chunk before had a reason of its own."""
        passing = is_missing_function(exc) or isinstance(error, PolicyMoved)
        return (passing or "OUT_OF_ORDER" in str(exc)) and chunk.heals < HEALS

    def _may_wait(self, error: Exception) -> bool:
        """Is the server full, and is there time left to wait until it no longer is?"""
        if not isinstance(error, StoreFull) or not self._wait_s:
            return False
        now = asyncio.get_running_loop().time()
        if self._full_since is None:
            self._full_since = now
            log.warning("waiting for up to %.0f s: %s", self._wait_s, error)
        return now < self._full_since + self._wait_s

    async def _send(self, chunk: Chunk) -> None:
        node = self._connections.topology.node_of(chunk.keys.meta)
        wire = self._wires.get(node) if node is not None else None
        if node is None or wire is None:
            raise RedisConnectionError("the server of these threats was replaced")
        packed = pack_command(chunk.command(self._functions, self._before(chunk)))
        if chunk.awaits:
            packed += self._wait_commands(chunk)
        self._sent.append(_Sent(chunk, wire, node))
        # No health check: its answer would be taken for that of a chunk.
        await honour(wire.send_packed_command(packed, check_health=False))

    def _wait_commands(self, chunk: Chunk) -> bytes:
        # WAIT counts what this connection wrote. A chunk that was stored over another connection,
        # before that was lost, writes nothing when sent again: this small write stands for it.
        settings, wait_ms = self._settings, int(self._settings.replica_timeout_s * 1000)
        packed: bytes = _packed("SET", chunk.keys.reply(b"wait"), b"1", "PX", TOUCH_MS)
        if Awaits.DISK in chunk.awaits:
            packed += _packed("WAITAOF", 1, 0, wait_ms)
        if Awaits.REPLICAS in chunk.awaits:
            packed += _packed("WAIT", settings.replicas, wait_ms)
        return packed

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

    async def _recover(self, cause: BaseException) -> None:
        """Mend what is wrong, and send every unanswered chunk again, in order, over fresh wires.

        The time for it runs from the first failure to the next answer: a server that shakes hands
        and then answers nothing is as far away as one that is not there.
        """
        while True:
            try:
                await self._mend(cause)
                await self._send_again()
                return
            except (RedisError, *LOST) as exc:
                cause = exc
            except PeriscopeError as exc:  # nothing here mends it: its disk is full, say
                if self._ended is None:
                    self._end(exc)
                raise

    async def _mend(self, cause: BaseException) -> None:
        chunk = self._unanswered[0]
        self._doubt(cause, chunk)
        await self._cut()
        if isinstance(cause, BugError):
            # Not an answer to a chunk: whatever follows on this wire cannot be trusted either.
            chunk.heals += 1
            if chunk.heals > HEALS:
                self._end(cause)
            cause = RedisConnectionError(str(cause))
        error = self._functions.explain(cause)
        if isinstance(cause, LOST) and await self._connections.mend():
            return
        if is_missing_function(cause):
            await self._functions.load()
        elif isinstance(error, PolicyMoved):
            await self._functions.refresh()
        elif isinstance(error, StoreFull):
            await asyncio.sleep(FULL_PAUSE_S)
        elif "OUT_OF_ORDER" not in str(cause):
            await self._bear(cause, chunk)

    def _doubt(self, cause: BaseException, first: Chunk) -> None:
        """Whatever was sent may have been stored; behind one that was refused nothing was."""
        refused = isinstance(cause, ResponseError) and not isinstance(cause, LOST)
        for sent in self._sent:
            if not refused or sent.chunk.keys is not first.keys:
                sent.chunk.in_doubt = True

    async def _bear(self, cause: BaseException, chunk: Chunk) -> None:
        if self._patience is None:
            self._patience = self._connections.patience(self._away_s)
            if self._wait_s:
                log.warning("waiting for up to %.0f s: %s", self._away_s, cause)
        node = self._connections.topology.node_of(chunk.keys.meta)
        try:
            await self._patience.bear(cause, chunk.keys.meta, node)
        except (RedisError, *LOST) as exc:
            self._end(exc)

    def _end(self, cause: BaseException) -> None:
        """Give up: nothing more is sent, and what is unanswered stays unknown."""
        error: Exception = self._functions.explain(cause)
        if isinstance(error, StoreUnavailable):
            error = OutcomeUnknown(f"{error}; {DOUBT}")
        self._ended = error
        raise error from cause

    async def _cut(self) -> None:
        """Drop every connection with answers out: they come to chunks that are sent again."""
        for wire in {sent.wire for sent in self._sent}:
            await wire.disconnect(nowait=True)
        self._sent.clear()

    async def _send_again(self) -> None:
        await self.close()
        await self.open()
        for chunk in self._unanswered:
            await self._send(chunk)

    def _place(self, keys: PartitionKeys) -> tuple[Any, ...]:
        node = self._connections.topology.node_of(keys.meta)
        return node.address if node is not None else ()


def _packed(*words: bytes | str | int) -> bytes:
    packed: bytes = pack_command(words)  # type: ignore[arg-type]
    return packed


async def _reply(wire: AbstractConnection, more_s: float = 0.0) -> Any:
    """The next reply of a wire; an error of the server's is returned, not raised."""
    timeout = wire.socket_timeout + more_s if more_s and wire.socket_timeout else None
    try:
        reply = await wire.read_response(timeout=timeout, disconnect_on_error=False)
    except ResponseError as exc:
        return exc
    if reply is None and timeout is not None:
        raise RedisTimeoutError("no answer in time")
    return reply


def _doubted(chunk: Chunk, error: Exception) -> Exception:
    """The refusal of a chunk; a server that refuses anything at all does not say what it has."""
    looked = isinstance(error, StoreDamaged | BugError | AuditFull)  # inside of the function
    if chunk.in_doubt and not looked:
        return OutcomeUnknown(f"{error}; {DOUBT}")
    return error


def _is_safe(awaits: Awaits, told: Sequence[Any], replicas: int) -> bool:
    """Do the answers of WAITAOF and WAIT say that enough disks and replicas have it?"""
    answers = iter(told)
    on_disk = Awaits.DISK not in awaits or int(next(answers)[0]) >= 1
    return on_disk and (Awaits.REPLICAS not in awaits or int(next(answers)) >= replicas)
