"""Leases, tokens, pauses, definitions in the store: against a pure model, and when damaged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from periscope import BugError, Moving, Periscope, StoreDamaged, UsageError
from periscope.feed_keys import feed_keys
from periscope.polling.calls import FeedCalls, Word
from tests.support.servers import ServerProcess

NOW = 1_790_000_000_000
T = TypeVar("T")
KEYS = feed_keys("periscope")

names = st.sampled_from(["a", "b", "feed-3"])
owners = st.sampled_from(["one:1", "two:2"])
texts = st.sampled_from([b"", b'{"runs":1}', b'{"new\nline":"\\u0000"}', b"\xff\x00{}"])
spans = st.sampled_from([1, 50, 15_000])


@dataclass
class Feed:
    """What the store should say of one feed."""

    token: int = 0
    lease_end: int = 0
    next_ms: int = 0
    paused: bool = False
    owner: str = ""
    status: bytes = b""


@dataclass
class Model:
    """All feeds, in plain Python."""

    last: int = 0
    feeds: dict[str, Feed] = field(default_factory=dict)
    positions: dict[str, bytes] = field(default_factory=dict)
    definitions: dict[str, bytes] = field(default_factory=dict)

    def take(self, name: str, owner: str, lease: int, early: bool, now: int) -> tuple[Word, int]:
        one = self.feeds.get(name, Feed())
        held = now < one.lease_end <= now + 3_600_000
        if held and one.owner != owner:
            return Word.HELD, one.token
        if one.paused:
            return Word.PAUSED, one.token
        if held:
            return Word.TAKEN, one.token
        if not early and one.next_ms > now:
            return Word.EARLY, one.token
        self.last = max(self.last + 1, one.token + 1, now)
        one.token, one.owner, one.lease_end = self.last, owner, now + lease
        one.next_ms = now
        self.feeds[name] = one
        return Word.TAKEN, one.token

    def keep(
        self, name: str, token: int, lease: int, status: bytes, position: bytes, now: int
    ) -> Word:
        one = self.feeds.get(name)
        if one is None or one.token != token or not one.lease_end:
            return Word.LOST
        one.lease_end = now + lease
        self._write(name, one, status, position)
        return Word.PAUSED if one.paused or not one.next_ms else Word.KEPT

    def release(
        self, name: str, token: int, wait: int, status: bytes, position: bytes, now: int
    ) -> Word:
        one = self.feeds.get(name)
        if one is None or one.token != token:
            return Word.LOST
        one.lease_end, one.owner = 0, ""
        one.next_ms = now + wait if one.next_ms else 0
        self._write(name, one, status, position)
        return Word.RELEASED

    def _write(self, name: str, one: Feed, status: bytes, position: bytes) -> None:
        one.status = status or one.status
        if position:
            self.positions[name] = position

    def pause(self, name: str, paused: bool) -> bool:
        one = self.feeds.get(name, Feed())
        if one.paused == paused:
            return False
        one.paused, one.next_ms = paused, 0
        self.feeds[name] = one
        return True

    def define(self, name: str, expected: bytes, text: bytes) -> bytes | None:
        found = self.definitions.get(name, b"")
        if found not in (expected, text):
            return found
        if not text:
            for kept in (self.definitions, self.feeds, self.positions):
                kept.pop(name, None)
        else:
            self.definitions[name] = text
            one = self.feeds.setdefault(name, Feed())
            one.next_ms = one.next_ms if found == text else 0
        return None


class Store(RuleBasedStateMachine):
    """Random calls and jumps of the clock, also of workers whose token is an old one."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model, self.now, self.tokens = Model(), NOW, [7]
        self.periscope = Periscope.open(self.url, retry_s=0.0)
        self.run(self._open())
        self.calls = FeedCalls(self.periscope.functions, "periscope")

    async def _open(self) -> None:
        await self.periscope.start()
        await self.periscope.functions.connections.client.flushall()
        await self.periscope.refresh()
        self.periscope.functions.now_ms = self.now

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    @rule(step=st.sampled_from([1, 40, 60, 15_001]))
    def tick(self, step: int) -> None:
        self.now += step
        self.periscope.functions.now_ms = self.now

    @rule(name=names, owner=owners, lease=spans, early=st.booleans())
    def take(self, name: str, owner: str, lease: int, early: bool) -> None:
        word, token = self.model.take(name, owner, lease, early, self.now)
        told = self.run(self.calls.take(name, owner, lease, early=early))
        assert (told.word, told.token) == (word, token)
        one = self.model.feeds.get(name, Feed())
        assert (told.status, told.owner) == (one.status, one.owner)
        assert told.position == self.model.positions.get(name, b"")
        self.tokens.append(token)

    @rule(name=names, lease=spans, status=texts, position=texts, age=st.integers(1, 5))
    def keep(self, name: str, lease: int, status: bytes, position: bytes, age: int) -> None:
        token = self.tokens[-min(age, len(self.tokens))]
        word = self.model.keep(name, token, lease, status, position, self.now)
        told = self.run(self.calls.keep(name, token, lease, status=status, position=position))
        assert told == word

    @rule(name=names, wait=spans, status=texts, position=texts, age=st.integers(1, 5))
    def release(self, name: str, wait: int, status: bytes, position: bytes, age: int) -> None:
        token = self.tokens[-min(age, len(self.tokens))]
        word = self.model.release(name, token, wait, status, position, self.now)
        told = self.run(self.calls.release(name, token, wait, status=status, position=position))
        assert told == word

    @rule(name=names, paused=st.booleans())
    def pause(self, name: str, paused: bool) -> None:
        is_new = self.model.pause(name, paused)
        assert self.run(self.calls.pause(name, paused=paused)) == is_new

    @rule(name=names, expected=texts, text=texts)
    def define(self, name: str, expected: bytes, text: bytes) -> None:
        left = self.model.define(name, expected, text)
        assert self.run(self.calls.define(name, expected, text)) == left

    @invariant()
    def same(self) -> None:
        book = self.run(self.calls.read())
        assert book.definitions == self.model.definitions
        shown = {
            name: Feed(h.token, h.lease_end_ms, h.next_ms, h.paused, h.owner, bytes(h.status))
            for name, h in book.states.items()
        }
        assert shown == self.model.feeds

    def teardown(self) -> None:
        self.run(self.periscope.close())
        self.runner.close()


