"""The life of an open database: reached, checked, prepared, refreshed, closed."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_bytes
from types import TracebackType
from typing import Any, Self

import msgspec

from periscope.analysts import Analysts
from periscope.connection import Capacity, Connections, ServerFacts, Writable
from periscope.engine import Engine
from periscope.errors import (
    Moving,
    PartitionsMissing,
    SettingInvalid,
    StoreDamaged,
    StoreFull,
    UsageError,
)
from periscope.events import Events
from periscope.functions import Control, Functions
from periscope.intake import Intake
from periscope.keeping import Keeping
from periscope.keys import Keyspace, control_key
from periscope.knowledge import Knowledge
from periscope.marks import Marker
from periscope.membership import Membership
from periscope.noise import NoiseKeeper
from periscope.policy import Policy
from periscope.queries import Queries
from periscope.reader import over
from periscope.room import Room, Tally
from periscope.rules import Rules
from periscope.server import EmbeddedServer
from periscope.settings import Settings
from periscope.suppression import Suppression
from periscope.waking import Waking

CLUSTER_PARTITIONS = 64

log = logging.getLogger("periscope")


@dataclass(frozen=True, slots=True)
class _Rooms:
    """What an open database consists of."""

    engine: Engine
    queries: Queries
    knowledge: Knowledge
    analysts: Analysts
    keeping: Keeping
    waking: Waking
    events: Events
    membership: Membership
    noise: NoiseKeeper
    suppression: Suppression


class Database:
    """One database of threats; `Periscope` adds what people do with it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stack = AsyncExitStack()
        self._server: EmbeddedServer | None = None
        self._facts: ServerFacts | None = None
        self._state = "new"

    @classmethod
    def open(cls, url: str | None = None, namespace: str | None = None, **options: Any) -> Self:
        """Describe a database; it is reached on `async with` (or `await p.start()`).

        Without a URL (and without PERISCOPE_URL) it is the embedded server in the data directory:
        started on first use, shared by processes, stopped by the last to leave. `options` are the
        settings of `periscope.settings`.

        Raises:
            SettingInvalid: an option or PERISCOPE_ variable is unknown or does not fit.
        """
        return cls(Settings.load(url=url, namespace=namespace, **options))

    async def start(self) -> Self:
        """Reach the server (or start it), check it, load the function library, read the policy.

        A primary of a cluster may be away: the log says which partitions are missing. The one that
        has the policy, and one of the partitions, must be there.

        Raises:
            StoreError: one line that says what is wrong with the server and what to do.
        """
        if self._state != "new":
            raise UsageError(f"this database is {self._state}; open another one")
        self._state = "open"
        self._home = (os.getpid(), asyncio.get_running_loop())
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """Give everything back; the last to leave an embedded server stops it. Idempotent."""
        # Shielded: a cancelled close would leave the embedded server with a user that is gone.
        self._state = "closed"
        await asyncio.shield(self._stack.aclose())

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def ping(self) -> None:
        """Ask the server that has the policy for a sign of life.

        Raises:
            StoreUnavailable: there is none.
        """
        await self._queries.run("EXISTS", control_key(self.settings.namespace))

    @property
    def server(self) -> ServerFacts:
        """Kind, version and effective durability of the server, as found at the start."""
        if self._facts is None:
            raise SettingInvalid("not started: use `async with Periscope.open() as p:`")
        return self._facts

    @property
    def free_bytes(self) -> int | None:
        """Room on the disk of the embedded server; None with a server of one's own."""
        return None if self._server is None else self._server.free_bytes()

    @property
    def coalescing(self) -> dict[str, Tally]:
        """How concurrent single calls of this process travelled together: changes, and reads."""
        return {"changes": self._engine.tally, "reads": self._queries.tally}

    @property
    def _engine(self) -> Engine:
        self._check_open()
        return self._rooms.engine

    @property
    def _queries(self) -> Queries:
        self._check_open()
        return self._rooms.queries

    @property
    def _knowledge(self) -> Knowledge:
        self._check_open()
        return self._rooms.knowledge

    @property
    def _analysts(self) -> Analysts:
        self._check_open()
        return self._rooms.analysts

    @property
    def _keeping(self) -> Keeping:
        self._check_open()
        return self._rooms.keeping

    @property
    def _waking(self) -> Waking:
        self._check_open()
        return self._rooms.waking

    @property
    def _events(self) -> Events:
        self._check_open()
        return self._rooms.events

    @property
    def _membership(self) -> Membership:
        self._check_open()
        return self._rooms.membership

    @property
    def _noise(self) -> NoiseKeeper:
        self._check_open()
        return self._rooms.noise

    @property
    def _suppression(self) -> Suppression:
        self._check_open()
        return self._rooms.suppression

    def _check_open(self) -> None:
        """Connections belong to one process and one event loop; others would read their replies."""
        if self._state != "open":
            raise UsageError(f"this database is {self._state}: use `async with Periscope.open()`")
        if self._home != (os.getpid(), asyncio.get_running_loop()):
            raise UsageError("this database was opened in another process or event loop")

    async def _start(self) -> None:
        url = self.settings.url or await self._embedded_url()
        connections = Connections(url, self.settings)
        self._stack.push_async_callback(connections.close)
        if self._server is not None:
            connections.revive = self._revive
        self._facts = await connections.examine()
        self.functions = Functions(connections, Rules(Policy(), 0))
        await self.functions.load()
        control = await self._read_control()
        secret = self._secret = control.secret
        namespace = self.settings.namespace
        self.keyspace = Keyspace.of(namespace, control.partitions, control.generation)
        self.functions.refresh = self.refresh
        await self._prepare()
        self._rooms = self._build(secret)
        self._stack.push_async_callback(self._rooms.membership.close)
        self._stack.push_async_callback(self._rooms.noise.close)
        await self._rooms.noise.begin()
        log.info("opened %s, settings %s", connections.shown_url, self.settings.shown())

    def _build(self, secret: bytes) -> _Rooms:
        functions, keyspace = self.functions, self.keyspace
        intake, membership = Intake(secret), Membership(functions, keyspace, self.settings)
        engine = Engine(
            functions, keyspace, intake, self.settings, self._check_room, membership.note
        )
        self._stack.push_async_callback(engine.close)
        room = Room(self.settings.queue_limit, self.settings.operation_timeout_s)
        queries = Queries(functions, keyspace, secret, room)
        self._stack.callback(queries.close)

        def judge_by(marker: Marker | None) -> None:
            engine.marker = marker

        engine.noise = NoiseKeeper(functions, keyspace.namespace, judge_by)
        events = Events(functions, keyspace)
        self._stack.push_async_callback(events.close)
        return _Rooms(
            engine,
            queries,
            Knowledge(functions, keyspace, secret),
            Analysts(engine, functions, keyspace),
            Keeping(functions, keyspace, queries, secret),
            Waking(functions, keyspace, queries),
            events,
            membership,
            engine.noise,
            Suppression(functions, keyspace, secret),
        )

    async def _embedded_url(self) -> str:
        self._server = await EmbeddedServer.join(
            self.settings.data_path, durability=self.settings.embedded_durability
        )
        self._stack.push_async_callback(self._server.leave)
        return self._server.url

    async def _revive(self) -> Path:
        assert self._server is not None  # noqa: S101 - set before this is handed out
        await self._server.revive()
        return self._server.socket_path

    async def _read_control(self) -> Control:
        wanted = self.settings.partitions
        control = await self.functions.control(
            self.settings.namespace, wanted or self._usual_partitions(), token_bytes(16)
        )
        if control.moved_to:
            raise Moving(f"the database moved to {control.moved_to}: open it there")
        if wanted not in (0, control.partitions):
            raise SettingInvalid(
                f"partitions is {wanted}, but this database has {control.partitions}; "
                "leave the setting out"
            )
        self._take_policy(control.policy, control.policy_revision)
        return control

    def _usual_partitions(self) -> int:
        """Of a new database: a cluster moves slots, so no partition should be large there."""
        return CLUSTER_PARTITIONS if self.functions.connections.is_cluster else 1

    async def _read_control_again(self) -> None:
        """The control key as it is now; written anew, as this process knows it, if it was lost."""
        space = self.keyspace
        count, generation = len(space.partitions), space.generation
        control = await self.functions.control(space.namespace, count, self._secret, generation)
        if control.secret != self._secret:
            raise StoreDamaged("the database was replaced by another one; start this program again")
        if (control.partitions, control.generation) != (count, generation) or control.moved_to:
            raise Moving("the database was repartitioned, rebuilt or moved; open it again")
        self._take_policy(control.policy, control.policy_revision)

    async def refresh(self) -> None:
        """Read the policy in force anew and bring every partition up to it. Safe to repeat.

        Partitions that are away are named in the log; they are brought up to it by the first call
        that finds them behind.
        """
        await self._read_control_again()
        await self._prepare()

    async def _prepare(self) -> None:
        try:
            await over(self.keyspace.partitions, self.functions.prepare)
        except PartitionsMissing as exc:
            if not exc.partial:
                raise
            log.warning("%s; they learn the policy in force when they come back", exc)

    def _take_policy(self, encoded: bytes, revision: int) -> None:
        try:
            policy = msgspec.json.decode(encoded, type=Policy)
        except (msgspec.DecodeError, SettingInvalid) as exc:
            raise StoreDamaged(f"the stored policy cannot be read: {exc}") from None
        self.functions.rules = Rules(policy, revision)

    async def _capacity(self) -> Capacity:
        probes = [keys.reply(b"probe") for keys in self.keyspace.partitions]
        found = await self.functions.connections.capacity(probes)
        try:
            self._check_room()
        except StoreFull as exc:
            return replace(found, writable=Writable.FULL, refusal=str(exc))
        return found

    def _check_room(self) -> None:
        if self._server is None or not self.settings.min_free_mb:
            return
        free_mb = self._server.free_bytes() >> 20
        if free_mb < self.settings.min_free_mb:
            raise StoreFull(
                f"only {free_mb:,} MiB free in {self.settings.data_path}, less than "
                f"min_free_mb ({self.settings.min_free_mb:,}); no new reports until there is room"
            )
