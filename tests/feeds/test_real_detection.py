"""Each real file is read by the format of its kind, or refused with its reason, and by no other."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest

from periscope.errors import FeedError
from periscope.feeds import open_feed
from periscope.feeds.format import GENERAL, Sample
from periscope.feeds.registry import all_formats
from tests.feeds.support import real_data, refusal

SAMPLED = 64 * 1024

FORMAT_OF = (
    ("MANIFEST.md", "look like none of"),
    ("csaf/rolie-feed-it.json", "an index of advisories"),
    ("csaf/*", "csaf"),
    ("ecs/*", "ecs"),
    ("edr/azure-security-alerts.csv", "sentinel"),
    ("edr/loganalytics-securityalert.json", "sentinel"),
    ("edr/azure-sentinel-graph-alert-1.json", "defender"),
    ("edr/defender-graph-alerts-v2.json", "defender"),
    ("edr/*", "json"),  # other vendors' own forms
    ("epss_cvss/*", "no id under"),
    ("falco/*", "falco"),
    ("galaxy/*", "a MISP galaxy"),
    ("github/*", "github"),
    ("guardduty/*", "guardduty"),
    ("ioc_csv/tweetfeed-20210808-empty.csv", "empty"),
    ("ioc_csv/*", "ioc_csv"),
    ("ioc_plain/*", "plain"),
    ("kev/kev-schema.json", "json"),
    ("kev/*", "kev"),
    ("misp/feed/hashes.csv", "no id under"),
    ("misp/feed/manifest.json", "a MISP feed's manifest"),
    ("misp/pymisp-search_index_result.json", "an entry of MISP's index"),
    ("misp/pymisp-sharing_groups.json", "MISP sharing groups"),
    ("misp/*", "misp"),
    ("nasty/misp/*", "misp"),
    ("nasty/stix/*braces.json", "look like none of"),
    ("nasty/stix/*comma.json", "json"),
    ("nasty/stix/*", "stix"),
    ("nasty/*", "json|ndjson|empty|no id under|look like none of|the text is UTF-16"),
    ("ocsf/*.csv", "prowler"),
    ("ocsf/*", "ocsf"),
    ("rss/*", "XML is not read here"),
    ("sigma/*.yml", "sigma"),
    ("sigma/event-*.json", "sigma_matches"),
    ("stix/*", "stix"),
    ("suricata/*", "suricata"),
    ("vendor_ti/*", "json"),
    ("warninglists/*", "a MISP warninglist"),
)
"""Patterns of paths, the first that fits counts, with the format's name or words of the refusal."""

SEVERITIES_OF = (
    ("csaf/*", "CRITICAL 4, HIGH 10, MEDIUM 3"),
    ("edr/azure-security-alerts.csv", "HIGH 102, LOW 31, MEDIUM 56"),
    ("edr/azure-sentinel-graph-alert-1.json", "LOW 1"),
    ("edr/defender-graph-alerts-v2.json", "LOW 1"),
    ("edr/loganalytics-securityalert.json", "CRITICAL 1"),  # the text "100"
    ("falco/falcosidekick-events.ndjson", "HIGH 1, LOW 2"),
    ("falco/sysdig-*", "HIGH 2"),
    ("guardduty/*", "LOW 3"),
    ("kev/kev-2025-08-25.json", "CRITICAL 293, HIGH 1111"),
    ("kev/kev-2025-08-25.csv", "CRITICAL 293, HIGH 1111"),
    ("misp/eset-*", "HIGH 5, LOW 4"),  # levels 1 and 4
    ("misp/feed/*-*-*.json", "LOW 4"),
    ("misp/pymisp-*_*.json", "HIGH 1, LOW 3, MEDIUM 1"),
    ("ocsf/aws-*", "LOW 1, MEDIUM 1"),
    ("ocsf/falco-finding.json", "MEDIUM 1"),
    ("ocsf/prowler-aws.ocsf.json", "LOW 1, MEDIUM 4"),
    ("ocsf/prowler-azure.ocsf.json", "HIGH 1, LOW 1, MEDIUM 3"),
    ("stix/capec-single-*", "CRITICAL 1, HIGH 1, MEDIUM 1"),
    ("suricata/chronicle-*", "HIGH 2, LOW 2, MEDIUM 2"),
    ("suricata/first-org-conf-2015-eve.json", "HIGH 71, LOW 23, MEDIUM 42"),
    ("suricata/honeypot-2018-eve.json", "LOW 1, MEDIUM 43"),
)
"""What the files with severities of their own must come to, counted over all that fit a pattern."""


def test_every_file_is_read_as_what_it_is() -> None:
    root = real_data()
    unused = {pattern for pattern, _ in FORMAT_OF}
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(root).as_posix()
        pattern, expected = next(row for row in FORMAT_OF if fnmatch(name, row[0]))
        unused.discard(pattern)
        found = taken_as(path)
        words = expected.split("|")
        assert found in words or any(" " in one and one in found for one in words), (name, found)
    assert not unused


def taken_as(path: Path) -> str:
    """The name of the format that reads a file, or why it is refused."""
    try:
        with open_feed(path) as feed:
            return feed.format
    except FeedError as exc:
        return refusal(exc)


def recognising(sample: Sample) -> set[str]:
    """Formats that take an input for theirs; those that take anything are not asked."""
    return {one.name for one in all_formats() if one.rank < GENERAL and one.recognises(sample)}


def test_no_format_takes_what_is_another_ones() -> None:
    for path in sorted(real_data().rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            found = recognising(Sample(data[:SAMPLED], len(data) <= SAMPLED))
            assert len(found) < 2 or found == {"ioc_csv", "plain"}, (path, found)  # in that order


def test_no_format_takes_another_ones_example() -> None:
    for one in all_formats():
        if one.rank < GENERAL:
            assert recognising(Sample(one.example, complete=True)) == {one.name}


@pytest.mark.parametrize(("pattern", "expected"), SEVERITIES_OF)
def test_severities_are_those_that_the_sources_mean(pattern: str, expected: str) -> None:
    root = real_data()
    found: Counter[str] = Counter()
    for path in sorted(root.rglob("*")):
        if path.is_file() and fnmatch(path.relative_to(root).as_posix(), pattern):
            if " " in taken_as(path):
                continue
            with open_feed(path) as feed:
                found.update(getattr(item, "severity", "unreadable") for item in feed)
    assert ", ".join(f"{word} {count}" for word, count in sorted(found.items())) == expected
