"""STIX patterns: values looked for, in their types; checked against the library of the standard."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stix2patterns.v21.pattern import Pattern

from periscope.feeds.stix_observables import pattern_indicators
from periscope.feeds.stix_pattern import equalities
from tests.support.patience import PATIENCE

SHA256 = "aec070645fe53ee3b3763059376134f058cc337247c978add178b6ccdfb0019f"
MD5 = "cead3f77f6cda6ec00f57d76c9a6879f"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ipv4-addr:value = '203.0.113.7']", ["ipv4-addr 203.0.113.7"]),
        ("[ipv4-addr:value='203.0.113.7/32']", ["ipv4-addr 203.0.113.7"]),
        ("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", ["ipv4-addr 198.51.100.0/24"]),
        ("[ipv4-addr:value = 'no address']", []),
        ("[ipv6-addr:value = '2001:DB8::0:1']", ["ipv6-addr 2001:db8::1"]),
        ("[domain-name:value = 'Bad.Example.COM']", ["domain-name bad.example.com"]),
        ("[domain-name:value='192.0.2.9']", ["ipv4-addr 192.0.2.9"]),
        ("[url:value = 'https://a.example/x?y=1']", ["url https://a.example/x?y=1"]),
        ("[email-addr:value = 'A@Example.org']", ["email-addr a@example.org"]),
        ("[email-message:from_ref.value = 'a@example.org']", ["email-addr a@example.org"]),
        (f"[file:hashes.'SHA-256' = '{SHA256}']", [f"sha256 {SHA256}"]),
        (f'[file:hashes."SHA-256" = \'{SHA256.upper()}\']', [f"sha256 {SHA256}"]),
        (f"[file:hashes.sha256 = '{SHA256}' OR file:hashes.MD5 = '{MD5}']",
         [f"sha256 {SHA256}", f"md5 {MD5}"]),
        (f"[file:hashes.MD5 = h'{MD5}']", [f"md5 {MD5}"]),
        ("[file:hashes.MD5 = 'abc']", ["other abc"]),
        ("[file:hashes.ssdeep = '3:abc:def']", ["other 3:abc:def"]),
        (f"[file:extensions.'windows-pebinary-ext'.sections[*].hashes.MD5 = '{MD5}']",
         [f"other {MD5}"]),
        ("[file:name = 'a b.exe' AND file:size = 25536]", ["file-name a b.exe"]),
        ("[mutex:name = 'Global\\\\x']", ["mutex Global\\x"]),
        ("[windows-registry-key:key = 'HKLM\\\\Run' AND windows-registry-key:values[0].data = 'q']",
         ["registry-key HKLM\\Run"]),
        ("[autonomous-system:number = 64500]", ["asn AS64500"]),
        ("[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = "
         "'203.0.113.33/32' AND network-traffic:dst_port = 443]", ["ipv4-addr 203.0.113.33"]),
        ("[network-traffic:src_ref.value = 'c2.example.net']", ["domain-name c2.example.net"]),
        ("[domain-name:value = 'a.example' AND domain-name:resolves_to_refs[*].value = "
         "'192.0.2.1']", ["domain-name a.example", "ipv4-addr 192.0.2.1"]),
        ("[user-account:account_login = 'eve']", ["user-account eve"]),
        ("[app:id='com.example.spy']", ["other com.example.spy"]),
        ("[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2')]",
         ["ipv4-addr 192.0.2.1", "ipv4-addr 192.0.2.2"]),
        ("([url:value = 'http://a.example/'] AND [url:value = 'http://b.example/']) "
         "FOLLOWEDBY [domain-name:value = 'c.example'] REPEATS 5 TIMES WITHIN 1800 SECONDS",
         ["url http://a.example/", "url http://b.example/", "domain-name c.example"]),
        ("[url:value = 'http://a.example/'] START t'2020-01-01T00:00:00Z' "
         "STOP t'2021-01-01T00:00:00Z'", ["url http://a.example/"]),
        ("[url:value = 'it\\'s \\\\ here']", ["url it's \\ here"]),
        ("[url:value LIKE 'http://a.example/']", ["url http://a.example/"]),
    ],
)  # fmt: skip
def test_what_is_looked_for(pattern: str, expected: list[str]) -> None:
    Pattern(re.sub(r'"SHA-256"', "'SHA-256'", pattern))  # the library takes it, too
    assert [f"{one['type']} {one['value']}" for one in pattern_indicators(pattern)] == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "[url:value != 'http://a.example/']",
        "[url:value NOT = 'http://a.example/']",
        "[url:value NOT IN ('http://a.example/')]",
        "[url:value <> 'http://a.example/']",
        "[url:value LIKE 'http://%.example/']",
        "[url:value NOT LIKE 'http://a.example/']",
        "[url:value MATCHES '^http://a\\\\.example']",
        "[ipv4-addr:value ISSUPERSET '192.0.2.0/24']",
        "[ipv4-addr:value NOT ISSUBSET '192.0.2.0/24']",
        "[file:size > 5 AND file:created = t'2020-01-01T00:00:00Z']",
        "[process:pid = 314 AND process:is_hidden = true]",
        "[EXISTS url:value]",
        "[file:name MATCHES 'url:value = \\'http://a.example\\'']",
        "[artifact:payload_bin = b'aHR0cDovL2E=']",
    ],
)
def test_what_is_negated_or_no_value_is_no_indicator(pattern: str) -> None:
    assert list(pattern_indicators(pattern)) == []


def test_a_double_negation_looks_for_the_value() -> None:
    assert equalities("[url:value NOT != 'x']") == [("url:value", "x")]


@pytest.mark.parametrize(
    "text",
    ["", "]", "'", "\\", "[url:value = 'x", "[url:value = ]", "url value = 'x'", "a:b = c:d = 'e'"],
)
def test_what_is_no_pattern_does_no_harm(text: str) -> None:
    assert all(isinstance(value, str) for _, value in equalities(text))


@pytest.mark.parametrize(
    "part",
    ["a", "a:b.", "'", "a:b = (", "\\", "a:'", 'a:"x" ', "a:b NOT ", "a-", " ", "'a'\\", "a:b[0]"],
)
def test_hostile_text_takes_time_in_proportion(part: str) -> None:
    text = part * (256 * 1024 // len(part))
    began = time.process_time()
    equalities(f"[a:b = '{text}")
    equalities(text)
    assert time.process_time() - began < 5 * PATIENCE


TYPES = st.sampled_from(["url", "file", "ipv4-addr", "x-own-type"])
STEPS = st.sampled_from([".name", ".hashes.'SHA-1'", "[*]", "[3]", ".x_ref.value", ".'a b'"])
PATHS = st.builds(lambda kind, steps: f"{kind}:value{''.join(steps)}", TYPES, st.lists(STEPS))
TEXTS = st.text(st.sampled_from("ab '\\[]=()%\n\u00e9,:"), max_size=12)
QUOTED = TEXTS.map(lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'")
SETS = st.lists(QUOTED, min_size=1, max_size=3).map(lambda ones: f"({', '.join(ones)})")
TESTS = st.one_of(
    st.tuples(st.sampled_from(["=", "!=", "<", ">="]), QUOTED | st.integers(-9, 9).map(str)),
    st.tuples(st.just("IN"), SETS),
    st.tuples(st.sampled_from(["LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET"]), QUOTED),
)
COMPARISONS = st.builds(
    lambda path, negated, test: f"{path} {'NOT ' * negated}{test[0]} {test[1]}",
    PATHS, st.booleans(), TESTS,
)  # fmt: skip
PATTERNS = st.recursive(
    COMPARISONS,
    lambda inner: st.builds(
        lambda one, word, two: f"({one} {word} {two})",
        inner, st.sampled_from(["AND", "OR"]), inner,
    ),
    max_leaves=5,
)  # fmt: skip


def expected_count(pattern: str) -> int:
    """How many values the library's parse of a pattern holds that an observation may equal."""
    number = 0
    for parts in Pattern(pattern).inspect().comparisons.values():
        for _, operator, literal in parts:
            positive = operator in ("=", "IN", "ISSUBSET", "NOT !=")
            plain = operator == "LIKE" and not set("%_") & set(literal)
            if positive or plain:
                number += len(re.findall(r"'(?:[^'\\]|\\.)*'|-?\d+", literal, re.DOTALL))
    return number


@given(PATTERNS)
def test_it_finds_as_many_values_as_the_library(comparison: str) -> None:
    pattern = f"[{comparison}]"
    assert len(equalities(pattern)) == expected_count(pattern)


@given(TEXTS)
def test_texts_come_out_as_they_were_meant(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    assert equalities(f"[file:name = '{quoted}']") == [("file:name", text)]
