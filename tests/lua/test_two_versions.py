"""Two versions of the software on one store at once: both work, and nobody downgrades the library.

`library_0_2.lua` is the library of 0.2, joined as 0.2 joins it; `OldProgram` calls it as 0.2 does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from periscope import Periscope, Policy
from periscope.functions import is_missing_function
from periscope.header import FORMAT, pack_report
from periscope.keys import Keyspace, control_key
from periscope.library import Library, LibraryState, ensure_library, loaded_code, read_library
from periscope.models import Mark
from periscope.rules import Rules
from tests.support.history import acknowledged, check, load
from tests.support.marking import mark_with
from tests.support.servers import ServerProcess

OLD = Library((Path(__file__).parent / "library_0_2.lua").read_bytes(), 2, ())
NAMESPACE = "periscope"
CAPS = 2  # numbers of a policy that 0.2 did not have; they come last
CHUNK = 20
HOUR = timedelta(hours=1)


class OldProgram:
    """A process of 0.2: it loads its library where it is missing or older, and calls it."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        (self.keys,) = Keyspace.of(NAMESPACE, 1).partitions
        self.rules = Rules(Policy(), 1)
        self.policy = " ".join(self.rules.packed.split()[:-CAPS])
        self.added = self.acted = 0
        self._chunks = count()

    async def start(self) -> None:
        await self.load()
        encoded = msgspec.json.encode(self.rules.policy)
        args = (FORMAT, 1, bytes(16), encoded)
        await self.call("periscope_control", [control_key(NAMESPACE)], args)
        await self.call("periscope_prepare", [self.keys.meta], (FORMAT, 1, self.policy))

    async def load(self) -> LibraryState:
        state = OLD.compare(await loaded_code(self.client))
        if state in (LibraryState.MISSING, LibraryState.OLDER):
            await self.client.execute_command("FUNCTION LOAD", "REPLACE", OLD.code)
        return state

    async def call(self, name: str, keys: Sequence[bytes], args: Sequence[Any]) -> Any:
        try:
            return await self.client.fcall(name, len(keys), *keys, *args)
        except ResponseError as exc:
            if not is_missing_function(exc):
                raise
        await self.load()
        return await self.client.fcall(name, len(keys), *keys, *args)

    def _names(self) -> list[bytes]:
        reply = self.keys.reply(b"old-%d" % next(self._chunks))
        return [*self.keys.singles, reply, reply]

    async def add(self, ids: Sequence[bytes]) -> None:
        names = [*self._names(), *map(self.keys.record, ids)]
        body = b'{"content":"x","severity":"HIGH"}'
        reports = [pack_report(2, 0, one[:8].ljust(8), bytes(6)) + body for one in ids]
        reply = await self.call("periscope_ingest_2", names, (self.policy, "", 0, *reports))
        assert reply[1] == b"%da" % len(ids), reply
        self.added += len(ids)

    async def escalate(self, ids: Sequence[bytes]) -> None:
        names = self._names()
        for one in ids:
            names += (self.keys.record(one), self.keys.analysts(one))
        acts = [msgspec.msgpack.encode(["escalate", "old", f"old-{one!r}", []]) for one in ids]
        reply = await self.call("periscope_act", names, (self.policy, "", 1, 0, *acts))
        assert [entry[0] for entry in reply[1]] == [b"DONE"] * len(ids)
        assert all(len(entry) == 5 for entry in reply[1])
        self.acted += len(ids)

    def ids(self) -> list[str]:
        """What `work` has added."""
        return [f"old-{n // CHUNK}-{n % CHUNK}" for n in range(self.added)]

    async def top(self) -> list[bytes]:
        args = (self.policy, "", 0, -1, "", "", 10, 10, "", b"", 0)
        reply = await self.call("periscope_rank", [self.keys.meta, self.keys.board], args)
        assert len(reply[3]) == len(reply[2]) // 3
        return list(reply[2][::3])

    async def work(self, ended: asyncio.Event) -> None:
        """Add threats, escalate them, look at the queue; again and again."""
        for turn in count():
            if ended.is_set():
                return
            ids = [b"old-%d-%d" % (turn, n) for n in range(CHUNK)]
            await self.add(ids)
            await self.escalate(ids)
            assert await self.top()


@pytest.fixture
async def client(server: ServerProcess) -> AsyncIterator[Redis]:
    """A server that has no library, and no database."""
    async with Redis.from_url(server.url) as made:
        await made.flushall()
        await made.execute_command("FUNCTION", "FLUSH")
        yield made
        await made.flushall()
        await made.execute_command("FUNCTION", "FLUSH")
        await ensure_library(made)


@pytest.fixture
async def old(client: Redis) -> OldProgram:
    program = OldProgram(client)
    await program.start()
    return program


