"""What is like a threat: chosen by the index, or by a walk over everything; judged by records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from periscope.index.asking import Candidate
from periscope.index.calls import holders_of
from periscope.index.facts import indicators_in
from periscope.index.status import SimilarThreat
from periscope.index.where import Wanted
from periscope.periscope import Periscope
from periscope.threat import Threat

MOST_SIMILAR = 100
READ = 250  # records at a time


async def alike(
    periscope: Periscope,
    threat_id: str,
    candidates: Sequence[Candidate],
    count: int,
    wanted: Wanted,
) -> list[SimilarThreat]:
    """The first `count` of the candidates that share something now, and fit."""
    (me,) = await periscope.get_threats([threat_id]) or (None,)
    found: list[SimilarThreat] = []
    for start in range(0, len(candidates) if me else 0, READ):
        weights = {one.threat_id.decode(): one.weight for one in candidates[start : start + READ]}
        for threat in await that_fit(periscope, weights, wanted):
            assert me is not None  # noqa: S101 - there are no candidates without it
            one = shared(me, threat, weights[threat.threat_id])
            found += [one] if one else []
        if len(found) >= count:
            break
    return found[:count]


def shared(me: Threat, other: Threat, weight: float) -> SimilarThreat | None:
    """What the other one shares; None if nothing, or if it is the same."""
    if me.threat_id == other.threat_id:
        return None
    common = indicators_in(me) & indicators_in(other)
    same_content = bool(me.content) and me.content == other.content
    if not common and not same_content:
        return None
    named = tuple(sorted(f"{kind}:{value}" if kind else value for kind, value in common))
    return SimilarThreat(other, named, same_content, weight)


async def that_fit(periscope: Periscope, ids: Iterable[str], wanted: Wanted) -> list[Threat]:
    """The known ones among these that fit, as they are now, whatever their level."""
    threats = await periscope.get_threats(ids)
    holders: dict[bytes, str] = {}
    if wanted.is_about_holders:
        keyed = [one.threat_id.encode() for one in threats]
        for keys, members in periscope.reads.by_partition(keyed).items():
            held = await holders_of(periscope.functions, keys, members)
            holders |= {one: who for one, (who, _) in zip(members, held, strict=True)}
    return [one for one in threats if wanted.fits(one, holders.get(one.threat_id.encode(), ""))]
