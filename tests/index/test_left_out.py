"""What is left out, and bounds of time: the same by every plan as by looking at all there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from periscope import Level, Periscope, Threat, UsageError
from periscope.functions import RankQuery
from periscope.index import ReadIndex, Where, asked
from periscope.index.plain import find
from periscope.models import SEVERITIES, STATUSES
from tests.conftest import OpenHere
from tests.index.support import ids, indexed, ranked, report, walk

FIRST_MS = 1_790_000_000_000
NUMBER = 90
TLPS = {"amber": "AMBER", "TLP:WHITE": "CLEAR", "RED": "RED", None: ""}
SPELLINGS = {"AMBER": "tlp:amber", "CLEAR": "white", "RED": "Red", "": ""}
MOMENTS = st.none() | st.integers(0, NUMBER - 1)  # that of the threat of this number


def some(values: Sequence[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=3).map(tuple)


WHERES = st.fixed_dictionaries(
    {},
    optional={
        "source": st.sampled_from(["s1", "none"]),
        "sources": some(["s1", "s2", ""]),
        "tag": st.sampled_from(["tag1", "ALL"]),
        "tlp": st.sampled_from(["white", ""]),
        "tlps": some(["RED", ""]),
        "text": st.sampled_from(["evil3.example", "beacon"]),
        "severities": some(SEVERITIES),
        "not_sources": some(["s0", "s1", "s2", "", "none"]),
        "not_tags": some(["TAG0", "tag1", "Tag2", "all", "none"]),
        "not_tlps": some([*SPELLINGS.values(), "none"]),
        "not_severities": some(SEVERITIES),
        "first_seen_from_ms": MOMENTS,
        "first_seen_until_ms": MOMENTS,
        "last_activity_from_ms": MOMENTS,
        "last_activity_until_ms": MOMENTS,
    },
)
LEFT_OUT = st.fixed_dictionaries(
    {},
    optional={
        "not_sources": some(["s0", "s1", "", "none"]),
        "not_tags": some(["TAG0", "tag1", "none"]),
        "not_tlps": some(["white", "", "none"]),
        "not_severities": some(SEVERITIES),
    },
)
QUERIES = st.none() | st.builds(RankQuery, status=st.sampled_from([0, 3]), severity=st.just(-1))


def is_such(one: Threat, where: dict[str, Any]) -> bool:
    """The same conditions, as one would write them down."""
    tags = {tag.lower() for tag in one.metadata.get("tags", [])}
    tlp = TLPS[one.metadata.get("tlp")]

    def plain(names: Sequence[str]) -> list[str]:
        return [next((word for word, way in SPELLINGS.items() if way == n), n) for n in names]

    def between(name: str) -> bool:
        low, high = where.get(f"{name}_from_ms"), where.get(f"{name}_until_ms")
        moment = getattr(one, f"{name}_ms")
        return (low is None or moment >= low) and (high is None or moment < high)

    return all(
        (
            where.get("source") in (None, one.source),
            not where.get("sources") or one.source in where["sources"],
            "tag" not in where or where["tag"].lower() in tags,
            "tlp" not in where or plain([where["tlp"]]) == [tlp],
            not where.get("tlps") or tlp in where["tlps"],
            "text" not in where or where["text"][:5] in one.content.lower(),
            not where.get("severities") or one.severity in where["severities"],
            one.source not in where.get("not_sources", ()),
            tags.isdisjoint(tag.lower() for tag in where.get("not_tags", ())),
            tlp not in plain(where.get("not_tlps", ())),
            one.severity not in where.get("not_severities", ()),
            between("first_seen"),
            between("last_activity"),
        )
    )


async def fill(p: Periscope) -> list[Threat]:
    """Threats of three levels' worth of kinds, first seen a second after another."""
    await p.functions.connections.client.flushall()
    await p.refresh()
    bare = {"threat_id": "bare", "content": "beacon", "severity": "LOW", "source": ""}
    await p.add_threats_batch([bare])
    for number in range(NUMBER):  # one by one: each is first seen at a moment of its own
        await p.add_threats_batch([report(number, observed_at=FIRST_MS + 1000 * number)])
    for number in range(0, NUMBER, 10):
        await p.decide(f"t{number}", "ann", "benign_expected")
    for analyst in ("ann", "bob"):
        for number in range(3, NUMBER, 12):
            await p.record_interaction(f"t{number}", analyst, "escalate")
    assert (await p.promote_eligible_threats()).promoted
    return await p.get_threats([*(f"t{number}" for number in range(NUMBER)), "bare"])


@pytest.mark.parametrize("most_of_few", [10_000, 0], ids=["few", "many"])
@settings(max_examples=12)
@given(wheres=st.lists(WHERES | LEFT_OUT, min_size=4, max_size=8), query=QUERIES)
async def test_whatever_is_left_out_what_fits_is_found_and_counted(
    open_here: OpenHere,
    tmp_path_factory: pytest.TempPathFactory,
    most_of_few: int,
    wheres: list[dict[str, Any]],
    query: RankQuery | None,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asked, "MOST_OF_FEW", most_of_few)
        async with open_here(namespace="left-out", partitions=2) as p:
            everything = await fill(p)
            async with indexed(p, tmp_path_factory.mktemp("left-out")) as index:
                for given_where in wheres:
                    where = with_moments(given_where, everything)
                    fit = [one for one in everything if is_such(one, where)]
                    await same_pages(p, index, where, query, everything, fit)
                    await same_counts(index, where, query, everything, fit)


def with_moments(where: dict[str, Any], everything: list[Threat]) -> dict[str, Any]:
    """The conditions with moments of threats in place of their numbers."""
    moments = {}
    for name, number in where.items():
        if name.endswith("_ms") and number is not None:
            one = everything[number]
            moments[name] = one.first_seen_ms if "first" in name else one.last_activity_ms
    return where | moments


