"""Whatever is killed, whenever: nothing acknowledged is lost, nothing is counted twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from periscope.archive import Archive, open_archive
from periscope.archive.archive import _connector
from periscope.archive.session import Session
from periscope.archive.worker import Worker
from tests.archive.crasher import SIZE, answer_of, batch_of
from tests.archive.postgres_server import PostgresServer
from tests.archive.samples import act, departure

ROOT = Path(__file__).parent.parent.parent
ROUNDS = int(os.environ.get("CRASHES", "4"))
ANSWER = [True, False, True]


def start(place: str, name: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.archive.crasher", place, name],
        env=os.environ | {"PYTHONPATH": path},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def read_and_kill(child: subprocess.Popen[str], lines: int) -> list[str]:
    """What the child said until it was killed, some time after that many lines."""
    with child:
        assert child.stdout is not None
        said = list(islice(child.stdout, lines))
        assert len(said) == lines
        child.kill()
        return said + child.stdout.readlines()


async def settle_and_check(archive: Archive, said: dict[str, list[str]]) -> None:
    """Settle what is left as the store would, then compare everything with what was told."""
    for batch in await archive.pending():
        name, _, number = batch.batch_id.partition("-")
        n = int(number)
        assert list(batch.threat_ids) == [d.threat_id for d in batch_of(name, n)]
        await archive.confirm(batch.batch_id, answer_of(n))
    expected: Counter[str] = Counter()
    rows = Counter(d.threat_id for _, d in await archive.history(limit=10_000))
    for name, lines in said.items():
        prepared = {int(line.split()[1]) for line in lines if line.startswith("prepared")}
        for n in range(max(prepared) + 2):
            left = [d for d, gone in zip(batch_of(name, n), answer_of(n), strict=True) if gone]
            if n in prepared or left[0].threat_id in rows:  # the last one may have got so far
                expected.update(d.threat_id for d in left)
    assert rows == expected
    assert sum((await archive.counts()).values()) == rows.total()
    by_reason = Counter(d.reason for _, d in await archive.history(limit=10_000))
    assert await archive.counts() == by_reason


async def test_killed_writers_lose_and_double_nothing(place: str) -> None:
    dice = random.Random()
    said = {}
    for turn in range(ROUNDS):
        pair = [str(2 * turn), str(2 * turn + 1)]
        children = [start(place, name) for name in pair]
        for name, child in zip(pair, children, strict=True):
            said[name] = read_and_kill(child, dice.randrange(1, 25))
    archive = await open_archive(place)
    await settle_and_check(archive, said)
    for name, lines in said.items():
        confirmed = [line.split() for line in lines if line.startswith("confirmed")]
        assert all(int(told) == sum(answer_of(int(n))) for _, n, told in confirmed)
        reached = await archive.audit_reached(int(name))
        stored = [e for _, e in await archive.audit(limit=10_000) if e.request_id == name]
        assert len(stored) >= len(confirmed) - 1
        assert reached == (stored[0].stream_id if stored else None)
    await archive.close()


async def test_a_killed_server_keeps_what_it_acknowledged() -> None:
    server = PostgresServer().make().start()
    try:
        place = server.url(server.make_database())
        child = start(place, "0")
        with child:
            assert child.stdout is not None
            said = list(islice(child.stdout, 15))
            server.kill()
            said += child.stdout.readlines()
        server.start()
        archive = await open_archive(place)
        await settle_and_check(archive, {"0": said})
        server.kill()
        server.start()
        assert sum((await archive.counts()).values()) >= SIZE  # reconnected by itself
        await archive.close()
    finally:
        server.stop()


class Fault(Exception):
    """Injected."""


class Faulty:
    """A session whose statement number `at`, commits included, fails before or after it is done."""

    def __init__(self, session: Session, at: int, *, after: bool) -> None:
        self._session, self._left, self._after = session, at, after

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._session, name)
        return self._failing(inner) if name in ("commit", "rows", "run", "run_many") else inner

    def _failing(self, act: Any) -> Any:
        def failing(*arguments: Any) -> Any:
            self._left -= 1
            if self._left == -1 and not self._after:
                raise Fault
            result = act(*arguments)
            if self._left == -1:
                raise Fault
            return result

        return failing


def faults() -> Iterator[tuple[int, bool]]:
    for at in count():
        yield at, False
        yield at, True


async def broken(place: str, at: int, *, after: bool) -> Archive:
    """The archive at the place, its next step broken at that statement, later ones sound."""
    connect, shown = _connector(place, 5000)
    used = False

    def connect_once(create: bool) -> Session:
        nonlocal used
        session = connect(create)
        if used:
            return session
        used = True
        # The opening itself takes two statements, `has_table` not counted, and a commit.
        return Faulty(session, at + 2, after=after)

    worker = Worker(connect_once, shown)
    await worker.run("read", lambda _: None)
    return Archive(worker, connect)


@pytest.mark.parametrize("step", ["prepare", "confirm", "audit", "retain", "erase"])
async def test_a_fault_between_statements_leaves_all_or_nothing(place: str, step: str) -> None:
    """Break the step at every statement in turn; then repeat it, and all is as if unbroken."""
    sound = await open_archive(place)
    batch = [departure(f"t{n}") for n in range(3)]
    for turn, (at, after) in enumerate(faults()):
        batch_id = f"b{turn}"
        await sound.prepare(f"old{turn}", 0, [departure("old", departed_at_ms=1)])
        await sound.confirm(f"old{turn}", [True])
        if step == "confirm":
            await sound.prepare(batch_id, 0, batch)
        before = await picture(sound)
        archive = await broken(place, at, after=after)

        async def carry_out() -> object:
            match step:
                case "prepare":
                    await archive.prepare(batch_id, 0, batch)  # noqa: B023
                case "confirm":
                    return await archive.confirm(batch_id, ANSWER)  # noqa: B023
                case "audit":
                    return await archive.write_audit([act(turn)])  # noqa: B023
                case "retain":
                    return await archive.retain(2)  # noqa: B023
                case _:
                    return await archive.erase("old")  # noqa: B023
            return None

        try:
            await carry_out()
        except Fault:
            found = await picture(sound)
            await carry_out()
            whole = await picture(sound)
            assert found in (before, whole)
            await archive.close()
        else:
            await archive.close()
            break
        if step == "prepare":
            await sound.confirm(batch_id, [False] * 3)
    assert turn >= 2
    await check_totals(sound)
    await sound.close()


async def picture(archive: Archive) -> object:
    return [row async for row in archive.export()]


async def check_totals(archive: Archive) -> None:
    finals = len(await archive.history(limit=10_000))
    totals = [row async for row in archive.export() if row["table"] == "totals"]
    assert sum(row["departed"] - row["purged"] for row in totals) == finals
