"""Row `http`: the load that it makes is what it says, and what goes wrong is found."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from periscope.bench.effort import Effort
from periscope.bench.http_heard import Parts, told_by
from periscope.bench.http_line import Line, request_of
from periscope.bench.http_tasks import Ask, Done, Post, Told
from periscope.bench.row_http import EACH, FARTHER, LEAST_MS, lags
from periscope.bench.served import load, serving
from periscope.bench.stand import stand
from periscope.bench.threats import threat_id
from periscope.errors import BugError

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(*events: tuple[str, list[str]]) -> bytes:
    frames = b"".join(
        b"id: %s\nevent: added\ndata: %s\n\n"
        % (position.encode(), msgspec.json.encode({"threat_ids": names}))
        for position, names in events
    )
    return b"%x\r\n%s\r\n" % (len(frames), frames)


def test_streams_are_read_part_by_part() -> None:
    first, second = chunk(("1-0", ["a", "b"]), ("2-0", ["c"])), chunk(("3-0", ["d"]))
    slow: Parts = [
        (0.0, HEAD),
        (1.0, first[:40]),
        (2.0, first[40:] + second[:9]),
        (3.0, second[9:]),
    ]
    quick: Parts = [(0.5, HEAD + first), (0.7, second)]
    told = told_by([slow, quick], 0, 1.0)
    assert told.threats == [["a", "b"], ["c"], ["d"]]
    assert told.arrived == [[2.0, 0.5], [2.0, 0.5], [3.0, 0.7]]
    assert told.fell_behind == 0


def test_a_stream_that_misses_an_event_fell_behind() -> None:
    whole: Parts = [(1.0, HEAD + chunk(("1-0", ["a"])) + chunk(("2-0", ["b"])))]
    lacking: Parts = [(1.0, HEAD + chunk(("2-0", ["b"])))]
    told = told_by([lacking, whole, whole], 0, 1.0)
    assert (told.fell_behind, told.threats) == (1, [["a"], ["b"]])
    assert told.arrived == [[1.0, 1.0], [1.0, 1.0]]


def told_of(threats: list[list[str]]) -> Told:
    return Told(cpu_s=0.0, threats=threats, arrived=[[5.0, 1.5]] * len(threats), fell_behind=0)


def test_lags_are_from_the_answer_to_each_arrival() -> None:
    names = [threat_id(FARTHER + number) for number in range(EACH)]
    assert lags(told_of([names]), [2.0]) == [3000.0, LEAST_MS]


def test_a_report_that_no_event_told_of_is_found() -> None:
    names = [threat_id(FARTHER + number) for number in range(EACH)]
    with pytest.raises(BugError, match="999"):
        lags(told_of([names[1:]]), [2.0])
    with pytest.raises(BugError, match="1,001"):
        lags(told_of([names, names[:1]]), [2.0])


async def test_load_is_made_by_others_on_a_service_of_its_own(temporary: Path) -> None:
    async with stand() as on, serving(on) as served:
        where = Post(port=served.port, key=served.key, connections=2, first=0, bodies=3, each=100)
        effort = Effort()
        async with load(where) as posting, served.measured(effort, 300):
            done = await posting.done(Done)
        assert len(done.samples_ms) == len(done.ended) == 3
        assert (await on.periscope.get_ledger()).added == 300
        task = Ask(
            port=served.port, key=served.key, connections=2, kind="act", requests=9, scale=300
        )
        async with load(task) as asking:
            await asking.done(Done)
        acted_on = await on.periscope.get_threat(threat_id(0))
        assert acted_on is not None
        assert acted_on.views == 1
        line = await Line.open(served.port)
        with pytest.raises(BugError, match="not-found"):
            await line.ask(request_of("/nowhere", served.key))
        line.close()


async def test_a_load_that_is_refused_says_so(
    temporary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with stand() as on, serving(on) as served:
        task = Ask(port=served.port, key="nobody", connections=1, kind="page", requests=1, scale=1)
        async with load(task) as asking:
            with pytest.raises(BugError):
                await asking.done(Done)
    assert "unauthenticated" in capfd.readouterr().err
