"""Hit rate: look-ups that find what is there, and those that need no server to say no."""

from __future__ import annotations

from periscope.bench.acting import STRIDE
from periscope.bench.figures import Figure, figure
from periscope.bench.plan import Plan
from periscope.bench.seed_ways import OURS, Way
from periscope.bench.stand import Stand
from periscope.bench.threats import threat_id
from periscope.bench.work import FAR
from periscope.errors import BugError

LOOKUPS = 2_000
FOUND = "known ids found"
ANSWERED_HERE = "unknown ids answered here"


async def hits(plan: Plan, on: Stand, way: Way, row: str) -> list[Figure]:
    """Shares in percent: of known ids that are found, of unknown ones refused by the filter."""
    await on.periscope.membership_ready()
    numbers = range(min(plan.scale, LOOKUPS))
    known = [await way.exists(threat_id(number * STRIDE % plan.scale)) for number in numbers]
    before = on.periscope.membership.local
    unknown = [await way.exists(threat_id(3 * FAR + number)) for number in numbers]
    if any(unknown):
        raise BugError(f"{way.name} knows a threat that nobody reported")
    here = on.periscope.membership.local - before
    figures = [figure(row, FOUND, plan.scale, "%", [100 * sum(known) / len(known)], on=way.name)]
    if way.name == OURS:
        share = 100 * here / len(unknown)
        figures.append(figure(row, ANSWERED_HERE, plan.scale, "%", [share], on=way.name))
    return figures
