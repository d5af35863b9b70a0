"""The language of rules: what conditions mean, what they refuse, and that nothing breaks them."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from periscope import Mark, NoiseInvalid, Report, Severity, SuppressionRule
from periscope.noise import Condition, Judge, Rate, new_rule, read_where
from periscope.noise.holding import glob, holds
from periscope.noise.index import MAX_ACTIVE, MAX_ENDED, Index, decode_index, encode_index
from periscope.noise.kinds import KINDS
from tests.support.history import say
from tests.support.patience import PATIENCE

NOW = 1_790_000_000_000
REPORT: dict[str, Any] = {
    "threat_id": "siem:7",
    "content": "\n ET SCAN Nmap\nmore of it",
    "severity": "Medium",
    "source": "siem",
    "metadata": {
        "type": "alert",
        "tags": ["scan", "T1046"],
        "tlp": "WHITE",
        "indicators": [
            {"type": "ipv4-addr", "value": "10.1.2.3"},
            {"type": "domain-name", "value": "WWW.Example.com"},
            {"type": "file-name", "value": "Setup.EXE"},
        ],
        "port": 22,
        "ratio": 0.5,
        "open": True,
        "host": {"name": "web-03", "ips": ["192.0.2.9", "10.9.9.9"], "os.kind": "linux"},
        "rows": [{"id": "a"}, {"id": "b"}],
        "level": "7",
    },
}

HOLD = [
    *("severity=MEDIUM", "severity<=medium", "severity>LOW", "severity != HIGH"),
    *("severity in LOW,Medium", "source=siem", "source!=other", "source ~ S*M", "source~????"),
    *("threat_id=siem:7", "threat_id~siem:*", "content~*nmap*", "title=ET SCAN Nmap"),
    *("title~et scan*", "title~*NMAP", "title~*", "type=alert", "type in finding,alert"),
    *("tags=scan", "tags~t10*", "tags in a,scan", "tags!=other", "tlp=CLEAR", "tlp=white"),
    *("tlp in RED,TLP:CLEAR", "indicators in 10.0.0.0/8", "indicators=www.example.COM"),
    *("indicators.ipv4-addr in 10.1.2.0/24,192.0.2.1", "indicators.domain-name~*.example.com"),
    *("indicators.file-name=Setup.EXE", "metadata.port=22", "metadata.port>=22"),
    *("metadata.port<100", "metadata.port in 80,22", "metadata.ratio=0.5", "metadata.ratio<1"),
    *("metadata.open=true", "metadata.host.name=web-03", "metadata.host.ips in 192.0.2.0/24"),
    *("metadata.host.os.kind=linux", "metadata.rows.id=b", "metadata.level>6"),
    *("metadata.nothing!=x", "metadata.tags=T1046", "metadata.host.ips=10.9.9.9"),
]
FAIL = [
    *("severity=HIGH", "severity<MEDIUM", "severity>=HIGH", "severity in LOW,HIGH"),
    *("source=SIEM", "source!=siem", "source~si", "source~?", "threat_id=7", "content~nmap"),
    *("title=et scan nmap", "title~*scan", "type=finding", "tags=SCAN", "tags!=scan"),
    *("tags~scanner*", "tlp=RED", "indicators in 192.0.2.0/24", "indicators.url=10.1.2.3"),
    *("indicators.file-name=setup.exe", "indicators=10.1.2.0/24", "metadata.port=23"),
    *("metadata.port>22", "metadata.open=1", "metadata.host=web-03", "metadata.nothing=x"),
    *("metadata.nothing<5", "metadata.nothing~*", "metadata.host.name<5", "metadata.port~2*"),
    *("metadata.rows.id!=b", "metadata.port!=22", "metadata.level>7", "metadata.host.name.x=1"),
]


@pytest.mark.parametrize("text", HOLD)
def test_a_condition_holds(text: str) -> None:
    assert holds(read_where(text))(REPORT)


@pytest.mark.parametrize("text", FAIL)
def test_a_condition_does_not_hold(text: str) -> None:
    assert not holds(read_where(text))(REPORT)


@pytest.mark.parametrize("text", [*HOLD, *FAIL])
def test_a_condition_is_the_same_typed_and_as_json(text: str) -> None:
    (one,) = read_where(text)
    as_json = msgspec.json.decode(msgspec.json.encode(one))
    assert read_where([as_json]) == (one,)
    assert read_where(str(one)) == (one,)


def test_all_conditions_must_hold() -> None:
    assert holds(read_where(HOLD[:20]))(REPORT)
    assert not holds(read_where([*HOLD[:10], FAIL[0], *HOLD[10:15]]))(REPORT)


def test_a_title_is_what_a_person_reads_first() -> None:
    titled = REPORT | {"metadata": {"title": "Another"}}
    assert holds(read_where("title=Another"))(titled)
    assert holds(read_where("title=ET SCAN Nmap"))(REPORT | {"metadata": {"title": 7}})


def test_a_report_may_be_a_report() -> None:
    report = Report("siem:7", "ET SCAN", Severity.MEDIUM, REPORT["metadata"], "siem")
    rule = new_rule(["severity=MEDIUM", "tags=scan", "source=siem"], "noise", "zoe", NOW)
    assert Judge([rule]).mark(report) == rule.mark


PATTERNS = st.text(st.sampled_from("ab*?B["), max_size=8)
TEXTS = st.text(st.sampled_from("abB[\n"), max_size=8)


def slow_glob(pattern: str, text: str) -> bool:
    """Letter by letter."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(slow_glob(pattern[1:], text[at:]) for at in range(len(text) + 1))
    same = bool(text) and pattern[0] in ("?", text[0])
    return same and slow_glob(pattern[1:], text[1:])


