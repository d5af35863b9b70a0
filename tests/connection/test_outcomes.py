"""Committed, not done, unknown: what is told of single functions whose answers are lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from periscope import Level, OutcomeUnknown, Periscope, Policy, StoreUnavailable, UsageError
from periscope.archive import Archive, open_archive
from tests.support.proxy import CuttingProxy
from tests.support.servers import ServerProcess

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
STRICTER = Policy(promote_analysts=3)


class LosingProxy(CuttingProxy):
    """Loses the answers to one function, once or more often."""

    def __init__(self, server: ServerProcess) -> None:
        super().__init__(server.socket, cuts=0, cut_after_bytes=0)
        self._function = b""
        self.then: Callable[[], Awaitable[Any]] | None = None

    def lose(self, function: str, times: int) -> None:
        self._function, self.cuts, self.done, self.armed = function.encode(), times, 0, False

    def on_request(self, data: bytes) -> None:
        self.armed = self.armed or (bool(self._function) and self._function in data)

    async def on_cut(self) -> None:
        self.armed = False
        if self.then is not None:
            await self.then()


@dataclass
class Scene:
    """A database reached directly, and the same one through a proxy; one archive of both."""

    direct: Periscope
    p: Periscope
    proxy: LosingProxy
    archive: Archive
    server: ServerProcess

    async def balanced(self) -> bool:
        return (await self.direct.get_ledger(deep=True, archive=self.archive)).balanced

    async def levels(self, *ids: str) -> list[int]:
        return [int(threat.level) for threat in await self.direct.get_threats(ids)]


@pytest.fixture
async def scene(tmp_path: Any) -> AsyncIterator[Scene]:
    """`latched` waits for its promotion, `home` to settle in level 2, `old` to expire."""
    server = ServerProcess().start()
    archive = await open_archive(tmp_path / "archive.db")
    try:
        async with (
            Periscope.open(server.url) as direct,
            LosingProxy(server) as proxy,
            Periscope.open(proxy.url) as p,
        ):
            direct.functions.now_ms = p.functions.now_ms = NOW_MS
            await p.adopt_archive(archive)
            for one in ("home", "latched"):
                await direct.promote_eligible_threats()
                await direct.add_threat(one, "x", "CRITICAL")
                for analyst in ("ann", "bob"):
                    await direct.record_interaction(one, analyst, "escalate")
                    await direct.record_interaction(one, analyst, "escalate")
            await direct.recall("home", "ann")
            await direct.add_threat("old", "x", "LOW")
            direct.functions.now_ms = p.functions.now_ms = NOW_MS + DAY_MS
            yield Scene(direct, p, proxy, archive, server)
    finally:
        await archive.close()
        server.stop()


async def test_a_promotion_whose_answer_was_lost_is_counted(scene: Scene) -> None:
    scene.proxy.lose("periscope_promote_2", 1)
    stats = await scene.p.promote_eligible_threats()
    assert scene.proxy.done == 1
    assert (stats.promoted, stats.failed, stats.promoted_ids) == (1, 0, ["latched"])
    assert (await scene.p.promote_eligible_threats()).promoted == 0
    threat = await scene.direct.get_threat("latched")
    assert threat is not None
    assert (threat.level, threat.consolidations) == (Level.SHORT_TERM, 1)


async def test_one_that_departed_before_it_was_repeated_is_counted_all_the_same(
    scene: Scene,
) -> None:
    async def remove() -> None:
        await scene.direct.remove(scene.archive, "latched", "zoe")

    scene.proxy.then = remove
    scene.proxy.lose("periscope_promote_2", 1)
    stats = await scene.p.promote_eligible_threats()
    assert (stats.promoted, stats.failed) == (1, 0)
    assert await scene.direct.get_threat("latched") is None


@pytest.mark.parametrize("function", ["periscope_settle_2", "periscope_depart"])
async def test_a_sweep_counts_what_it_did_though_an_answer_was_lost(
    scene: Scene, function: str
) -> None:
    await scene.direct.promote_eligible_threats()
    scene.proxy.lose(function, 1)
    stats = await scene.p.sweep(scene.archive)
    assert scene.proxy.done == 1
    assert (stats.settled, stats.expired, stats.kept) == (1, 1, 0)
    assert await scene.levels("home", "old") == [2]
    assert await scene.balanced()


async def test_a_policy_whose_answer_was_lost_is_ours(scene: Scene) -> None:
    scene.proxy.lose("periscope_set_policy", 1)
    assert await scene.p.set_policy(STRICTER) == STRICTER
    assert scene.proxy.done == 1
    assert await scene.direct.get_policy() == STRICTER


async def test_a_policy_of_somebody_else_is_not(scene: Scene) -> None:
    """Neither one that was there before, nor one that came over ours before we could look."""
    await scene.direct.set_policy(Policy(promote_analysts=4))
    with pytest.raises(UsageError, match="somebody else"):
        await scene.p.set_policy(STRICTER)
    assert await scene.direct.get_policy() == Policy(promote_analysts=4)

    async def overrule() -> None:
        await scene.direct.get_policy()
        await scene.direct.set_policy(Policy(promote_analysts=5))

    scene.proxy.then = overrule
    scene.proxy.lose("periscope_set_policy", 1)
    with pytest.raises(UsageError, match="somebody else"):
        await scene.p.set_policy(STRICTER)
    assert await scene.direct.get_policy() == Policy(promote_analysts=5)


def changes(scene: Scene, p: Periscope) -> dict[str, Callable[[], Awaitable[Any]]]:
    """A call that comes to each of these functions."""
    archive = scene.archive
    return {
        "periscope_promote_2": lambda: p.promote_eligible_threats(),
        "periscope_settle_2": lambda: p.sweep(archive),
        "periscope_set_policy": lambda: p.set_policy(STRICTER),
        "periscope_note": lambda: p.note("name", "", "value"),
    }


NAMES = ["periscope_promote_2", "periscope_settle_2", "periscope_set_policy", "periscope_note"]


@pytest.mark.parametrize("function", NAMES)
async def test_what_was_sent_and_never_answered_is_unknown(scene: Scene, function: str) -> None:
    change = changes(scene, scene.p)[function]
    scene.proxy.lose(function, 100)
    with pytest.raises(OutcomeUnknown, match="repeating it is safe"):
        await change()
    scene.proxy.lose("", 0)
    await change()
    await scene.p.promote_eligible_threats()
    assert await scene.balanced()


async def test_a_removal_that_was_never_answered_is_found_out(scene: Scene) -> None:
    """The store is asked what became of it, by a question of its own."""
    scene.proxy.lose("periscope_depart", 100)
    await scene.p.remove(scene.archive, "old", "zoe")
    assert await scene.balanced()
    assert await scene.archive.pending() == []


async def test_a_removal_that_nobody_could_tell_of_is_recognised(scene: Scene) -> None:
    async def lose_everything() -> None:
        scene.proxy.armed = True

    scene.proxy.lose("periscope_depart", 100)
    scene.proxy.then = lose_everything
    with pytest.raises(OutcomeUnknown):
        await scene.p.remove(scene.archive, "old", "zoe")
    scene.proxy.then = None
    scene.proxy.lose("", 0)
    assert len(await scene.archive.pending()) == 1
    await scene.p.remove(scene.archive, "old", "zoe")
    ((_, row),) = await scene.archive.history()
    assert (row.threat_id, row.reason, row.actor) == ("old", "removed", "zoe")
    assert await scene.balanced()


@pytest.mark.parametrize("function", NAMES)
async def test_what_was_not_sent_was_not_done(scene: Scene, function: str) -> None:
    change = changes(scene, scene.direct)[function]
    scene.server.kill()
    for call in (scene.direct.get_stats, change):
        with pytest.raises(StoreUnavailable) as caught:
            await call()
        assert not isinstance(caught.value, OutcomeUnknown)
    scene.server.start()


async def test_what_is_refused_the_second_time_may_have_been_done_the_first(scene: Scene) -> None:
    async def fill() -> None:
        await scene.direct.functions.connections.client.config_set("maxmemory", "1")

    scene.proxy.then = fill
    scene.proxy.lose("periscope_promote_2", 1)
    with pytest.raises(OutcomeUnknown, match="out of memory"):
        await scene.p.promote_eligible_threats()
    await scene.direct.functions.connections.client.config_set("maxmemory", "0")
    assert await scene.levels("latched") == [2]
    assert (await scene.p.promote_eligible_threats()).promoted == 0
