"""Whatever listeners do, each is told exactly what it wishes: in order, once, and all of it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from periscope import Event, Periscope
from periscope.hub import Ended, EventHub
from periscope.positions import read_places, show_places
from tests.conftest import OpenHere
from tests.hub.listening import Key, Listener, beginning, everything, key_of

LAST = "the last"
THREATS = 40


def even_only(event: Event) -> Event | None:
    """Leaves threats with odd numbers out, as a key that may not see everything does."""
    ids = tuple(one for one in event.threat_ids if one == "end" or int(one[1:]) % 2 == 0)
    return replace(event, threat_ids=ids) if ids else None


def wishes(chance: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if chance.random() < 0.3:
        made["kinds"] = frozenset({"view", "escalate"})
    if chance.random() < 0.3:
        made["only"] = even_only
    if chance.random() < 0.4:
        made["most_bytes"] = 2_000
    return made


def wished(event: Event, made: dict[str, Any]) -> Key | None:
    if "kinds" in made and event.kind not in made["kinds"]:
        return None
    told = even_only(event) if "only" in made else event
    return None if told is None else key_of(told)


async def act(p: Periscope, chance: random.Random, rounds: int) -> None:
    """Reports in chunks and one by one, acts in batches: every analyst acts once."""
    for number in range(rounds):
        first = chance.randrange(THREATS)
        await p.add_threats_batch(
            {"threat_id": f"t{one}", "content": f"round {number}", "severity": "LOW"}
            for one in range(first, first + chance.randrange(1, 9))
        )
        await p.record_interactions_batch(
            {"threat_id": f"t{first}", "analyst_id": f"a{number}.{one}", "action": "view"}
            for one in range(chance.randrange(1, 9))
        )
        await asyncio.sleep(chance.choice([0, 0, 0.003]))
    await p.add_threat("end", "x", "LOW")
    await p.record_interaction("end", LAST, "view")


def in_partition(p: Periscope, keys: list[Key], number: int) -> list[Key]:
    def place(key: Key) -> int:
        return p.keyspace.partition_of(key[2][0].encode()).number

    return [key for key in keys if place(key) == number]


async def some_positions(p: Periscope, number: int) -> list[str]:
    positions = [beginning(p)]
    async with aclosing(p.events(beginning(p))) as events:  # type: ignore[type-var]
        while len(positions) < number:
            positions.append((await anext(events)).position)
    return positions


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("seed", range(6))
async def test_every_listener_hears_all_it_wishes_once_and_in_order(
    periscope: Periscope, open_here: OpenHere, partitions: int, seed: int
) -> None:
    chance = random.Random(seed)
    ring_bytes = chance.choice([3_000, 20_000, 4 << 20])
    async with open_here(namespace="many", partitions=partitions) as p:
        await act(p, chance, 10)
        positions = await some_positions(p, 20)
        hub = EventHub(p, ring_bytes=ring_bytes)
        await hub.start()
        listeners = [
            Listener(hub, chance.choice(positions), wishes(chance), random.Random(n), LAST + "!")
            for n in range(20)
        ]
        starts = [one.since for one in listeners]
        running = [asyncio.create_task(one.run()) for one in listeners]
        await act(p, chance, 40)
        await p.record_interaction("end", LAST + "!", "view")
        async with asyncio.timeout(30):
            await asyncio.gather(*running)
        whole = await everything(p, LAST + "!")
        for listener, start in zip(listeners, starts, strict=True):
            seen = whole[: positions.index(start)]
            assert [event.position for event in seen][-1:] in ([], [start])
            rest = [key for event in whole[len(seen) :] if (key := wished(event, listener.wishes))]
            assert Counter(listener.heard) == Counter(rest)
            for number in range(partitions):
                assert in_partition(p, listener.heard, number) == in_partition(p, rest, number)
        endings = Counter(why for one in listeners for why in one.endings)
        assert set(endings) <= {Ended.LAGGING}
        assert hub.subscribers == 0
        await hub.close()


def cut_anywhere(p: Periscope, whole: list[Event], chance: random.Random) -> tuple[str, list[Key]]:
    """A position such as one has who merged the partitions in another order; what comes after."""
    places = list(read_places(beginning(p)) or ())
    rest: list[Key] = []
    for number in range(len(places)):
        own = [e for e in whole if in_partition(p, [key_of(e)], number)]
        given = chance.randrange(len(own) + 1)
        if given:
            places[number] = (read_places(own[given - 1].position) or ())[number]
        rest += map(key_of, own[given:])
    return show_places(tuple(places)), rest


@pytest.mark.parametrize("ring_bytes", [4_000, 4 << 20])
async def test_a_position_of_another_order_is_resumed_exactly(
    periscope: Periscope, open_here: OpenHere, ring_bytes: int
) -> None:
    """Whoever followed elsewhere may have seen one partition further than this hub has told."""
    chance = random.Random(ring_bytes)
    async with open_here(namespace="many", partitions=3) as p:
        hub = EventHub(p, ring_bytes=ring_bytes)
        await hub.start()
        await act(p, chance, 30)
        whole = await everything(p, LAST)
        for number in range(40):
            since, rest = cut_anywhere(p, whole, chance)
            listener = Listener(hub, since, {}, random.Random(number), LAST)
            async with asyncio.timeout(10):
                while len(listener.heard) < len(rest):
                    await listener.listen(0, 1)
                await listener.listen(0, 1)
            assert Counter(listener.heard) == Counter(rest)
            for one in range(3):
                assert in_partition(p, listener.heard, one) == in_partition(p, rest, one)
        await hub.close()