async def test_both_at_once_on_a_store_that_the_old_one_began(
    old: OldProgram, client: Redis, server: ServerProcess
) -> None:
    assert await loaded_code(client) == OLD.code
    ended = asyncio.Event()
    working = asyncio.create_task(old.work(ended))
    async with Periscope.open(server.url) as p:
        before = old.added
        async with load(p, 8) as history:
            await acknowledged(history, 300)
        assert old.added > before, "the old one did not work on the new library"
        ended.set()
        await working
        assert await loaded_code(client) == read_library().code
        assert not (await check(history, "two versions at once")).lost
        assert old.added == old.acted > 0
        theirs = await p.get_threats(old.ids())
        assert (len(theirs), {one.escalations for one in theirs}) == (old.added, {1})
        assert [one.decode() for one in await old.top()] == [
            one.threat_id for one in await p.get_top_threats(10)
        ]


async def test_the_old_one_does_not_downgrade(
    old: OldProgram, client: Redis, server: ServerProcess
) -> None:
    async with Periscope.open(server.url):
        assert await old.load() is LibraryState.NEWER
        assert await loaded_code(client) == read_library().code


async def test_after_a_flush_the_old_one_comes_first(
    old: OldProgram, client: Redis, server: ServerProcess
) -> None:
    """Its library has most of the names that we call, and takes some of our calls for nonsense."""
    async with Periscope.open(server.url) as p:
        for turn in range(3):
            await client.execute_command("FUNCTION", "FLUSH")
            await old.add([b"again-%d" % turn])
            assert await loaded_code(client) == OLD.code
            assert await p.add_threat(f"t{turn}", "x", "HIGH") == "added"
            threat = await p.record_interaction(f"t{turn}", "ann", "escalate")
            assert threat.escalations == 1
            assert await loaded_code(client) == read_library().code
            assert (await p.claim(f"t{turn}", "ann")).analyst_id == "ann"
            assert len(await p.get_top_threats()) == 2 * turn + 2
        assert (await p.get_ledger(deep=True)).balanced


async def test_what_the_old_one_reports_is_never_suppressed(
    old: OldProgram, client: Redis, server: ServerProcess
) -> None:
    """It knows no marks: its reports go the usual way, and leave the entry as it is."""
    async with Periscope.open(server.url) as p:
        await mark_with(p, lambda _: Mark("list:one"))
        assert await p.add_threat("t", "x", "LOW") == "suppressed"
        entry = await p.get_suppressed_entry("t")
        await old.add([b"t", b"u"])
        assert await p.get_suppressed_entry("t") == entry
        assert len(await p.get_threats(["t", "u"])) == 2
        assert await p.add_threat("t", "y", "HIGH") == "suppressed"
        ledger = await p.get_ledger(deep=True)
        assert (ledger.received, ledger.added, ledger.suppressed) == (4, 2, 2)
        assert ledger.balanced


async def test_the_old_one_works_beside_what_is_snoozed(
    old: OldProgram, client: Redis, server: ServerProcess
) -> None:
    """It ranks what is open, and its acts end a snooze as ours do."""
    async with Periscope.open(server.url) as p:
        await old.add([b"a", b"b", b"c"])
        for one in ("a", "b", "c"):
            await p.snooze(one, "ann", timedelta(milliseconds=1) if one == "c" else HOUR)
        assert await old.top() == []
        await old.escalate([b"a"])
        assert await old.top() == [b"a"]
        woken: list[str] = []
        while not woken:
            woken = (await p.wake_snoozed_threats()).woken_ids
        assert woken == ["c"]
        assert [one.threat_id for one in (await p.get_by_status("snoozed"))] == ["b"]
        assert (await p.get_ledger(deep=True)).balanced


async def test_what_the_old_library_did_meanwhile_is_put_right(
    old: OldProgram, client: Redis, server: ServerProcess
) -> None:
    """The functions are flushed, the old program is the first, and knows no class of what wakes."""
    async with Periscope.open(server.url) as p:
        await old.add([b"a", b"b"])
        for one in ("a", "b"):
            await p.snooze(one, "ann", timedelta(milliseconds=1))
        await client.execute_command("FUNCTION", "FLUSH")
        await old.escalate([b"a"])
        assert await loaded_code(client) == OLD.code
        woken: list[str] = []
        while not woken:
            woken = (await p.wake_snoozed_threats()).woken_ids
        assert woken == ["b"]
        assert await loaded_code(client) == read_library().code
        await client.execute_command("FUNCTION", "FLUSH")
        await old.load()
        assert (await p.snooze("a", "ann", None)).status == "snoozed"
        assert await loaded_code(client) == read_library().code
        assert (await p.get_ledger(deep=True)).balanced


async def test_our_program_works_on_a_newer_library(client: Redis, server: ServerProcess) -> None:
    ours = b"local VERSION = %d" % read_library().version
    newer = read_library().code.replace(ours, b"local VERSION = 99", 1)
    await client.execute_command("FUNCTION LOAD", newer)
    async with Periscope.open(server.url) as p:
        async with load(p, 8) as history:
            await acknowledged(history, 100)
        assert not (await check(history, "on a newer library")).lost
        assert await p.claim_next("ann") is not None
        await p.promote_eligible_threats()
    assert await loaded_code(client) == newer