@given(PATTERNS, TEXTS)
@example("*a*", "")
@example("a*a", "a")
@example("*?*", "\n")
def test_a_glob_is_that_of_brute_force(pattern: str, text: str) -> None:
    assert glob(pattern)(text) == slow_glob(pattern.casefold(), text.casefold())


@pytest.mark.parametrize("pattern", ["*a" * 200 + "b", "*a?" * 100 + "b", "*" * 1000, "a" * 1000])
def test_a_glob_is_not_slow(pattern: str) -> None:
    began = time.process_time()
    glob(pattern)("a" * 65_536)
    assert time.process_time() - began < PATIENCE


# --- nothing breaks them --------------------------------------------------------------------------


def read_or_refused(where: Any) -> tuple[Condition, ...] | str:
    """The conditions, or why they are none."""
    try:
        return read_where(where)
    except NoiseInvalid as exc:
        return str(exc)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
REPORTS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("threat_id", "content", "severity", "source"), JSON),
        "metadata": st.dictionaries(
            st.sampled_from(
                ["title", "type", "tags", "tlp", "indicators", "a", "indicators_total"]
            ),
            JSON | st.lists(st.fixed_dictionaries({"type": JSON, "value": JSON}), max_size=2),
        )
        | JSON,
    },
)
FIELD_NAMES = st.sampled_from(
    [
        *("source", "severity", "title", "content", "type", "threat_id", "tags", "tlp"),
        *("indicators", "indicators.url", "metadata.a", "metadata.a.b", "metadata.tags"),
    ]
)
OPS = st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~", "in"])
VALUES = st.one_of(
    st.sampled_from(["LOW", "1", "10.0.0.0/8", "*", "a*?"]), st.text(max_size=6), JSON
)


@given(FIELD_NAMES, OPS, VALUES, REPORTS)
def test_a_condition_is_refused_in_one_line_or_judges_whatever_comes(
    field: str, op: str, value: Any, report: dict[str, Any]
) -> None:
    conditions = read_or_refused([{"field": field, "op": op, "value": value}])
    if isinstance(conditions, str):
        assert "\n" not in conditions
        return
    assert holds(conditions)(report) in (True, False)
    assert read_where(list(conditions)) == conditions


@given(st.text() | st.from_regex(re.compile(r"[a-z.]+ ?(=|!=|<|>=|~| in ) ?.*"), fullmatch=True))
@example("in in in")
@example("=")
@example("source=" + "\0")
@example("metadata." + "a." * 500 + "b=1")
def test_any_text_is_a_condition_or_is_refused_in_one_line(text: str) -> None:
    found = read_or_refused(text)
    if isinstance(found, str):
        assert "\n" not in found
        return
    (one,) = found
    assert one.op in ("=", "!=", "<", "<=", ">", ">=", "~", "in")
    holds((one,))(REPORT)


@given(REPORTS)
def test_a_judge_judges_whatever_comes(report: dict[str, Any]) -> None:
    rules = [a_rule(text) for text in HOLD]
    assert isinstance(Judge(rules).mark(report), Mark | None)
    Judge(rules).explain(report)


