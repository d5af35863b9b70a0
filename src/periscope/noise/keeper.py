"""Rules and lists of one database as this process applies them, and their changes.

A process that writes looks at the revision at most once in LOOK_S, and loads what has changed; one
that does not write looks at nothing. Where the server of the control key is away, or slow, what was
last known goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from periscope.errors import PeriscopeError, UsageError
from periscope.functions import Functions
from periscope.marks import Marker
from periscope.noise.calls import INCOMPLETE, SET, NoiseCalls
from periscope.noise.index import Edit, Index, Warninglist, encode_index
from periscope.noise.judge import Judge
from periscope.noise.known_good import KnownGood, Prepared
from periscope.noise.packed import pack_list, unpack_list
from periscope.noise.warninglist import ListFile

LOOK_S = 0.9  # a change is in force everywhere within a second
PATIENCE_S = 0.25  # for a look, before what was last known goes on
FIRST_PATIENCE_S = (
    10.0  # for the first one of a process: it knows nothing yet, and has lists to load
)
TRIES = 5

log = logging.getLogger("periscope")


class NoiseKeeper:
    """What this process knows of the noise; `changed` gets the marker whenever it is another."""

    def __init__(
        self, functions: Functions, namespace: str, changed: Callable[[Marker | None], None]
    ) -> None:
        self._calls = NoiseCalls(functions, namespace)
        self._changed = changed
        self._judge = Judge()
        self._revision = -1  # whose rules are in force here; -1: none was read yet
        self._complete = -1  # whose lists are, too
        self._adopted = 0  # changes of our own
        self._prepared: dict[str, Prepared] = {}
        self._known: KnownGood | None = None
        self._known_of: frozenset[str] = frozenset()
        self._ahead_ms = 0  # the server's clock before ours
        self._due_at, self._patience_s = 0.0, FIRST_PATIENCE_S
        self._task: asyncio.Task[None] | None = None
        self._given_up: asyncio.Task[None] | None = None
        self._lock, self._refreshing = asyncio.Lock(), asyncio.Lock()
        self._inside = self._watchers = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_behind = False

    async def begin(self) -> None:
        """A first look, which is the last one for a while where there are no rules and lists.

        Lists are loaded with the first write: whoever only reads needs none.
        """
        with suppress(PeriscopeError, OSError):  # a write looks again, and tells
            if await self._calls.revision() == 0:
                self._revision = self._complete = 0
                self._patience_s, self._due_at = PATIENCE_S, time.monotonic() + LOOK_S

    @property
    def is_due(self) -> bool:
        """Must a write that begins now pass the gate, or is what is known recent enough?"""
        return self._inside > 0 or time.monotonic() >= self._due_at

    @property
    def is_busy(self) -> bool:
        """Does anybody wait at the gate?"""
        return self._inside > 0

    async def turn(self) -> None:
        """Wait for those who came to the gate before."""
        self._inside += 1
        try:
            async with self._lock:
                pass
        finally:
            self._inside -= 1

    async def gate(self) -> None:
        """Let a write begin once what is in force is known; in the order of those who come."""
        self._inside += 1
        try:
            async with self._lock:
                if time.monotonic() >= self._due_at:
                    await self._look()
        finally:
            self._inside -= 1

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Apply changes while a batch is under way, however long it takes."""
        if self.is_due:
            await self.gate()
        self._watchers += 1
        if self._timer is None:
            self._arm()
        try:
            yield
        finally:
            self._watchers -= 1

    async def judge(self) -> Judge:
        """The judge of what is in force now, lists and all; for questions about it.

        Raises:
            StoreError: the server of the control key is away.
        """
        await self._refresh()
        return self._judge

    async def index(self) -> Index:
        """Rules and lists as they are stored now."""
        return (await self._calls.index())[1]

    async def now_ms(self) -> int:
        """The time of the server, which decides when a rule ends."""
        now_ms = await self._calls.now_ms()
        self._ahead_ms = now_ms - time.time_ns() // 1_000_000
        return now_ms

    async def change(self, edit: Edit, pieces: Mapping[str, bytes] | None = None) -> Index:
        """Change rules or lists, whoever else does so at the same time; in force here at once.

        Raises:
            UsageError: others change it all the time. OutcomeUnknown: it may be in force; repeating
                it is safe. Whatever `edit` raises.
        """
        for _ in range(TRIES):
            before, index = await self._calls.index()
            wanted = edit(index)
            if wanted == index:
                self._owe()
                return index
            if not await self._put(before, pieces or {}):
                continue
            word, revision = await self._calls.commit(before, wanted)
            if word == SET or await self._is_ours(word, wanted):
                self._adopt(revision, wanted, before if word == SET else -1)
                return wanted
        raise UsageError("rules or lists are changed by others all the time; look and try again")

    async def load(self, lists: Iterable[ListFile], by: str) -> tuple[Warninglist, ...]:
        """Store lists, in the place of those of their names; what the index says of them."""
        now_ms = await self.now_ms()
        packed = await asyncio.to_thread(lambda: [pack_list(one, now_ms, by) for one in lists])
        wanted = tuple(about for about, _ in packed)
        pieces = {name: data for _, own in packed for name, data in own.items()}
        await self.change(lambda index: index.with_lists(wanted), pieces)
        return wanted

    async def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _put(self, revision: int, pieces: Mapping[str, bytes]) -> bool:
        lacking = await self._calls.missing(list(pieces))
        return await self._calls.put(revision, {name: pieces[name] for name in lacking})

    async def _is_ours(self, word: str, wanted: Index) -> bool:
        """Was the answer to a commit lost, and is this the answer to its repetition?"""
        if word == INCOMPLETE:
            return False
        _, index = await self._calls.index()
        return encode_index(index) == encode_index(wanted)

    def _adopt(self, revision: int, index: Index, before: int) -> None:
        """Apply the rules at once; a write that begins from now on waits for the lists."""
        self._adopted += 1
        is_next = self._complete == self._revision == before
        self._apply(index)
        self._revision = revision
        if is_next and self._known_of == _digests(index):
            self._complete = revision
        else:
            self._owe()

    def _owe(self) -> None:
        """The next write is to wait until all is here, and not only for a moment."""
        self._adopted += 1
        self._due_at, self._patience_s, self._given_up = 0.0, FIRST_PATIENCE_S, None

    def _apply(self, index: Index) -> None:
        before = self._judge.marker
        self._judge = Judge(index.rules, self._known, self._server_ms)
        if before or self._judge.marker:
            self._changed(self._judge.marker)

    def _server_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._ahead_ms

    async def _look(self) -> None:
        """Look at the revision, and wait for what comes of it as long as that is worth."""
        task = self._looking()
        if task is not self._given_up:  # whoever waited for it once does not so again
            await asyncio.wait({task}, timeout=self._patience_s)
        if not task.done():
            self._given_up, self._patience_s = task, PATIENCE_S
            self._due_at = time.monotonic() + LOOK_S

    def _looking(self) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._look_quietly())
        return self._task

    async def _look_quietly(self) -> None:
        adopted = self._adopted
        try:
            await self._refresh()
        except Exception as exc:  # whatever it is: writes go on, and this is told
            if not self._is_behind:
                log.warning("suppression goes on as last known: %s", exc)
            self._is_behind = True
        else:
            self._is_behind = False
        if adopted == self._adopted:  # else what it saw may be older than a change of our own
            self._patience_s, self._due_at = PATIENCE_S, time.monotonic() + LOOK_S

    async def _refresh(self) -> None:
        """Bring rules and lists up to what is in force."""
        async with self._refreshing:
            if await self._calls.revision() == self._complete:
                return
            await self.now_ms()
            for _ in range(TRIES):
                adopted = self._adopted
                revision, index = await self._calls.index()
                if adopted != self._adopted:
                    continue  # a change of our own came in between: this may be older
                self._apply(index)  # the rules at once: lists may take a while
                self._revision = revision
                if await self._load(index) and adopted == self._adopted:
                    self._apply(index)
                    self._complete = revision
                    return

    async def _load(self, index: Index) -> bool:
        """Load the lists that are not here yet; False if they were changed meanwhile."""
        wanted = _digests(index)
        if wanted == self._known_of:
            return True
        for about in index.lists:
            if about.digest not in self._prepared:
                pieces = await self._calls.pieces(about)
                if pieces is None:
                    return False
                self._prepared[about.digest] = await asyncio.to_thread(_prepare, about, pieces)
        self._prepared = {d: one for d, one in self._prepared.items() if d in wanted}
        lists = list(self._prepared.values())
        self._known = await asyncio.to_thread(KnownGood, lists) if lists else None
        self._known_of = wanted
        return True

    def _arm(self) -> None:
        """Look again when it is time, as long as a batch is under way."""
        left_s = self._due_at - time.monotonic()
        delay_s = left_s if 0 < left_s < LOOK_S else LOOK_S
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if not self._watchers:
            return
        if time.monotonic() >= self._due_at:  # else somebody has looked meanwhile
            self._looking()
        self._arm()


def _prepare(about: Warninglist, pieces: Sequence[bytes]) -> Prepared:
    return Prepared(unpack_list(about, pieces))


def _digests(index: Index) -> frozenset[str]:
    return frozenset(one.digest for one in index.lists)