def test_the_store_does_what_the_model_does(server: ServerProcess) -> None:
    Store.url = server.url
    run_state_machine_as_test(Store)


async def dump(p: Periscope) -> dict[bytes, bytes]:
    client: Any = p.functions.connections.client
    return {key: await client.dump(key) async for key in client.scan_iter()}


@pytest.mark.parametrize("key", KEYS.own)
@pytest.mark.parametrize("damage", ["set", "hash"])
async def test_a_damaged_key_is_told_and_nothing_is_written(
    periscope: Periscope, key: bytes, damage: str
) -> None:
    calls = FeedCalls(periscope.functions, "periscope")
    client = periscope.functions.connections.client
    await calls.define("a", b"", b"{}")
    token = (await calls.take("a", "me:1", 1000)).token
    if damage == "set":
        await client.delete(key)
        await client.set(key, "not what it was")
    elif key == KEYS.state:
        await client.hset(key, "a", "not what it was")
    else:
        return  # what these hold is anybody's text
    before = await dump(periscope)
    attempts: dict[str, Callable[[], Awaitable[Any]]] = {
        "take": lambda: calls.take("a", "me:1", 1000),
        "keep": lambda: calls.keep("a", token, 1000, status=b"x", position=b"y"),
        "release": lambda: calls.release("a", token, 0, status=b"x", position=b"y"),
        "pause": lambda: calls.pause("a", paused=True),
        "define": lambda: calls.define("a", b"{}", b""),
    }
    touched = {
        KEYS.feeds: ["define"],
        KEYS.position: ["take", "keep", "release", "define"],
        KEYS.state: list(attempts),
    }
    for name in touched[key]:
        with pytest.raises(StoreDamaged):
            await attempts[name]()
        assert await dump(periscope) == before, name
    await client.delete(*KEYS.own)


@pytest.mark.parametrize(
    ("status", "position", "lease"),
    [
        (b"x" * 16_385, b"", 1000),
        (b"", b"x" * 131_073, 1000),
        (b"x", b"y", 0),
        (b"", b"y", 3_600_001),
    ],
)
async def test_what_breaks_the_contract_is_refused_whole(
    periscope: Periscope, status: bytes, position: bytes, lease: int
) -> None:
    calls = FeedCalls(periscope.functions, "periscope")
    token = (await calls.take("a", "me:1", 1000)).token
    before = await dump(periscope)
    with pytest.raises(BugError, match="BAD_CALL"):
        await calls.keep("a", token, lease, status=status, position=position)
    assert await dump(periscope) == before
    await periscope.functions.connections.client.delete(*KEYS.own)


async def test_there_are_500_feeds_at_most(periscope: Periscope) -> None:
    calls = FeedCalls(periscope.functions, "periscope")
    for number in range(500):
        await calls.define(f"f{number}", b"", b"{}")
    with pytest.raises(UsageError, match="500 feeds"):
        await calls.define("one-more", b"", b"{}")
    assert await calls.define("f7", b"{}", b"{ }") is None
    assert (await calls.take("f7", "me:1", 1000)).word is Word.TAKEN
    await periscope.functions.connections.client.delete(*KEYS.own)


async def test_a_database_that_moved_gives_no_feed(periscope: Periscope) -> None:
    calls = FeedCalls(periscope.functions, "periscope")
    client = periscope.functions.connections.client
    token = (await calls.take("a", "me:1", 1000)).token
    await client.hset(KEYS.control, "moved_to", "redis://elsewhere")
    for call in (
        calls.take("b", "me:1", 1000),
        calls.keep("a", token, 1000),
        calls.release("a", token, 0),
        calls.pause("a", paused=True),
        calls.define("a", b"", b"{}"),
    ):
        with pytest.raises(Moving, match="redis://elsewhere"):
            await call
    await client.hdel(KEYS.control, "moved_to")
    await client.delete(*KEYS.own)


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("take", [b"MAYBE", 1, 1, 1, b"", b"", b""]),
        ("keep", [b"RELEASED", 1, 1]),
        ("release", [b"KEPT", 1, 1]),
        ("pause", b"OK"),
        ("define", [b"OK", b""]),
    ],
)
async def test_unknown_replies_are_bugs(
    periscope: Periscope, monkeypatch: pytest.MonkeyPatch, name: str, reply: Any
) -> None:
    async def answer(*_: Any, **__: Any) -> Any:
        return reply

    calls = FeedCalls(periscope.functions, "periscope")
    attempts: dict[str, Callable[[], Awaitable[Any]]] = {
        "take": lambda: calls.take("a", "me:1", 1000),
        "keep": lambda: calls.keep("a", 1, 1000),
        "release": lambda: calls.release("a", 1, 0),
        "pause": lambda: calls.pause("a", paused=True),
        "define": lambda: calls.define("a", b"", b"{}"),
    }
    with monkeypatch.context() as patched:
        patched.setattr(periscope.functions, "call", answer)
        with pytest.raises(BugError):
            await attempts[name]()