@pytest.mark.parametrize("size", [65_536])
def test_a_report_of_hostile_size_costs_little(size: int) -> None:
    judge = Judge([a_rule(text) for text in HOLD])
    texts = {"content": "\ud800" * size, "source": "\0" * 300, "threat_id": "x" * 512}
    nested: Any = "x"
    for _ in range(32):
        nested = {"a": [nested] * 3}
    metadata = {"tags": ["x"] * 20_000, "title": "t" * size, "host": nested, "a": nested}
    began = time.process_time()
    assert judge.mark({**texts, "severity": "LOW", "metadata": metadata}) is not None
    assert time.process_time() - began < 0.25 * PATIENCE


# --- the judge ------------------------------------------------------------------------------------


def a_rule(*where: str, number: int = 0, **more: Any) -> SuppressionRule:
    found = new_rule(where, "noise", "zoe", NOW, force=True, **more)
    return msgspec.structs.replace(found, id=f"r{number}")


def clock_at(now_ms: int) -> Any:
    return lambda: now_ms


def test_the_first_rule_that_holds_counts() -> None:
    """Whether it is found by its source, its id, or by trying it."""
    wheres = [
        *(["threat_id=other"], ["source=siem", "tags=none"], ["severity>=MEDIUM"]),
        *(["source=siem"], ["threat_id=siem:7"]),
    ]
    rules = [a_rule(*where, number=number) for number, where in enumerate(wheres)]
    assert Judge(rules).mark(REPORT) == rules[2].mark
    assert Judge([*rules[:2], *rules[3:]]).mark(REPORT) == rules[3].mark
    assert Judge([rules[4], *rules[:4]]).mark(REPORT) == rules[4].mark
    assert Judge(rules[:2]).mark(REPORT) is None
    assert [one.id for one in Judge(rules).explain(REPORT).rules] == ["r2", "r3", "r4"]


def test_what_has_ended_judges_no_more() -> None:
    rule = a_rule("source=siem", until=timedelta(hours=1), number=1)
    later = a_rule("severity<=HIGH", number=2)
    ended = msgspec.structs.replace(a_rule("source=siem"), ended_ms=NOW + 1, ended_by="zoe")
    moments = [NOW]
    judge = Judge([ended, rule, later], now_ms=lambda: moments[0])
    assert judge.mark(REPORT) == rule.mark
    moments[0] = NOW + 3_600_000
    assert judge.mark(REPORT) == later.mark
    assert Judge([ended, rule], now_ms=clock_at(NOW + 3_600_000)).marker is None
    assert Judge([], None).marker is None


def test_many_rules_cost_little() -> None:
    rules = [a_rule(f"source=s{n}", "severity<=LOW", number=n) for n in range(MAX_ACTIVE)]
    judge = Judge(rules)
    best = min(_timed(judge, 1_000) for _ in range(9))
    say(f"a report against {MAX_ACTIVE} rules that name a source: {best * 1e6:.1f} us")
    assert best < 50e-6


def _timed(judge: Judge, times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        judge.mark(REPORT)
    return (time.perf_counter() - began) / times


# --- the index ------------------------------------------------------------------------------------


def with_rules(rules: Sequence[SuppressionRule]) -> Index:
    index = Index()
    for one in rules:
        index = index.with_rule(one)
    return index


def test_the_index_is_bounded() -> None:
    rules = [a_rule("source=x", number=number) for number in range(MAX_ACTIVE)]
    full = with_rules(rules)
    assert full.with_rule(rules[0]) is full
    with pytest.raises(NoiseInvalid, match="more than 500"):
        full.with_rule(a_rule("source=x", number=-1))
    for number in range(MAX_ACTIVE):
        full = full.without_rule(f"r{number}", "zoe", NOW + number + 1)
    assert len(full.rules) == MAX_ENDED
    assert full.rules[-1].id == f"r{MAX_ACTIVE - 1}"


@given(st.lists(st.sampled_from(HOLD), min_size=1, max_size=4), st.booleans())
def test_the_index_comes_out_of_the_store_as_it_went_in(where: list[str], limited: bool) -> None:
    more = {"rate": Rate(5, 60_000), "until": timedelta(days=1)} if limited else {}
    index = with_rules([a_rule(*where, number=n, **more) for n in range(3)])
    assert decode_index(encode_index(index)) == index


def test_the_types_of_indicators_are_fields() -> None:
    for kind in KINDS:
        assert read_where(f"indicators.{kind}=x") == (Condition(f"indicators.{kind}", "=", "x"),)