async def same_pages(
    p: Periscope,
    index: ReadIndex,
    where: dict[str, Any],
    query: RankQuery | None,
    everything: list[Threat],
    fit: list[Threat],
) -> None:
    found, as_of_ms = await walk(index, Where(**where), query, 20)
    expected = ranked(everything, as_of_ms, lambda one: one in fit, query)
    assert ids(found) == expected, where
    plain = await find(p, query or RankQuery(), Where(**where), None, 1000)
    assert sorted(ids(plain.items)) == sorted(expected), where
    level = await index.level_page(Level.SHORT_TERM, Where(**where), None, 100)
    of_2 = [one.threat_id for one in fit if one.level is Level.SHORT_TERM]
    assert sorted(one.threat.threat_id for one in level.items) == sorted(of_2), where
    assert level.total == len(of_2), where
    assert await index.matching(ids(everything), Where(**where)) == set(ids(fit)), where


async def same_counts(
    index: ReadIndex,
    where: dict[str, Any],
    query: RankQuery | None,
    everything: list[Threat],
    fit: list[Threat],
) -> None:
    if query is not None:
        fit = [one for one in fit if one.level == 1 and one.status is STATUSES[query.status]]
    assert await index.count(Where(**where), query) == len(fit), where
    facets = await index.facets(query, Where(**where))
    assert facets.total == len(fit), where
    assert facets.severity == Counter(one.severity.value for one in fit), where
    assert facets.status == Counter(one.status.value for one in fit), where
    assert facets.level == Counter(str(int(one.level)) for one in fit), where
    assert facets.source == Counter(one.source for one in fit), where
    assert facets.tlp == Counter(TLPS[one.metadata.get("tlp")] for one in fit), where
    tags = Counter(tag for one in fit for tag in one.metadata.get("tags", []))
    assert facets.tag == tags, where
    edges = everything[4].first_seen_ms, everything[70].first_seen_ms + 1
    shown = await index.histogram(*edges, 7, query, Where(**where))
    within = [one.first_seen_ms for one in fit if edges[0] <= one.first_seen_ms < edges[1]]
    counts = Counter((moment - edges[0]) // shown.bucket_ms for moment in within)
    assert shown.counts == [counts[number] for number in range(len(shown.counts or ()))], where
    assert shown.total == len(within), where


async def test_facets_of_one_level(periscope: Periscope, tmp_path: Path) -> None:
    everything = await fill(periscope)
    async with indexed(periscope, tmp_path) as index:
        where = Where(not_sources=("s1",))
        for level in Level:
            fit = [one for one in everything if one.level is level and one.source != "s1"]
            facets = await index.facets(None, where, level=level)
            assert facets.total == len(fit)
            assert facets.source == Counter(one.source for one in fit)
            shown = await index.histogram(0, 2**48 - 1, 1, None, where, level=level)
            assert shown.counts == [len(fit)]


async def test_a_histogram_of_any_stretch(periscope: Periscope, tmp_path: Path) -> None:
    moments = sorted(one.first_seen_ms for one in await fill(periscope))
    first, end = moments[0], moments[-1] + 1
    async with indexed(periscope, tmp_path) as index:
        for buckets in (1, 3, 10, 120):
            shown = await index.histogram(first, end, buckets)
            width = shown.bucket_ms
            assert (width - 1) * buckets < end - first <= width * buckets
            spread = Counter((moment - first) // width for moment in moments)
            assert shown.counts == [spread[n] for n in range(-(-(end - first) // width))]
            assert shown.total == NUMBER + 1
        short = await index.histogram(first, first + 3, 120)
        here = [moments.count(first + after) for after in range(3)]
        assert (short.bucket_ms, short.counts, short.total) == (1, here, sum(here))
        without_last = await index.histogram(first, end - 1, 1)
        assert without_last.counts == [NUMBER + 1 - moments.count(end - 1)]
        for stretch in ((5, 5, 1), (6, 5, 1), (0, 1, 0), (0, 1, 121), (-1, 1, 1), (0, 2**48, 1)):
            with pytest.raises(UsageError):
                await index.histogram(*stretch)


@pytest.mark.parametrize(
    "conditions",
    [
        {"not_sources": ["s1"]},
        {"not_sources": ("\ud800",)},
        {"not_sources": ("x" * 5000,)},
        {"not_sources": ("x",) * 1001},
        {"not_tags": ("",)},
        {"not_tags": (7,)},
        {"not_tlps": "RED"},
        {"not_severities": ("SEVERE",)},
    ],
)
async def test_what_cannot_be_left_out_is_a_usage_error(
    periscope: Periscope, tmp_path: Path, conditions: dict[str, Any]
) -> None:
    async with indexed(periscope, tmp_path) as index:
        with pytest.raises(UsageError):
            await index.page(RankQuery(), Where(**conditions))


async def test_hostile_values_are_left_out_as_they_are(
    periscope: Periscope, tmp_path: Path
) -> None:
    texts = ["'; DROP TABLE threats; --", "%_*", "\u202e", "nul\x00", ") OR 1=1 --"]
    await periscope.add_threats_batch(
        {"threat_id": f"h{n}", "content": "x", "severity": "LOW", "source": text}
        | {"metadata": {"tags": [text], "tlp": text}}
        for n, text in enumerate(texts)
    )
    async with indexed(periscope, tmp_path) as index:
        for number, text in enumerate(texts):
            others = [f"h{n}" for n in range(len(texts)) if n != number]
            for name in ("not_sources", "not_tags", "not_tlps"):
                left_out: dict[str, Any] = {name: (text,)}
                page = await index.page(RankQuery(), Where(**left_out))
                assert sorted(ids(page.items)) == others, left_out
