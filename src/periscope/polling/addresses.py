"""Which addresses are of the public Internet, and what the others are.

The tables follow the registries of special-purpose addresses (IANA; RFC 6890, 4291, 8215), written
out here because `ipaddress` changes its mind between versions of Python. An IPv6 address that only
carries an IPv4 one is judged by that one.
"""

from __future__ import annotations

import re
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LINK_LOCAL = "link-local"
METADATA = "a cloud's metadata service"
NEVER_BY_NAME = frozenset({LINK_LOCAL, METADATA, "multicast", "unspecified"})
"""Kinds that a host allowed by name does not reach: its DNS must not lead there."""

SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("169.254.169.254/32", METADATA),
        ("169.254.170.0/23", METADATA),
        ("168.63.129.16/32", METADATA),
        ("100.100.100.200/32", METADATA),
        ("192.0.0.192/32", METADATA),
        ("fd00:ec2::/32", METADATA),
        ("fd20:ce::/32", METADATA),
        ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/8", "of this network only"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a provider"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", LINK_LOCAL),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fc00::/7", "private"),
        ("fe80::/10", LINK_LOCAL),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "for documentation"),
        ("3fff::/20", "for documentation"),
    )
)
GLOBAL_V6 = IPv6Network("2000::/3")
TRANSLATED = IPv6Network("64:ff9b::/96")
COMPATIBLE = IPv6Network("::/96")
SIX_TO_FOUR = IPv6Network("2002::/16")
LOW_32 = 0xFFFF_FFFF

LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
HOST = re.compile(rf"(?=.{{1,254}}\Z){LABEL}(?:\.{LABEL})*\.?\Z")
NUMBER = re.compile(r"(?:0x[0-9a-f]*|\d+)\Z")


def inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for (mapped, NAT64, 6to4), or itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    number = int(address)
    if address in TRANSLATED or (address in COMPATIBLE and number > LOW_32 >> 8):
        return IPv4Address(number & LOW_32)
    if address in SIX_TO_FOUR:
        return IPv4Address((number >> 80) & LOW_32)
    return address


def special(address: Address) -> str | None:
    """Say what kind of address it is, if none of the public Internet; None for a public one."""
    judged = inner(address)
    for network, kind in SPECIAL:
        if judged.version == network.version and judged in network:
            return kind
    if isinstance(judged, IPv6Address) and judged not in GLOBAL_V6:
        return "reserved"
    return None


def literal(host: str) -> Address | None:
    """Return the address that a host of a URL spells out; None if it is a name.

    Raises:
        ValueError: neither: a number in an unusual spelling, or characters that no name has.

    """
    if ":" in host:
        if "%" in host:
            raise ValueError("addresses with a zone cannot be fetched from")
        return ip_address(host)
    if NUMBER.match(host.rstrip(".").rpartition(".")[2]):
        return IPv4Address(host)  # strict: four decimal numbers, none with a leading zero
    if not HOST.match(host):
        raise ValueError("no host has such a name")
    return None
