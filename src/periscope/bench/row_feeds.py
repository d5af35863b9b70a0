"""Row `feeds`: a file of each format, from its bytes to the store."""

from __future__ import annotations

import tempfile
from pathlib import Path

from periscope.bench.effort import Effort
from periscope.bench.feed_inputs import make_file
from periscope.bench.figures import Figure, figure
from periscope.bench.plan import Plan
from periscope.bench.stand import Stand, stand
from periscope.errors import BugError
from periscope.feeds import open_feed
from periscope.feeds.format import Format
from periscope.feeds.registry import all_formats

UNIT = "records/s"


async def feeds_row(plan: Plan) -> list[Figure]:
    """New reports of each format, read from a file and stored; durable, a server for each run."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="periscope-bench-") as folder:
        for one in all_formats():
            plan.say(f"feeds, {one.name}: {plan.scale:,}")
            path = Path(folder) / one.name
            count = make_file(one, plan.scale, path)
            figures.append(await _figure(plan, one, path, count))
    return figures


async def _figure(plan: Plan, one: Format, path: Path, count: int) -> Figure:
    samples, effort = [], Effort()
    for _ in range(plan.runs):
        async with stand() as fresh:
            run = await _take_in(fresh, one, path, count)
        samples.append(count / run.wall_s)
        effort.add(run)
    size = path.stat().st_size // count  # noqa: ASYNC240 - nothing else runs
    what = f"{one.name}, {size:,} bytes each"
    return figure("feeds", what, plan.scale, UNIT, samples, on="durable", effort=effort)


async def _take_in(on: Stand, one: Format, path: Path, count: int) -> Effort:
    effort = Effort()
    async with effort.measured(on.socket_path, count):
        with open_feed(path, format=one.name) as feed:
            result = await on.periscope.add_threats_batch(feed)
    if result.added != count:
        raise BugError(f"{one.name}: of {count:,} records {result.added:,} were added")
    return effort
