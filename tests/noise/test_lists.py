"""Warninglists match as their description says; by whom, how fast, and what they refuse."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pymispwarninglists.api import WarningList, WarningLists

from periscope.errors import NoiseInvalid
from periscope.noise import read_lists
from periscope.noise.hosts import host_of, normal_host
from periscope.noise.kinds import KINDS, kind_of
from periscope.noise.known_good import LARGE, KnownGood, Names, Prepared
from periscope.noise.networks import span_of
from periscope.noise.packed import pack_list, unpack_list
from periscope.noise.warninglist import MAX_VALUE, ListFile, parse_list
from tests.noise.support import network_of, slow_list_of
from tests.support.history import say
from tests.support.patience import PATIENCE

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "warninglists"
SHARED_FILES = sorted(SHARED.glob("*.json"))
needs_shared = pytest.mark.skipif(not SHARED_FILES, reason="the real samples are not here")


def known(*lists: dict[str, Any]) -> KnownGood:
    return KnownGood(Prepared(parse_list(json.dumps(one).encode())) for one in lists)


def a_list(kind: str, values: Iterable[str], *attributes: str, name: str = "l") -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "type": kind, "list": list(values)}
    return made | ({"matching_attributes": list(attributes)} if attributes else {})


# --- against brute force -------------------------------------------------------------------------

LABELS = st.sampled_from(["a", "b", "Ab", "www", "com", "org", "xn--p", "1"])
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
ADDRESSES = st.one_of(
    st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0", "::/0", "10.0.0.1/8"]),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.builds(lambda a, p: f"{a}/{p}", st.ip_addresses(v=4), st.integers(0, 33)),
    st.builds(lambda a, p: f"{a}/{p}", st.ip_addresses(v=6), st.integers(0, 129)),
    st.builds(lambda a: f"::ffff:{a}", st.ip_addresses(v=4)),
    st.builds(lambda a, p: f"::FFFF:{a}/{p}", st.ip_addresses(v=4), st.integers(90, 128)),
    st.builds("10.{}.{}.0/{}".format, st.integers(0, 3), st.integers(0, 3), st.integers(8, 30)),
)
URLS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["http://", "https://", "ftp://", "//", ""]),
    HOSTS,
    st.sampled_from(["", ":80", ":8443"]),
    st.sampled_from(["", "/", "/a/b.com", "?q=a.com", "#com"]),
)
TEXTS = st.text(st.sampled_from("abAB.1/"), max_size=8)
VALUES = st.one_of(HOSTS, ADDRESSES, URLS, TEXTS)
PATTERNS = st.sampled_from(["/^a/", "/b$/i", "/a.c/", "/[0-9]+/", "/^(www|ab)\\.[a-z]+$/i", "/A/"])
SOME = st.lists(
    st.sampled_from(["domain", "url", "ip-src", "domain|ip", "md5", "filename|md5", "email-src"]),
    max_size=2,
)


@st.composite
def lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    made = []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["string", "substring", "hostname", "cidr", "regex"]))
        values = {"hostname": HOSTS, "cidr": ADDRESSES, "regex": PATTERNS}.get(kind, VALUES)
        found = draw(st.lists(values, max_size=6))
        made.append(a_list(kind, found, *draw(SOME), name=f"list {number}"))
    return made


@given(lists(), st.sampled_from(sorted(KINDS)), VALUES)
@example([a_list("cidr", ["10.0.0.0/8"])], "ipv6-addr", "::ffff:10.1.2.3")
@example([a_list("cidr", ["::ffff:10.0.0.0/104"])], "ipv4-addr", "10.0.0.0/8")
@example([a_list("hostname", ["com"], "url")], "url", "a.com/x")
def test_matching_is_that_of_brute_force(
    given_lists: list[dict[str, Any]], kind: str, value: str
) -> None:
    names = slow_list_of(given_lists, kind, value)
    found = known(*given_lists).list_of(kind, value)
    assert (found in names) if names else (found is None)


@given(ADDRESSES)
def test_networks_are_read_as_python_reads_them(text: str) -> None:
    network, span = network_of(text), span_of(text)
    if network is None:
        assert span is None
    else:
        first, last = int(network.network_address), int(network.broadcast_address)
        assert span == (network.max_prefixlen, first, last)


@given(st.lists(st.text(max_size=3)), st.text(max_size=3))
def test_large_lists_match_as_small_ones_do(values: list[str], value: str) -> None:
    small = Names([("l", frozenset(values))])
    large = Names([("l", frozenset([*values, *map(str, range(LARGE + 5000, 2 * LARGE + 5001))]))])
    assert small.find(value) == large.find(value)


# --- the real lists ------------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize("file", SHARED_FILES, ids=lambda file: file.stem)
def test_each_real_list_matches_what_it_holds_and_nothing_else(file: Path) -> None:
    given_list = json.loads(file.read_text())
    judge = known(given_list)
    for value in given_list["list"][:: max(1, len(given_list["list"]) // 25)]:
        for kind in ("domain-name", "url", "ipv4-addr", "ipv6-addr", "md5", "sha256"):
            for asked in (value, f"sub.{value}", f"x{value}", f"https://{value}/x", value.upper()):
                expected = {given_list["name"]} & slow_list_of([given_list], kind, asked)
                assert judge.list_of(kind, asked) == (given_list["name"] if expected else None), (
                    *(kind, asked),
                )


@pytest.fixture(scope="module")
def theirs() -> dict[str, dict[str, Any]]:
    """The lists of MISP, as its own library carries them, but for the largest."""
    found = {name: one.to_dict() for name, one in WarningLists().items() if len(one.list) < 20_000}
    for one in found.values():
        if one["type"] == "hostname":  # MISP reads them so, its library does not
            one["list"] = [value.lower().strip(".") for value in one["list"]]
    return found


def test_the_lists_of_misp_are_read(theirs: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    for number, one in enumerate(theirs.values()):
        (tmp_path / f"{number:03}").mkdir()
        (tmp_path / f"{number:03}" / "list.json").write_text(json.dumps(one))
    read = list(read_lists(tmp_path))
    assert len(read) > 100
    assert {one.type for one in read} == {"string", "substring", "hostname", "cidr", "regex"}
    for found in read:
        assert found.left_out <= len(found.values) / 50, found.name


def test_matching_is_that_of_misps_own_library(theirs: dict[str, dict[str, Any]]) -> None:
    asked = 0
    for name, one in theirs.items():
        if one["type"] == "regex":  # it cannot
            continue
        judge, slow = known(one), WarningList(one, slow_search=True)
        kinds = parse_list(json.dumps(one).encode()).kinds
        for value in [*one["list"][:40], "nothing.invalid", "203.0.113.9", "2001:db8::9"]:
            kind = kind_of(value)
            if kind not in kinds or kind in ("other", "email-addr", "url"):
                continue
            if "/" in value or (one["type"] == "hostname" and kind != "domain-name"):
                continue
            assert (judge.list_of(kind, value) is not None) == (value in slow), (name, kind, value)
            asked += 1
    assert asked > 1_500


def test_regular_expressions_of_misp_match(theirs: dict[str, dict[str, Any]]) -> None:
    judge = known(*(one for one in theirs.values() if one["type"] == "regex"))
    assert judge.list_of("email-addr", "Abuse@example.com") == "Common contact e-mail addresses"
    assert judge.list_of("email-addr", "zoe@example.com") is None


# --- a report ------------------------------------------------------------------------------------

GOOD = {"type": "domain-name", "value": "www.example.com"}
ALSO = {"type": "ipv4-addr", "value": "192.0.2.7"}
JUDGE = known(
    a_list("hostname", ["example.com"], "domain", "url", name="hosts"),
    a_list("cidr", ["192.0.2.0/24"], "domain|ip", name="documentation"),
)
METADATA: list[tuple[dict[str, Any], str | None]] = [
    ({"indicators": [GOOD]}, "hosts"),
    ({"indicators": [ALSO, GOOD]}, "documentation"),
    ({"indicators": [GOOD, ALSO], "indicators_total": 2}, "hosts"),
    ({"indicators": [GOOD, ALSO], "indicators_total": 3}, None),
    ({"indicators": [GOOD], "indicators_total": "1"}, None),
    ({"indicators": []}, None),
    ({}, None),
    ({"indicators": [GOOD, {"type": "domain-name", "value": "evil.example"}]}, None),
    ({"indicators": [GOOD, {"type": "vulnerability", "value": "CVE-2021-44228"}]}, None),
    ({"indicators": [GOOD, {"type": "file-name", "value": "www.example.com"}]}, None),
    ({"indicators": [GOOD, {"type": "no-such", "value": "www.example.com"}]}, None),
    ({"indicators": [GOOD, "www.example.com"]}, None),
    ({"indicators": [GOOD, {"value": "www.example.com"}]}, None),
    ({"indicators": [GOOD, {"type": "domain-name", "value": 7}]}, None),
    ({"indicators": [GOOD, {"type": ["domain-name"], "value": "www.example.com"}]}, None),
    ({"indicators": GOOD}, None),
    ({"indicators": "www.example.com"}, None),
]


@pytest.mark.parametrize(("metadata", "name"), METADATA, ids=range(len(METADATA)))
def test_a_report_is_known_good_if_all_its_indicators_are(
    metadata: dict[str, Any], name: str | None
) -> None:
    assert JUDGE.cause(metadata) == name


# What a browser would open is evil.example, or nobody can say.
IN_DOUBT = [
    "http://evil.example\uff0f.example.com/",
    "http://evil.example\u2100.example.com/",
    "http://example.com@evil.example/",
    "http://example.com:80@evil.example",
    "http://evil.example\\@example.com/",
    "http://evil.example\\.example.com/",
    "http://evil.example/example.com",
    "http://evil.example?example.com",
    "http://evil.example#.example.com",
    "http://evil.example%2f.example.com/",
    "http://%65xample.com/",
    "http:example.com",
    "javascript:alert(1)//example.com",
    "mailto:a@example.com",
    "http://example.com .evil.example/",
    "http://exa\nmple.com/",
    "http://a@b@example.com/",
    "evil.example/http://example.com",
    "http://[::ffff:192.0.2.7]/",
    "http://example.comevil.example/",
    "http://notexample.com/",
]


@pytest.mark.parametrize("url", IN_DOUBT)
def test_a_url_that_is_in_doubt_is_not_known_good(url: str) -> None:
    assert JUDGE.list_of("url", url) is None


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com", "https://EXAMPLE.com:443/a?b#c", "//www.example.com/"),
        *("example.com/path", "http://user:secret@example.com/", "http://example.com./"),
    ],
)
def test_the_host_of_a_url_counts(url: str) -> None:
    assert JUDGE.list_of("url", url) == "hosts"


@given(st.text(max_size=80))
@example("a" * 300)
def test_no_text_breaks_the_reading_of_hosts(text: str) -> None:
    for host in (host_of(text), normal_host(text)):
        assert len(host) <= 253
        assert not set(host) & set(" /?#@\\:[]\n\0")


HOSTILE = ["", "\0", "\ud800", *(text * 32_768 for text in ("xy", "..", "a.", "11", "//"))]


@needs_shared
@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_cost_nothing(value: str) -> None:
    judge = KnownGood(map(Prepared, read_lists(SHARED)))
    began = time.process_time()
    for kind in KINDS:
        assert judge.list_of(kind, value) is None
        judge.list_of(kind, value[:MAX_VALUE])
    assert time.process_time() - began < 0.1 * PATIENCE


def test_an_expression_takes_no_more_time_than_a_value_is_long() -> None:
    judge = known(a_list("regex", ["/(a+)+b$/", "/(a|aa)+c/"]))
    began = time.process_time()
    assert judge.list_of("other", "a" * MAX_VALUE) is None
    assert time.process_time() - began < 0.1 * PATIENCE


# --- what is no list -----------------------------------------------------------------------------

WRONG: list[tuple[Any, str]] = [
    (b"", "not a warninglist"),
    (b"[]", "not a warninglist"),
    (b"\xff\xfe", "not a warninglist"),
    (b"[" * 100_000, "not a warninglist"),
    ({"name": "l", "type": "string"}, "missing required field `list`"),
    (a_list("names", []), "unknown type 'names'; one of string"),
    (a_list("string", [], name=""), "its name is empty"),
    (a_list("string", [], name="x" * 201), "over 200 bytes"),
    (a_list("string", [""] * 2_000_001), "2,000,001 values, more than 2,000,000"),
    (a_list("regex", [""] * 2_001), "2,001 values, more than 2,000"),
    (a_list("string", [], *["domain"] * 201), "too many"),
]


@pytest.mark.parametrize(("content", "message"), WRONG, ids=range(len(WRONG)))
def test_what_is_no_list_is_refused_in_one_line(tmp_path: Path, content: Any, message: str) -> None:
    file = tmp_path / "list.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(NoiseInvalid, match=message) as caught:
        list(read_lists(file))
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    with file.open("wb") as stream:
        stream.truncate(400 * 2**20)
    tracemalloc.start()
    with pytest.raises(NoiseInvalid, match="more than 32 MiB"):
        list(read_lists(file))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100 * 2**20


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    for place, message in (("nowhere", "No such file"), (".", "no warninglist in it")):
        with pytest.raises(NoiseInvalid, match=message):
            list(read_lists(tmp_path / place))


def test_values_that_cannot_be_used_are_counted() -> None:
    values: list[Any] = ["/ok/", "/(?=x)/", "/(/", "/x/q", "//", "", 7, None, {"value": "/also/"}]
    read = parse_list(json.dumps(a_list("regex", values)).encode())
    assert (read.values, read.left_out) == (["ok", "also"], 7)
    networks = ["192.0.2.0/24", "192.0.2.1/33", "example.com", "2001:db8::/32"]
    assert parse_list(json.dumps(a_list("cidr", networks)).encode()).left_out == 2


@given(lists())
def test_a_list_comes_out_of_the_store_as_it_went_in(given_lists: list[dict[str, Any]]) -> None:
    for one in given_lists:
        read = parse_list(json.dumps(one).encode())
        about, pieces = pack_list(read, 1_790_000_000_000, "zoe")
        again = unpack_list(about, [pieces[name] for name in about.pieces])
        assert fields(again) == fields(read)


def fields(one: ListFile) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ListFile.__slots__}


# --- what it costs -------------------------------------------------------------------------------

FIVE = {
    "indicators": [
        {"type": "domain-name", "value": "www.google.com"},
        {"type": "ipv4-addr", "value": "10.1.2.3"},
        {"type": "url", "value": "https://bit.ly/abc"},
        {"type": "md5", "value": "d41d8cd98f00b204e9800998ecf8427e"},
        {"type": "ipv6-addr", "value": "2001:148f:fffe::1"},
    ]
}


@needs_shared
def test_a_report_is_looked_up_in_all_lists_within_microseconds() -> None:
    judge = KnownGood(map(Prepared, read_lists(SHARED)))
    assert judge.cause(FIVE)
    best = min(_timed(judge, 500) for _ in range(9))
    say(f"5 indicators against {len(SHARED_FILES)} warninglists: {best * 1e6:.1f} us")
    assert best < 30e-6  # 10 on a machine at rest


def _timed(judge: KnownGood, times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        judge.cause(FIVE)
    return (time.perf_counter() - began) / times


def test_a_list_of_a_million_hosts_is_loaded_within_seconds(tmp_path: Path) -> None:
    file = tmp_path / "million.json"
    hosts = [f"host-{number}.example{number % 977}.com" for number in range(1_000_000)]
    file.write_text(json.dumps(a_list("hostname", hosts, "domain", "url", name="million")))
    began = time.perf_counter()
    (read,) = read_lists(file)
    judge = KnownGood([Prepared(read)])
    took = time.perf_counter() - began
    say(f"a warninglist of 1,000,000 hosts is read within {took:.2f} s")
    assert judge.list_of("url", "http://a.host-7.example7.com/") == "million"
    assert judge.list_of("url", "http://host-7.example8.com/") is None
    assert took < 6  # 2 on a machine at rest
