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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, Self

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from periscope.awaits import DOUBT, Awaits, doubted, following, is_safe
from periscope.chunks import Answer, Chunk
from periscope.connection import LOST, Node, honour, reply_on
from periscope.connection.explain import ELSEWHERE, is_busy, is_moving, is_short_of_replicas
from periscope.connection.patience import Patience
from periscope.errors import (
    BugError,
    OutcomeUnknown,
    PeriscopeError,
    StoreFull,
)
from periscope.functions import Functions, PolicyMoved, is_missing_function
from periscope.keys import PartitionKeys
from periscope.settings import Settings

HEALS = 3
log = logging.getLogger("periscope")
_WAITS = (Awaits.DISK, Awaits.REPLICAS)
FULL_PAUSE_S = 0.25
REPEATED_FOR_S = 300  # half of the time for which replies are remembered


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
        try:
            await self.open()
        except BaseException:
            await asyncio.shield(self.close())
            raise
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
        out = {sent.chunk for sent in self._sent}
        return sum(c.size for c in self._unanswered if c.in_doubt or c in out)

    @property
    def unsent(self) -> int:
        """Entries that were given to the lane and certainly never stored."""
        return sum(chunk.size for chunk in self._unanswered) - self.unanswered

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
                node, wire = await self._connections.take(keys.meta, self._patience_s())
                if node in self._wires:
                    await node.pool.release(wire)
                else:
                    self._wires[node] = wire

    async def close(self) -> None:
        """Give the connections back; those with answers still out are cut, so nobody gets them."""
        self.keep()
        waiting = {sent.wire for sent in self._sent}
        self._sent.clear()
        for node, wire in list(self._wires.items()):
            del self._wires[node]
            if wire in waiting:
                await wire.disconnect(nowait=True)
            await node.pool.release(wire)

    def offer(self, taken: Callable[[], None]) -> bool:
        """Keep the connections while nobody waits for one; `taken` is called when one goes.

        False, and nothing is offered, if somebody waits now or answers are out.
        """
        if self._sent:
            return False
        for node, wire in self._wires.items():
            if not node.pool.offer(wire, partial(self._lost, node, taken)):
                self.keep()
                return False
        return True

    def keep(self) -> None:
        """Use the connections again that were offered."""
        for node, wire in self._wires.items():
            node.pool.keep(wire)

    def _lost(self, node: Node, taken: Callable[[], None]) -> None:
        del self._wires[node]
        taken()

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
        reply = await reply_on(sent.wire)
        awaits = sent.chunk.awaits
        if not awaits:
            return reply, True
        told = [await reply_on(sent.wire)]
        # Several that are under way wait one after the other.
        most_s = self._settings.replica_timeout_s * (len(self._unanswered) + 1)
        told += [await reply_on(sent.wire, most_s) for kind in _WAITS if kind in awaits]
        if isinstance(reply, ResponseError):
            return reply, False
        for answer in told:
            if isinstance(answer, ResponseError):
                return reply, self._unconfirmed(sent.chunk, answer)
        return reply, is_safe(awaits, told, self._settings.replicas)

    def _unconfirmed(self, chunk: Chunk, exc: ResponseError) -> bool:
        """The chunk is stored, but the question how safely was refused: it cannot count as safe."""
        chunk.in_doubt = True
        if isinstance(exc, ELSEWHERE):  # whoever is in charge now is asked, and remembers
            raise RedisConnectionError(f"no longer in charge: {exc}") from exc
        log.warning("a confirmation was refused: %s", self._functions.explain(exc))
        return False

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
            self._answer(Answer(chunk, None, doubted(error) if chunk.in_doubt else error))

    def _will_pass(self, exc: ResponseError) -> bool:
        """Are these threats on the move, or is another primary about to serve them?"""
        by_itself = isinstance(exc, ELSEWHERE) or is_short_of_replicas(exc)
        return (
            is_moving(exc)
            or is_busy(exc)
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
        if not wire.is_connected:
            # Sending would connect it anew, and the next answer would be taken for an older one's.
            raise RedisConnectionError("the connection was cut")
        packed: bytes = pack_command(chunk.command(self._functions, self._before(chunk)))
        for command in following(chunk.keys.meta, chunk.awaits, self._settings):
            packed += pack_command(command)  # type: ignore[arg-type]
        self._sent.append(_Sent(chunk, wire, node))
        # No health check: its answer would be taken for that of a chunk.
        await honour(wire.send_packed_command(packed, check_health=False))

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
            except PeriscopeError as exc:
                self._end(exc)

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
        if isinstance(cause, LOST):
            await self._connections.mend()
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
        now = asyncio.get_running_loop().time()
        for sent in self._sent:
            if not refused or sent.chunk.keys is not first.keys:
                sent.chunk.in_doubt = True
                sent.chunk.doubted_since = sent.chunk.doubted_since or now

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

    def _end(self, cause: BaseException) -> NoReturn:
        """Give up: nothing more is sent, and what may have been stored stays unknown."""
        if self._ended is None:
            error: Exception = self._functions.explain(cause)
            if self.unanswered and not isinstance(error, OutcomeUnknown):
                error = OutcomeUnknown(f"{error}; {DOUBT}")
            self._ended = error
        if self._ended is cause:
            raise self._ended
        raise self._ended from cause

    async def _cut(self) -> None:
        """Drop every connection with answers out: they come to chunks that are sent again."""
        for wire in {sent.wire for sent in self._sent}:
            await wire.disconnect(nowait=True)
        self._sent.clear()

    async def _send_again(self) -> None:
        await self.close()
        await self.open()
        self._check_doubts()
        for chunk in self._unanswered:
            await self._send(chunk)

    def _patience_s(self) -> float:
        """How long a server may be away; no longer than it remembers what it may have stored."""
        now = asyncio.get_running_loop().time()
        since = min((c.doubted_since for c in self._unanswered if c.doubted_since), default=now)
        return min(self._away_s, since + REPEATED_FOR_S - now)

    def _check_doubts(self) -> None:
        """Repeat nothing that the server may have forgotten: it would count it once more."""
        if self._patience_s() < 0:
            raise OutcomeUnknown(f"no answer for too long; {DOUBT}")

    def _place(self, keys: PartitionKeys) -> tuple[Any, ...]:
        node = self._connections.topology.node_of(keys.meta)
        return node.address if node is not None else ()
