"""Where a feed's requests may go: each host is looked up once, judged, and held to its answer.

A URL comes from a configuration, a redirect from a stranger, an address from whoever runs the DNS
of a name. So nothing is connected to but addresses that were judged here. There are three gates,
each enough by itself: `admit` before a request, `PinnedResolver` in place of any further look-up,
and `open_socket`, which every connection goes through.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from periscope.errors import FeedError, FetchFailed, FetchRefused
from periscope.polling.addresses import (
    HOST,
    NEVER_BY_NAME,
    Address,
    Network,
    inner,
    literal,
    special,
)

Lookup = Callable[[str, int], Awaitable[Iterable[str]]]
"""From a host name and port to its addresses, as text. Raises OSError where there are none."""

MAX_URL_CHARS = 8_000
SHOWN_CHARS = 200
MAX_ADDRESSES = 16
UNFIT = re.compile(r"[\x00-\x20\x7f\\]")

log = logging.getLogger(__name__)


async def system_lookup(host: str, port: int) -> list[str]:
    """Ask the system, as any program does."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def read_url(text: str) -> URL:
    """Read a URL that may be fetched, as far as it can be told without asking anybody.

    Raises:
        FetchRefused: it is none, or of another scheme, or holds a user name; never quotes it.

    """
    try:
        if UNFIT.search(text) or len(text) > MAX_URL_CHARS:
            raise ValueError
        url = URL(text)
        if url.scheme and not url.absolute:
            raise ValueError
    except (ValueError, IndexError):  # yarl 1.25 raises the other one for "x://[]@"
        raise FetchRefused("the URL cannot be used: it is not a valid one") from None
    return url


def check_url(url: URL) -> None:
    """Refuse what is no http or https URL of a host, or holds a user name or password.

    Raises:
        FetchRefused: says which of it.

    """
    if url.scheme not in ("http", "https"):
        raise FetchRefused("the URL cannot be used: only http:// and https:// can be fetched")
    if url.raw_user is not None or url.raw_password is not None:
        raise FetchRefused(
            "the URL cannot be used: it holds a user name or password, which every log would show; "
            "give them as credentials of the feed"
        )
    if not url.raw_host or not url.port:
        raise FetchRefused("the URL cannot be used: it names no host, or port 0")


def shown(url: URL) -> str:
    """Return what messages call it: without user, password, query and fragment, and short."""
    host = url.raw_host or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if url.explicit_port is None or url.is_default_port() else f":{url.explicit_port}"
    text = f"{url.scheme}://{host}{port}{url.raw_path}"
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def origin(url: URL) -> tuple[str, str, int]:
    """Scheme, host and port: what credentials belong to."""
    return url.scheme, (url.raw_host or "").lower().rstrip("."), url.port or 0


class Allowed:
    """The hosts, addresses and networks that a feed names although they are not public.

    Raises:
        FeedError: an entry is none of these.

    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._hosts: set[str] = set()
        self._networks: list[Network] = []
        for entry in entries:
            self._add(entry.strip().lower().strip("[]"))

    def _add(self, entry: str) -> None:
        try:
            self._networks.append(ip_network(entry))
        except ValueError as exc:
            host = _ascii(entry).rstrip(".")
            if "/" in entry or not HOST.match(host) or _numeric(host):
                raise FeedError(
                    f"allow: {entry[:80]!r} is not a host name, an address or a network ({exc})"
                ) from None
            self._hosts.add(host)

    def names(self, host: str) -> bool:
        """Is the host itself named?"""
        return host.lower().rstrip(".") in self._hosts

    def covers(self, address: Address) -> bool:
        """Is the address named, or in a network that is?"""
        same = (address, inner(address))
        return any(
            one.version == network.version and one in network
            for network in self._networks
            for one in same
        )


def _ascii(host: str) -> str:
    try:
        return URL.build(scheme="http", host=host).raw_host or ""
    except (ValueError, IndexError):
        return ""


def _numeric(host: str) -> bool:
    try:
        return literal(host) is not None
    except ValueError:
        return True


class Guard:
    """Judges where requests go, for one run of a feed; remembers the answer for each host."""

    def __init__(self, allow: Iterable[str], lookup: Lookup = system_lookup) -> None:
        self.allowed = Allowed(allow)
        self._lookup = lookup
        self._pins: dict[str, tuple[Address, ...]] = {}

    async def admit(self, url: URL) -> None:
        """Let a request to `url` pass; its host is looked up the first time only.

        Raises:
            FetchRefused: the URL or one of the host's addresses is not to be asked.
            FetchFailed: the host has no address now.

        """
        check_url(url)
        host = url.raw_host or ""
        if host in self._pins:
            return
        try:
            spelled = literal(host)
        except ValueError as exc:
            raise FetchRefused(f"{shown(url)}: the host cannot be used: {exc}") from None
        addresses = [spelled] if spelled else await self._look_up(url, host)
        for address in addresses:
            self._judge(url, host, address)
        self._pins[host] = tuple(addresses[:MAX_ADDRESSES])

    async def _look_up(self, url: URL, host: str) -> list[Address]:
        try:
            found = [ip_address(text) for text in await self._lookup(host, url.port or 0)]
        except (OSError, UnicodeError, ValueError):
            found = []
        if not found:
            raise FetchFailed(f"{shown(url)}: no address was found for the host; check its name")
        return list(dict.fromkeys(found))

    def _judge(self, url: URL, host: str, address: Address) -> None:
        kind = special(address)
        if kind is None or self.allowed.covers(address):
            return
        if self.allowed.names(host) and kind not in NEVER_BY_NAME:
            return
        named = "the address" if kind in NEVER_BY_NAME else "host or address"
        # The error is told to whoever reads about feeds: what a name leads to is our network's own.
        log.warning("%s: %s has the address %s: %s", shown(url), host, address, kind)
        raise FetchRefused(
            f"{shown(url)}: {host} is {kind}, where feeds are not fetched from; "
            f"if it is meant, name {named} in allow"
        )

    def permits(self, url: URL) -> bool:
        """Is the host, or every address that it has, named in `allow`?"""
        host = url.raw_host or ""
        pins = self._pins.get(host, ())
        return self.allowed.names(host) or (
            bool(pins) and all(self.allowed.covers(pin) for pin in pins)
        )

    def pins(self, host: str) -> tuple[Address, ...]:
        """Return the addresses that were judged for this host; none: it was not admitted."""
        return self._pins.get(host, ())

    def open_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Open a socket for an address; the last gate: only to one that was judged.

        Raises:
            OSError: it was not.

        """
        family, kind, protocol, _, place = info
        address = ip_address(place[0])
        if not any(address in pins for pins in self._pins.values()):
            raise OSError("an address that was not judged")
        return socket.socket(family=family, type=kind, proto=protocol)


class PinnedResolver(AbstractResolver):
    """Answers with the addresses that a guard judged, and asks nobody."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the judged addresses of a host; OSError where none were."""
        pins = self._guard.pins(host)
        if not pins:
            raise OSError("a host that was not judged")
        return [
            ResolveResult(
                hostname=host,
                host=str(pin),
                port=port,
                family=socket.AF_INET6 if pin.version == 6 else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for pin in pins
        ]

    async def close(self) -> None:
        """Nothing is held."""
