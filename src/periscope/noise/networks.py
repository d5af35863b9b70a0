"""Networks of known addresses: is an address, or a smaller network, inside one of them?

Networks in CIDR form are inside each other or apart. So only those that are in no other need be
kept; these are apart, and one search finds the only one that can hold an address.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from socket import AF_INET, AF_INET6, inet_pton

_MAPPED = b"\0" * 10 + b"\xff\xff"
_MAPPED_BITS = 96
LONGEST = 49  # of an address with a prefix length, as text

# (bits of an address, first address, last address)
Span = tuple[int, int, int]


def span_of(text: str) -> Span | None:
    """The addresses of an address or a network in CIDR form; None if it is neither.

    Bits behind the prefix do not matter. An IPv4 address mapped into IPv6 is that IPv4 address.
    """
    if len(text) > LONGEST:
        return None
    address, slash, length = text.partition("/")
    try:
        packed = inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except (OSError, ValueError):
        return None
    bits = len(packed) * 8
    prefix = bits
    if slash:
        if not (length.isascii() and length.isdigit() and len(length) < 4):
            return None
        prefix = int(length)
        if prefix > bits:
            return None
    if bits == 128 and prefix >= _MAPPED_BITS and packed.startswith(_MAPPED):
        packed, bits, prefix = packed[12:], 32, prefix - _MAPPED_BITS
    size = 1 << (bits - prefix)
    first = int.from_bytes(packed) & ~(size - 1)
    return bits, first, first + size - 1


class Networks:
    """Networks, each with the name of its list."""

    def __init__(self, named: Iterable[tuple[Span, str]]) -> None:
        self._firsts: dict[int, list[int]] = {32: [], 128: []}
        self._lasts: dict[int, list[int]] = {32: [], 128: []}
        self._names: dict[int, list[str]] = {32: [], 128: []}
        # The larger of two that begin alike comes first; of two equal ones the first name.
        for (bits, first, last), name in sorted(named, key=_order):
            lasts = self._lasts[bits]
            if not lasts or first > lasts[-1]:
                self._firsts[bits].append(first)
                lasts.append(last)
                self._names[bits].append(name)

    def __bool__(self) -> bool:
        return any(self._firsts.values())

    def find(self, text: str) -> str | None:
        """The list that holds this address, or all of this network; None if none does."""
        span = span_of(text)
        if span is None:
            return None
        bits, first, last = span
        at = bisect_right(self._firsts[bits], first) - 1
        if at < 0 or last > self._lasts[bits][at]:
            return None
        return self._names[bits][at]


def _order(named: tuple[Span, str]) -> tuple[int, int, int, str]:
    (bits, first, last), name = named
    return bits, first, -last, name
