"""Which addresses are public, in all the ways in which an address can be written."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from periscope.polling.addresses import inner, literal, special

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::8a", "::ffff:8.8.8.8"]
SPECIAL = {
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "::1": "loopback",
    "::ffff:127.0.0.1": "loopback",
    "::127.0.0.1": "loopback",
    "64:ff9b::7f00:1": "loopback",
    "2002:7f00:1::": "loopback",
    "0.0.0.0": "unspecified",
    "::": "unspecified",
    "0.1.2.3": "of this network only",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "fd12::1": "private",
    "fec0::1": "private",
    "100.64.0.1": "shared by a provider",
    "100.127.255.255": "shared by a provider",
    "169.254.1.1": "link-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "169.254.169.254": "a cloud's metadata service",
    "169.254.170.2": "a cloud's metadata service",
    "::ffff:169.254.169.254": "a cloud's metadata service",
    "fd00:ec2::254": "a cloud's metadata service",
    "100.100.100.200": "a cloud's metadata service",
    "168.63.129.16": "a cloud's metadata service",
    "192.0.0.192": "a cloud's metadata service",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "ff02::1": "multicast",
    "192.0.2.1": "for documentation",
    "2001:db8::1": "for documentation",
    "3fff::1": "for documentation",
    "198.18.0.1": "for benchmarks",
    "192.88.99.1": "reserved",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "64:ff9b:1::1": "reserved",
    "2001::1": "reserved",
    "100::1": "reserved",
    "5f00::1": "reserved",
    "4000::1": "reserved",
}


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_nothing_special(text: str) -> None:
    assert special(ip_address(text)) is None


@pytest.mark.parametrize("text", SPECIAL)
def test_what_is_not_public_is_named(text: str) -> None:
    assert special(ip_address(text)) == SPECIAL[text]


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_ipv4_address_is_judged_the_same_in_every_dress(address: IPv4Address) -> None:
    kind = special(address)
    number = int(address)
    for dressed in (
        IPv6Address(0xFFFF << 32 | number),
        IPv6Address(0x0064FF9B << 96 | number),
        IPv6Address(0x2002 << 112 | number << 80),
    ):
        assert inner(dressed) == address
        assert special(dressed) == kind


@given(st.ip_addresses())
def test_nothing_is_public_that_python_calls_private(
    address: IPv4Address | IPv6Address,
) -> None:
    judged = inner(address)
    if judged.is_private or judged.is_multicast or judged.is_reserved or judged.is_loopback:
        assert special(address) is not None


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "017700000001"),
        *("127.0.0.1.", "127.0.0.01", "127.0.0.256", "1.2.3.4.5", "0", "0x", "example.0x7f"),
        *("fe80::1%25eth0", "%31%32%37.0.0.1", "a b", "", "-a.example.com", "a..b", "a" * 64),
        *("x!" + "a" * 250, "a" * 250 + "!", "exa\u00admple.com"),
    ],
)
def test_unusual_spellings_are_no_hosts(host: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        literal(host)


@pytest.mark.parametrize(
    "host", ["example.com", "a_b.example.com", "xn--e1afmkfd.example", "x.com."]
)
def test_names_are_names(host: str) -> None:
    assert literal(host) is None
