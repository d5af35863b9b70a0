"""Records inside what clouds deliver them in, and formats that leave other formats' files alone."""

from __future__ import annotations

from typing import Any

import pytest

from periscope.errors import FeedError
from periscope.feeds import open_feed
from periscope.feeds.deliveries import DEEPEST, opened
from periscope.feeds.harvest import MOST_NODES, harvest
from tests.feeds.support import real_data

OURS = ("csaf", "defender", "guardduty", "ocsf", "prowler", "securityhub", "sentinel")
FOREIGN = (
    *("ecs", "epss_cvss", "falco", "galaxy", "github", "ioc_csv", "ioc_plain", "kev", "misp"),
    *("nasty", "rss", "sigma", "stix", "suricata", "vendor_ti", "warninglists"),
)


def is_one(record: dict[str, Any]) -> bool:
    return record.get("kind") == "x"


def nested(depth: int) -> dict[str, Any]:
    record: dict[str, Any] = {"kind": "x"}
    for _ in range(depth):
        record = {"detail": record}
    return record


def test_what_stands_beside_a_record_is_not_lost() -> None:
    beside = [{"kind": "x"}, {"kind": "y"}, 7]
    assert opened({"Records": beside}, is_one) == beside
    queue = {"Records": [{"body": '{"kind": "x"}'}, {"body": "not JSON"}]}
    assert opened(queue, is_one) == [{"kind": "x"}, {"body": "not JSON"}]


def test_layers_are_bounded() -> None:
    assert opened(nested(DEEPEST + 1), is_one) == [{"kind": "x"}]
    assert opened(nested(DEEPEST + 2), is_one) == []


@pytest.mark.parametrize("text", ["", "{", "x", '{"a": 1e999}', "[" * 100_000, '"{"'])
def test_texts_that_hold_no_record_are_none(text: str) -> None:
    assert opened({"Message": text}, is_one) == []


def test_harvest_is_bounded_and_takes_only_what_is_of_its_kind() -> None:
    keys = {"ip": "address", "file.name": "file", "asn": "asn", "host": "host"}
    record = {
        "ip": ["203.0.113.7", "999.1.1.1", 7],
        "file": {"name": "C:\\t\\x.exe"},
        "process": {"name": "y.exe"},
        "asn": "64496",
        "host": "pc7",
    }
    found = [(one["type"], one["value"]) for one in harvest(record, keys)]
    assert found == [
        ("asn", "AS64496"),
        ("ipv4-addr", "203.0.113.7"),
        ("file-name", "x.exe"),
    ]
    many = [{"ip": f"10.{n // 65536}.{n // 256 % 256}.{n % 256}"} for n in range(MOST_NODES * 2)]
    assert 0 < len(list(harvest(many, keys))) <= MOST_NODES


@pytest.mark.parametrize("folder", FOREIGN)
def test_files_of_other_formats_are_left_alone(folder: str) -> None:
    for path in sorted(real_data(folder).rglob("*")):
        if not path.is_file():
            continue
        try:
            with open_feed(path) as feed:
                assert feed.format not in OURS, path
        except FeedError:
            continue
