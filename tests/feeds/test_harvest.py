"""Indicators out of nested objects."""

from __future__ import annotations

from periscope.feeds.harvest import MOST_NODES, harvest


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
