"""A lane: chunks under way to the servers, those of a partition answered in the order sent.

Order is the point: a threat that is reported in two chunks must end as the later one says, so the
chunks of a partition share one connection. When anything goes wrong on the way, every unanswered
chunk is sent again, in the same order, to whoever is in charge by then: each has an id whose reply
is remembered (an act its own), so none counts twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn, Self

from hiredis import pack_command
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from periscope.awaits import Awaits, doubted, following, is_safe, unsent
from periscope.chunks import Answer, Chunk
from periscope.connection import LOST, Node, honour, reply_on
from periscope.connection.explain import ELSEWHERE, is_busy, is_moving, is_short_of_replicas
from periscope.connection.patience import Patience
from periscope.errors import BugError, PeriscopeError, StoreFull, StoreUnavailable
from periscope.functions import Functions, PolicyMoved, is_missing_function
from periscope.keys import PartitionKeys
from periscope.lines import Crossing, Lines, Sent, Trouble
from periscope.settings import Settings

HEALS = 3
FULL_PAUSE_S = 0.25
_WAITS = (Awaits.DISK, Awaits.REPLICAS)
log = logging.getLogger("periscope")


class Lane:
    """Sends chunks, at most `in_flight` unanswered for each server that it has a connection to.

    A server that stays away for `retry_s` is given up: what was for it is answered by a refusal,
    and what is for the others goes on. `wait_s` is how long a chunk waits in any case for a server
    that is full or away. While it waits, the lane holds no connection.
    """

    def __init__(self, functions: Functions, settings: Settings, *, wait_s: float = 0.0) -> None:
        self._functions = functions
        self._connections = functions.connections
        self._settings = settings
        self._away_s, self._wait_s = settings.retry_s, wait_s
        self._lines = Lines(functions.connections)
        self._unanswered: deque[Chunk] = deque()
        self._sent: deque[Sent] = deque()
        self._answers: list[Answer] = []
        self._patience: dict[Node | None, Patience] = {}
        self._full_since: dict[Node | None, float] = {}
        self._lost: dict[Node | None, Exception] = {}
        self._ended: Exception | None = None

    async def __aenter__(self) -> Self:
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
    def unknown(self) -> int:
        """Entries that were sent and have no answer: their outcome is unknown."""
        sent = {one.chunk for one in self._sent}
        return sum(one.size for one in self._unanswered if one.in_doubt or one in sent)

    @property
    def unsent(self) -> int:
        """Entries that were taken, and certainly not stored."""
        return sum(chunk.size for chunk in self._unanswered) - self.unknown

    @property
    def under_way(self) -> int:
        """Chunks that were sent and have no answer."""
        return len(self._unanswered)

    @property
    def has_lost(self) -> bool:
        """Was a server given up? Use another lane to try it again."""
        return bool(self._lost)

    async def open(self, keys: PartitionKeys) -> None:
        """Take the connection for a partition now, not with its first chunk.

        Raises:
            StoreUnavailable: its server could not be reached for `retry_s`.
        """
        await self._lines.open(keys.meta, self._away_s)

    async def close(self) -> None:
        """Give the connections back; those with answers still out are cut, so nobody gets them."""
        waiting = {sent.wire for sent in self._sent}
        self._sent.clear()
        await self._lines.close(waiting)

    def offer(self, taken: Callable[[], None]) -> bool:
        """Nothing is under way: its connections may go to whoever waits for one, now or later.

        `taken` is called when one goes. False if somebody waits now: close the lane.
        """
        return self._lines.offer(taken)

    def hurry(self) -> None:
        """From now on wait for no server that is full or away."""
        self._away_s = self._wait_s = 0.0
        self._patience.clear()

    async def make_room(self) -> None:
        """Wait until another chunk may be under way; as `submit`, which does so by itself."""
        while len(self._unanswered) >= self._settings.in_flight * max(1, len(self._lines)):
            await self.receive()

    async def submit(self, chunk: Chunk) -> None:
        """Send a chunk, first waiting for room. Answers that come meanwhile are kept for `answers`.

        Where its server was given up, it is answered at once.
        """
        await self.make_room()
        self._unanswered.append(chunk)
        trouble = await self._try(chunk)
        if trouble is not None:
            await self._recover(trouble)

    async def drain(self) -> None:
        """Wait for every answer that is still out."""
        while self._unanswered:
            await self.receive()

    def answers(self) -> list[Answer]:
        """Answers that came since this was asked last; in a partition, in the order of sending."""
        answers, self._answers = self._answers, []
        return answers

    async def take_back(self) -> list[Chunk]:
        """Give up on all that is unanswered; return it in the order sent.

        For chunks behind one that was refused: each names the one before, so none was stored.
        """
        await self.close()
        chunks = list(self._unanswered)
        self._unanswered.clear()
        return chunks

    async def receive(self) -> None:
        """Take the next answer off its wire; or mend what is wrong, for the next call."""
        if self._ended is not None:
            raise self._ended
        trouble = await self._take_next()
        if trouble is None:
            return
        if trouble.refused:
            await self._refused(trouble)
        else:
            await self._recover(trouble)

    async def _take_next(self) -> Trouble | None:
        """Read the next answer; what is wrong, if it is none with which the chunk is done."""
        sent = self._sent[0]
        try:
            reply, safe = await self._read(sent)
            result = None if isinstance(reply, ResponseError) else sent.chunk.parse(reply)
        except (BugError, RedisError, *LOST) as exc:
            return Trouble(exc, sent.chunk, sent.node)
        self._sent.popleft()
        if isinstance(reply, ResponseError):
            return Trouble(reply, sent.chunk, sent.node, refused=not isinstance(reply, LOST))
        sent.node.away_since = None
        self._patience.pop(sent.node, None)
        self._full_since.pop(sent.node, None)
        self._answer(Answer(sent.chunk, result, short=not safe))
        return None

    async def _read(self, sent: Sent) -> tuple[Any, bool]:
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
            if isinstance(answer, ELSEWHERE):  # whoever is in charge now is asked, and remembers
                raise RedisConnectionError(f"no longer in charge: {answer}") from answer
            if isinstance(answer, ResponseError):
                log.warning("a confirmation was refused: %s", self._functions.explain(answer))
        return reply, is_safe(awaits, told, self._settings.replicas)

    def _answer(self, answer: Answer) -> None:
        self._unanswered.remove(answer.chunk)
        self._answers.append(answer)

    async def _refused(self, trouble: Trouble) -> None:
        """Nothing of a chunk was stored. What can be mended is, and it goes again."""
        chunk, exc = trouble.chunk, trouble.cause
        error = self._functions.explain(exc)
        if self._will_pass(exc) or self._may_wait(error, trouble.node):
            await self._recover(trouble)
        elif self._can_heal(chunk, exc, error):
            chunk.heals += 1
            await self._recover(trouble)
        else:
            self._give_up(chunk, error)

    def _give_up(self, chunk: Chunk, error: Exception) -> None:
        self._answer(Answer(chunk, None, doubted(error) if chunk.in_doubt else error))

    def _will_pass(self, exc: BaseException) -> bool:
        """Are these threats on the move, or is another primary about to serve them?"""
        by_itself = isinstance(exc, ELSEWHERE) or is_short_of_replicas(exc)
        return (
            is_moving(exc)
            or is_busy(exc)
            or isinstance(exc, LOST)
            or (by_itself and self._connections.topology.can_change)
        )

    def _can_heal(self, chunk: Chunk, exc: BaseException, error: Exception) -> bool:
        """Library flushed, policy moved; or the chunk before had a reason of its own."""
        passing = is_missing_function(exc) or isinstance(error, PolicyMoved)
        return (passing or "OUT_OF_ORDER" in str(exc)) and chunk.heals < HEALS

    def _may_wait(self, error: Exception, node: Node | None) -> bool:
        """Is the server full, and is there time left to wait until it no longer is?"""
        if not isinstance(error, StoreFull) or not self._wait_s:
            return False
        now = asyncio.get_running_loop().time()
        if node not in self._full_since:
            self._full_since[node] = now
            log.warning("waiting for up to %.0f s: %s", self._wait_s, error)
        return now < self._full_since[node] + self._wait_s

    async def _try(self, chunk: Chunk) -> Trouble | None:
        """Send a chunk; or answer it, if it is for a server that was given up."""
        node = self._connections.topology.node_of(chunk.keys.meta)
        if node in self._lost:
            lost = self._lost[node]
            self._give_up(chunk, lost if chunk.in_doubt else unsent(lost))
            return None
        if chunk.is_forgotten:
            self._give_up(chunk, StoreUnavailable("no answer for too long"))
            return None
        try:
            await self._send(chunk, node)
        except (Crossing, RedisError, *LOST) as exc:
            return Trouble(exc, chunk, node)
        except PeriscopeError as exc:
            self._end(exc)
        return None

    def _end(self, exc: PeriscopeError) -> NoReturn:
        """Nothing mends this; what was sent may have been stored all the same."""
        self._ended = doubted(exc) if self.unknown else exc
        raise self._ended from exc.__cause__

    async def _send(self, chunk: Chunk, node: Node | None) -> None:
        if node is None:
            raise RedisConnectionError("no server serves these threats just now")
        wire = await self._lines.to(node)
        packed: bytes = pack_command(chunk.command(self._functions, self._before(chunk)))
        for command in following(chunk.keys.meta, chunk.awaits, self._settings):
            packed += pack_command(command)  # type: ignore[arg-type]
        self._sent.append(Sent(chunk, wire, node))
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

    async def _recover(self, trouble: Trouble) -> None:
        """Mend what is wrong, and send every unanswered chunk again, in order, over fresh wires.

        The time for it runs from the first failure to the next answer: a server that shakes hands
        and then answers nothing is as far away as one that is not there.
        """
        more: Trouble | None = trouble
        while more is not None:
            await self._call_back(more)
            await self._bring_in()
            try:
                await self._mend(more)
            except PeriscopeError as exc:
                self._end(exc)
            more = await self._send_again()

    async def _call_back(self, trouble: Trouble) -> None:
        """Cut the connection to the server in trouble: what was sent there goes again.

        It may have been stored; behind a chunk of the same partition that was refused it was not.
        """
        for sent in self._sent:
            behind = trouble.refused and sent.chunk.keys is trouble.chunk.keys
            if sent.node is trouble.node and not behind:
                sent.chunk.doubt()
        self._sent = deque(sent for sent in self._sent if sent.node is not trouble.node)
        await self._lines.cut(trouble.node)

    async def _bring_in(self) -> None:
        """Read what the other servers have still to answer, and give all connections back.

        Mending may take a while: nobody should have to wait for a connection meanwhile.
        """
        while self._sent:
            trouble = await self._take_next()
            if trouble is not None:
                await self._call_back(trouble)
        await self._lines.close()

    async def _send_again(self) -> Trouble | None:
        """Send what is unanswered, server by server: so each connection may be waited for."""
        for chunk in sorted(self._unanswered, key=self._place):
            trouble = await self._try(chunk)
            if trouble is not None:
                return trouble
        return None

    async def _mend(self, trouble: Trouble) -> None:
        cause, chunk = trouble.cause, trouble.chunk
        if isinstance(cause, Crossing):
            return
        if isinstance(cause, BugError):
            # Not an answer to a chunk: whatever follows on this wire cannot be trusted either.
            chunk.heals += 1
            if chunk.heals > HEALS:
                raise cause
            cause = RedisConnectionError(str(cause))
        if isinstance(cause, LOST):
            await self._connections.mend()
        error = self._functions.explain(cause)
        try:
            if is_missing_function(cause):
                await self._functions.load(chunk.keys.meta)
            elif isinstance(error, PolicyMoved):
                await self._functions.refresh()
            elif isinstance(error, StoreFull):
                await asyncio.sleep(FULL_PAUSE_S)
            elif "OUT_OF_ORDER" not in str(cause):
                await self._bear(cause, chunk, trouble.node)
        except StoreUnavailable as exc:
            await self._bear(exc.__cause__ or exc, chunk, trouble.node)

    async def _bear(self, cause: BaseException, chunk: Chunk, node: Node | None) -> None:
        if chunk.is_forgotten:
            self._lost[node] = self._functions.explain(cause)
            return
        patience = self._patience.get(node)
        if patience is None:
            patience = self._connections.patience(self._away_s, self._wait_s)
            self._patience[node] = patience
            if self._wait_s:
                log.warning("waiting for up to %.0f s: %s", self._wait_s, cause)
        try:
            await patience.bear(cause, chunk.keys.meta, node)
        except (RedisError, PeriscopeError, *LOST) as exc:
            self._lost[node] = self._functions.explain(exc)

    def _place(self, chunk: Chunk) -> tuple[Any, ...]:
        node = self._connections.topology.node_of(chunk.keys.meta)
        return node.address if node is not None else ()
