"""Row `http`: the service as its clients see it, each with a process of its own."""

from __future__ import annotations

import asyncio

from periscope.bench.boards import fill
from periscope.bench.effort import Effort
from periscope.bench.figures import Figure, figure
from periscope.bench.http_tasks import Ask, Done, Follow, Kind, Post, Told
from periscope.bench.plan import Plan
from periscope.bench.rates import Rates, rate_figure, runs
from periscope.bench.served import Served, load, serving
from periscope.bench.stand import stand
from periscope.bench.threats import report, threat_id
from periscope.errors import BugError

ROW = "http"
EACH = 1000
MOST = 200_000
CONNECTIONS = (8, 20)
CLIENTS = 50
STREAMS = 200
PER_S = 10_000
FAR = 10**9
FARTHER = 2 * FAR
LEAST_MS = 0.01
SMALL: dict[str, Kind] = {
    "the first page": "page",
    "pages of walks": "pages",
    "one threat": "threat",
    "an interaction": "act",
    "healthz": "health",
}
"""Requests that many clients make one after the other; the first two bring 100 threats each."""


async def http_row(plan: Plan) -> list[Figure]:
    """Reports into an empty store; then reads, acts and event streams where the scale is."""
    figures = []
    for connections in CONNECTIONS:
        figures += await _posts(plan, connections)
    async with stand() as on:
        await fill(on, "untouched", plan.scale)
        async with serving(on) as served:
            for what, kind in SMALL.items():
                figures += await _asked(plan, served, what, kind)
            figures.append(await _beside_posts(plan, served))
            figures += await _streams(plan, served)
    return figures


async def _posts(plan: Plan, connections: int) -> list[Figure]:
    """New reports in bodies of 1,000, as fast as they are answered; a server for each run."""
    bodies = max(1, min(plan.scale, MOST) // EACH)
    rates, samples, shares = Rates(), list[float](), list[float]()
    for _ in runs(plan, f"{ROW}: reports, {connections} connections"):
        async with stand() as on, serving(on) as served:
            done, effort = await _post(served, connections, bodies)
        rates.note(bodies * EACH, effort)
        samples += done.samples_ms
        shares.append(100 * done.cpu_s / done.wall_s)
    told = f"{connections} connections"
    return [
        rate_figure(plan, ROW, f"reports, {told}", "reports/s", rates),
        figure(ROW, f"a body of 1,000, {told}", plan.scale, "ms", samples),
        figure(ROW, f"the load itself, {told}", plan.scale, "% of a core", shares),
    ]


async def _post(served: Served, connections: int, bodies: int) -> tuple[Done, Effort]:
    task = Post(port=served.port, key=served.key, connections=connections, first=FAR, bodies=bodies)
    effort = Effort()
    async with load(task) as loading, served.measured(effort, bodies * EACH):
        done = await loading.done(Done)
    effort.wall_s = done.wall_s
    return done, effort


async def _asked(plan: Plan, served: Served, what: str, kind: Kind) -> list[Figure]:
    """Small requests of 50 clients, each of whom asks again when answered."""
    plan.say(f"{ROW}: {what}: {plan.scale:,}")
    requests = max(500, min(10_000, plan.scale // 20))
    task = _ask(plan, served, CLIENTS, kind, requests)
    rates = Rates()
    effort = Effort()
    async with load(task) as loading, served.measured(effort, requests):
        done = await loading.done(Done)
    effort.wall_s = done.wall_s
    rates.note(requests, effort)
    told = f"{what}, {CLIENTS} clients"
    return [
        figure(ROW, told, plan.scale, "ms", done.samples_ms),
        rate_figure(plan, ROW, f"{told}, each second", "requests/s", rates),
    ]


async def _beside_posts(plan: Plan, served: Served) -> Figure:
    """Whether a small request has to wait behind bodies of reports."""
    plan.say(f"{ROW}: healthz beside reports: {plan.scale:,}")
    bodies = max(1, min(plan.scale, MOST // 2) // EACH)
    task = _ask(plan, served, 2, "health", max(50, 4 * bodies), pause_s=0.005)
    async with load(task) as asking:
        (_, _), done = await asyncio.gather(
            _post(served, CONNECTIONS[0], bodies), asking.done(Done)
        )
    return figure(ROW, "healthz beside reports", plan.scale, "ms", done.samples_ms)


def _ask(
    plan: Plan, served: Served, connections: int, kind: Kind, requests: int, pause_s: float = 0.0
) -> Ask:
    return Ask(
        port=served.port,
        key=served.key,
        connections=connections,
        kind=kind,
        requests=requests,
        scale=plan.scale,
        pause_s=pause_s,
    )


async def _streams(plan: Plan, served: Served) -> list[Figure]:
    """200 event streams, while 10,000 reports a second come in for up to ten seconds."""
    plan.say(f"{ROW}: {STREAMS} event streams: {plan.scale:,}")
    bodies = max(2, min(plan.scale, 10 * PER_S) // EACH)
    last = FARTHER + bodies * EACH
    following = Follow(
        port=served.port, key=served.key, connections=STREAMS, last=threat_id(last), most_s=60.0
    )
    posting = Post(
        port=served.port,
        key=served.key,
        connections=CONNECTIONS[0],
        first=FARTHER,
        bodies=bodies,
        per_s=PER_S / EACH,
    )
    effort = Effort()
    async with (
        load(following) as listeners,
        load(posting) as sender,
        served.measured(effort, bodies * EACH),
    ):
        hearing = asyncio.create_task(listeners.done(Told))
        done = await sender.done(Done)
        await served.on.periscope.add_threats_batch([report(last)])
        told = await hearing
    return _stream_figures(plan, told, done, effort)


def _stream_figures(plan: Plan, told: Told, done: Done, effort: Effort) -> list[Figure]:
    what = f"{STREAMS} event streams"
    behind = told.fell_behind
    return [
        figure(ROW, f"{what}, lag", plan.scale, "ms", lags(told, done.ended), effort=effort),
        figure(ROW, f"{what}, fell behind", plan.scale, "streams", [behind]),
        figure(
            ROW,
            f"{what}, the load itself",
            plan.scale,
            "% of a core",
            [100 * told.cpu_s / effort.wall_s],
        ),
    ]


def lags(told: Told, acknowledged: list[float]) -> list[float]:
    """Milliseconds from the answer to a body to each of its events on each stream.

    An event that was there before the answer counts as LEAST_MS.

    Raises:
        BugError: not every report that was acknowledged was told of, exactly once.
    """
    numbers = {threat_id(FARTHER + at): at // EACH for at in range(len(acknowledged) * EACH)}
    found, seen = [], list[str]()
    for threats, moments in zip(told.threats, told.arrived, strict=True):
        ours = [one for one in threats if one in numbers]
        seen += ours
        if ours:
            ended = acknowledged[numbers[ours[0]]]
            found += [max(LEAST_MS, (moment - ended) * 1000) for moment in moments]
    if not told.fell_behind and (len(seen) != len(numbers) or set(seen) != set(numbers)):
        raise BugError(f"of {len(numbers):,} reports the event streams told of {len(seen):,}")
    return found
