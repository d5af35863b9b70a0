"""A slow judge of warninglists, written from their description alone, to compare with."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from periscope.noise.kinds import CASELESS, kinds_of

Network = Any


def slow_list_of(lists: list[dict[str, Any]], kind: str, value: str) -> set[str]:
    """The names of all lists that say that an indicator is harmless."""
    return {
        one["name"]
        for one in lists
        if kind in kinds_of(one.get("matching_attributes", ())) and _matches(one, kind, value)
    }


def _matches(one: dict[str, Any], kind: str, value: str) -> bool:
    values = [v for v in one["list"] if v]
    if kind in CASELESS:
        value = value.lower()
        values = [v if one["type"] == "regex" else v.lower() for v in values]
    match one["type"]:
        case "string":
            return value in values
        case "substring":
            return any(v in value for v in values)
        case "hostname":
            return _host_matches(kind, value, [v.lower().strip(".") for v in values])
        case "cidr":
            return kind.startswith("ipv") and _network_matches(value, values)
        case _:
            return any(re.search(_pattern(v), value) for v in values)


def _pattern(text: str) -> str:
    body, _, flags = text[1:].rpartition("/")
    return f"(?i){body}" if "i" in flags else body


def _host_matches(kind: str, value: str, values: list[str]) -> bool:
    host: str | None = value
    if kind == "url":
        host = urlsplit(value if "//" in value else f"//{value}").hostname
    if kind not in ("url", "domain-name") or not host:
        return False
    host = host.strip(".").lower()
    return any(host == v or host.endswith("." + v) for v in values)


def _network_matches(value: str, values: list[str]) -> bool:
    mine = network_of(value)
    if mine is None:
        return False
    theirs = [network for v in values if (network := network_of(v)) is not None]
    return any(mine.version == one.version and mine.subnet_of(one) for one in theirs)


def network_of(text: str) -> Network | None:
    """An address or network; one that is mapped into IPv6 as that of IPv4."""
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        return None
    if found.version == 4 or found.prefixlen < 96:
        return found
    mapped = IPv6Address(found.network_address).ipv4_mapped
    if mapped is None:
        return found
    return ip_network(f"{ip_address(mapped)}/{found.prefixlen - 96}")
