"""What the store keeps of noise: whole or not at all, and never half of a list."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.exceptions import ResponseError

from periscope import Mark, OutcomeUnknown, Periscope, StoreDamaged, StoreUnsuitable
from periscope.functions import Functions
from periscope.keys import control_key, noise_key
from periscope.noise import Index, NoiseCalls
from periscope.noise.calls import CHANGED, INCOMPLETE, SET
from periscope.noise.packed import PIECE_BYTES, pack_list
from periscope.noise.warninglist import parse_list
from tests.conftest import OpenHere
from tests.connection.test_outcomes import LosingProxy
from tests.lua.test_damage import as_list, as_text, dump
from tests.noise.test_desk import KNOWN, LIST, NOISY, marked
from tests.support.patience import BUSY_S
from tests.support.proxy import CuttingProxy
from tests.support.servers import ServerProcess
from tests.workers.support import wait_until

CONTROL, NOISE = control_key("periscope"), noise_key("periscope")


def calls_of(p: Periscope) -> NoiseCalls:
    return NoiseCalls(p.functions, "periscope")


def packed(one: dict[str, Any]) -> tuple[Index, dict[str, bytes]]:
    about, pieces = pack_list(parse_list(json.dumps(one).encode()), 1_790_000_000_000, "zoe")
    return Index(lists=(about,)), pieces


async def fields(p: Periscope) -> dict[Any, Any]:
    return dict(await p.functions.connections.client.hgetall(NOISE))


async def call(functions: Functions, name: str, *args: Any) -> Any:
    client = functions.connections.client
    return await client.execute_command("FCALL", name, 2, CONTROL, NOISE, *args)


@pytest.mark.parametrize("damage", [as_text, as_list])
@pytest.mark.parametrize("key", [CONTROL, NOISE])
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("periscope_noise_piece", ("", 1, "name", "bytes")),
        ("periscope_noise_commit", ("", 1, "{}")),
        ("periscope_noise_commit", ("", "many", "{}")),
        ("periscope_noise_commit", ("somebody's", 1, "{}")),
    ],
)
async def test_a_damaged_key_refuses_a_change_whole(
    periscope: Periscope, damage: Any, key: bytes, name: str, args: tuple[Any, ...]
) -> None:
    await periscope.add_suppression("source=x", "noise", "zoe")
    client = periscope.functions.connections.client
    kept = await client.dump(key)
    await damage(client, key)
    before = await dump(client)
    with pytest.raises(ResponseError):
        await call(periscope.functions, name, *args)
    assert await dump(client) == before
    await client.restore(key, 0, kept or b"", replace=True)


async def test_a_revision_that_is_none_is_refused_whole(periscope: Periscope) -> None:
    await periscope.add_suppression("source=x", "noise", "zoe")
    client = periscope.functions.connections.client
    await client.hset(NOISE, "revision", "many")
    before = await fields(periscope)
    for name, *args in (("piece", "x", "y"), ("commit", "{}")):
        with pytest.raises(ResponseError, match="DAMAGED"):
            await call(periscope.functions, f"periscope_noise_{name}", "", 1, *args)
    for change in (periscope.get_suppressions(), periscope.add_suppression("source=y", "x", "z")):
        with pytest.raises(StoreDamaged, match="no number"):
            await change
    assert await fields(periscope) == before
    await client.delete(NOISE)


async def test_a_commit_upon_another_revision_changes_nothing(periscope: Periscope) -> None:
    await periscope.add_suppression("source=x", "noise", "zoe")
    index, pieces = packed(LIST)
    before = await fields(periscope)
    calls = calls_of(periscope)
    assert not await calls.put(0, pieces)
    revision = await calls.revision()
    assert await calls.commit(0, index) == (CHANGED, revision)
    assert await calls.commit(revision, index) == (INCOMPLETE, revision)
    assert await fields(periscope) == before


async def test_what_no_index_names_goes_with_the_next_commit(periscope: Periscope) -> None:
    calls = calls_of(periscope)
    index, pieces = packed(LIST)
    _, others = packed(LIST | {"list": ["example.net"]})
    assert await calls.put(0, pieces | others)  # of a load that was interrupted
    word, revision = await calls.commit(0, index)
    assert (word, revision) == (SET, await calls.revision())
    kept = {name for name in await fields(periscope) if name.startswith(b"p:")}
    assert kept == {b"p:" + name.encode() for name in pieces}
    assert await calls.missing([*pieces, *others]) == list(others)


async def test_a_large_list_comes_over_in_pieces(
    periscope: Periscope, open_here: OpenHere, tmp_path: Path
) -> None:
    hashes = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(40_000)]
    large = {"name": "hashes", "type": "string", "list": hashes, "matching_attributes": ["sha256"]}
    (tmp_path / "large.json").write_text(json.dumps(large))
    (about,) = await periscope.load_warninglists(tmp_path)
    assert len(about.pieces) >= 4
    assert max(map(len, (await fields(periscope)).values())) <= PIECE_BYTES
    report = NOISY | {"metadata": {"indicators": [{"type": "sha256", "value": hashes[-1].upper()}]}}
    async with open_here() as other:
        await other.add_threat("x", "x", "LOW")
        assert marked(other, report) == Mark("list:hashes")


async def test_a_list_that_is_loaded_again_is_not_sent_again(
    periscope: Periscope, tmp_path: Path
) -> None:
    (tmp_path / "own.json").write_bytes(msgspec.json.encode(LIST))
    await periscope.load_warninglists(tmp_path)
    client = periscope.functions.connections.client
    await client.config_resetstat()
    await periscope.load_warninglists(tmp_path)
    calls = (await client.info("commandstats"))["cmdstat_fcall"]["calls"]
    assert calls == 1  # the commit alone
    await periscope.add_threat("x", "x", "LOW")
    assert marked(periscope, KNOWN) == Mark("list:Our own hosts")


async def test_rules_of_a_newer_program_are_refused_and_writes_go_on(periscope: Periscope) -> None:
    client = periscope.functions.connections.client
    await client.hset(NOISE, mapping={"revision": 7, "index": '{"format":2,"rules":"others"}'})
    with pytest.raises(StoreUnsuitable, match="newer Periscope"):
        await periscope.get_suppressions()
    with pytest.raises(StoreUnsuitable, match="newer Periscope"):
        await periscope.add_suppression("source=x", "noise", "zoe")
    assert (await periscope.add_threats_batch([NOISY])).added == 1
    await client.delete(NOISE)


class HoldingProxy(CuttingProxy):
    """Keeps questions about rules and lists to itself while it is armed."""

    def __init__(self, server: ServerProcess) -> None:
        super().__init__(server.socket, cuts=0, cut_after_bytes=0)
        self.held = 0
        self.free = asyncio.Event()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if self.armed and b":noise" in data:
                    self.held += 1
                    await self.free.wait()
                writer.write(data)
                await writer.drain()


async def test_a_server_that_does_not_tell_the_rules_holds_up_writes_once() -> None:
    """For a quarter of a second; what was last known goes on, and what is new comes later."""
    server = ServerProcess().start()
    try:
        async with (
            Periscope.open(server.url) as direct,
            HoldingProxy(server) as proxy,
            Periscope.open(proxy.url) as p,
        ):
            rule = await p.add_suppression("source=siem", "noise", "zoe")
            await p.add_threat("first", "x", "LOW")
            proxy.armed = True
            later = await direct.add_suppression("source=later", "noise", "zoe")
            await asyncio.sleep(1)
            took = [await timed(p.add_threat(f"t{number}", "x", "LOW")) for number in range(20)]
            await asyncio.sleep(1)
            took += [await timed(p.add_threats_batch([NOISY])) for _ in range(20)]
            assert proxy.held == 1
            assert sum(took) < 1 + BUSY_S
            assert (await p.get_ledger()).suppressed == 20
            proxy.free.set()
            await wait_until(lambda: marked(p, NOISY | {"source": "later"}) == later.mark, "told")
            assert marked(p, NOISY) == rule.mark
    finally:
        server.stop()


async def timed(call: Awaitable[Any]) -> float:
    began = asyncio.get_running_loop().time()
    await call
    return asyncio.get_running_loop().time() - began


@pytest.fixture
async def losing(tmp_path: Path) -> AsyncIterator[tuple[Periscope, Periscope, LosingProxy]]:
    """A database reached directly, and through a proxy that loses answers."""
    server = ServerProcess().start()
    try:
        async with (
            Periscope.open(server.url) as direct,
            LosingProxy(server) as proxy,
            Periscope.open(proxy.url) as p,
        ):
            yield direct, p, proxy
    finally:
        server.stop()


async def test_a_change_whose_answer_was_lost_is_made_once(
    losing: tuple[Periscope, Periscope, LosingProxy],
) -> None:
    direct, p, proxy = losing
    proxy.lose("periscope_noise_commit", 1)
    rule = await p.add_suppression("source=siem", "noise", "zoe")
    assert await direct.get_suppressions() == [rule]
    assert marked(p, NOISY) == rule.mark
    proxy.lose("periscope_noise_commit", 1)
    await p.end_suppression(rule.id, "zoe")
    assert await direct.get_suppressions() == []


async def test_a_change_that_is_never_answered_is_unknown(
    losing: tuple[Periscope, Periscope, LosingProxy],
) -> None:
    direct, p, proxy = losing
    proxy.lose("periscope_noise_commit", 100)
    with pytest.raises(OutcomeUnknown, match="repeating it is safe"):
        await p.add_suppression("source=siem", "noise", "zoe")
    proxy.lose("", 0)
    assert len(await direct.get_suppressions()) == 1


async def test_a_list_whose_pieces_answer_late_is_whole(
    losing: tuple[Periscope, Periscope, LosingProxy], tmp_path: Path
) -> None:
    direct, p, proxy = losing
    url = str(direct.settings.url)
    (tmp_path / "own.json").write_bytes(msgspec.json.encode(LIST))
    proxy.lose("periscope_noise_piece", 1)
    await p.load_warninglists(tmp_path / "own.json")
    async with Periscope.open(url) as later:
        await later.add_threat("x", "x", "LOW")
        assert marked(later, KNOWN) == Mark("list:Our own hosts")
