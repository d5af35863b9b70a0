"""The same questions without an index: exact, and as slow as reading every record is."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

from periscope.errors import ThreatUnknown
from periscope.functions import RankQuery
from periscope.index.alike import MOST_SIMILAR, READ, shared, that_fit
from periscope.index.asking import COMMON
from periscope.index.finding import MANY, Finder, Stretched, check
from periscope.index.status import FilteredPage, Similar, SimilarThreat
from periscope.index.where import EVERYTHING, Wanted, Where
from periscope.membership.calls import MemberCalls
from periscope.periscope import Periscope
from periscope.reader import check_count
from periscope.rules import Rules
from periscope.threat import Threat

CONTENT = "content"  # what is shared beside indicators
MOST_KEPT = 20_000  # threats that share something: of more, the first ones


async def find(
    periscope: Periscope,
    query: RankQuery,
    where: Where,
    cursor: str | None = None,
    count: int = 100,
) -> FilteredPage[Threat]:
    """As `ReadIndex.page`, by a walk over the ranking that reads every record of it.

    It is exact as of now, and goes on until the page is full or nothing is left. `total` is not
    known. The cursor is good for the index's pages of the same question, and theirs for it.

    Raises:
        UsageError: the conditions cannot be asked for; CursorInvalid: not a cursor of them.
        CursorStale: the policy changed meanwhile; start again.
    """
    finder = Finder(periscope, query, Wanted(where))
    items = list[Threat]()
    while True:
        done, token = await _stretch(finder, periscope, cursor, count - len(items))
        items += [one.threat for one in done.items]
        if token is None or len(items) >= count:
            return FilteredPage(items, token, done.as_of_ms, None, None, None)
        cursor = token


async def _stretch(
    finder: Finder, periscope: Periscope, cursor: str | None, count: int
) -> tuple[Stretched, str | None]:
    stand, walk = await finder.resume(cursor)

    async def read(rules: Rules) -> tuple[Stretched, str | None]:
        check(walk, rules, count)
        done = await finder.many(rules, finder.by_record, count, stand, records=True)
        return done, finder.token(rules, MANY, done)

    return await periscope.reads.steady(read)


async def similar(
    periscope: Periscope, threat_id: str, count: int = 20, where: Where = EVERYTHING
) -> Similar:
    """As `ReadIndex.similar`, by reading every record there is.

    Raises:
        ThreatUnknown: there is no such threat.
        UsageError: the conditions cannot be asked for.
    """
    check_count(count, MOST_SIMILAR)
    wanted = Wanted(where)
    if not (found := await periscope.get_threats([threat_id])):
        raise ThreatUnknown(f"no threat {threat_id!r:.100}")
    me, shares = found[0], Counter[str]()
    alike = list[SimilarThreat]()
    async for other in _everything(periscope, wanted):
        if one := shared(me, other, 0.0):
            shares.update(_of(one))
            if len(alike) < MOST_KEPT:
                alike.append(one)
    weighed = [
        replace(one, weight=sum(1.0 / min(COMMON, shares[name] + 1) for name in _of(one)))
        for one in alike
    ]
    ordered = sorted(weighed, key=lambda one: (-one.weight, one.threat.threat_id))
    return Similar(ordered[:count], None, None)


def _of(one: SimilarThreat) -> list[str]:
    return [*one.indicators, *([CONTENT] if one.same_content else [])]


async def _everything(periscope: Periscope, wanted: Wanted) -> AsyncIterator[Threat]:
    """All threats that fit, of all levels, in no order; each once, if it stays where it is."""
    calls = MemberCalls(periscope.functions)
    for keys in periscope.keyspace.partitions:
        async for ids in calls.members(keys):
            names = [threat_id.decode() for threat_id in ids]
            for start in range(0, len(names), READ):
                for threat in await that_fit(periscope, names[start : start + READ], wanted):
                    yield threat
