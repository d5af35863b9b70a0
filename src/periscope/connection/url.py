"""URLs of servers: one, several of a cluster, or the sentinels that know which one is in charge."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from periscope.errors import SettingInvalid
from periscope.settings import hide_password

SCHEMES = {
    "redis": False,
    "valkey": False,
    "sentinel": False,
    "rediss": True,
    "valkeys": True,
    "sentinels": True,
}
DEFAULT_PORT = 6379
SENTINEL_PORT = 26379
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^\[\]:,@/]+)(?::(\d{1,5}))?")


class Address(NamedTuple):
    """Where a server listens; a UNIX socket has its path as host, and port 0."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL says. `seeds`: a server, nodes of a cluster to ask first, or the sentinels.

    `shown` is for messages: without a password, and short.
    """

    shown: str
    kind: Literal["socket", "server", "sentinel"]
    seeds: tuple[Address, ...]
    tls: bool = False
    username: str | None = None
    password: str | None = None
    database: int = 0
    master: str = ""

    def asked_first(self) -> Target:
        """How the seeds are reached: sentinels know neither the login nor the database number."""
        if self.kind != "sentinel":
            return self
        return replace(self, username=None, password=None, database=0)

    def login(self) -> dict[str, Any]:
        """User and password as redis-py takes them."""
        return {"username": self.username, "password": self.password}


def read_url(url: str) -> Target:
    """Read a URL: redis[s]://, valkey[s]:// (also host1:port1,host2:port2), sentinel[s]://, unix://.

    Raises:
        SettingInvalid: it cannot be used; says which part.
    """
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise SettingInvalid(f"the URL cannot be used: {exc}") from None
    if parts.query or parts.fragment:
        raise SettingInvalid("the URL cannot be used: options after ? or # are not known")
    if parts.scheme == "unix":
        return Target(hide_password(url), "socket", (Address(unquote(parts.path)),))
    if parts.scheme not in SCHEMES:
        raise SettingInvalid(
            f"cannot use a URL of scheme {parts.scheme or 'none'!r}: give redis://, rediss://, "
            "valkey://, valkeys://, sentinel://, sentinels:// or unix://"
        )
    return _network_target(url, parts.scheme, parts.netloc, parts.path)


def _network_target(url: str, scheme: str, netloc: str, path: str) -> Target:
    login, _, places = netloc.rpartition("@")
    username, _, password = login.partition(":")
    sentinel = scheme.startswith("sentinel")
    seeds = _seeds(places, SENTINEL_PORT if sentinel else DEFAULT_PORT)
    master, database = _path(path) if sentinel else ("", _database(path))
    return Target(
        _brief(hide_password(url)),
        "sentinel" if sentinel else "server",
        seeds,
        SCHEMES[scheme],
        unquote(username) or None,
        unquote(password) or None,
        database,
        master,
    )


def _brief(shown: str) -> str:
    """What messages call it: its first place, and how many more there are."""
    first, *others = shown.split(",")
    return f"{first} and {len(others)} more" if others else shown


def _seeds(places: str, port: int) -> tuple[Address, ...]:
    seeds = []
    for place in places.split(",") if places else ["localhost"]:
        found = _PLACE.fullmatch(place)
        number = int(found[2] or port) if found else -1
        if found is None or not 0 < number < 65_536:
            raise SettingInvalid(f"the URL cannot be used: no host and port: {place[:80]!r}")
        seeds.append(Address(unquote(found[1].strip("[]")), number))
    return tuple(seeds)


def _database(path: str) -> int:
    if not re.fullmatch(r"/?\d{0,9}", path, re.ASCII):
        raise SettingInvalid(f"the URL cannot be used: no database number: {path[:40]!r}")
    return int(path.strip("/") or 0)


def _path(path: str) -> tuple[str, int]:
    """(name of the primary, database number) of a Sentinel's URL."""
    master, _, number = path.removeprefix("/").partition("/")
    if not master:
        raise SettingInvalid(
            "the URL cannot be used: name the primary, as in sentinel://host:26379/mymaster"
        )
    return unquote(master), _database(number)
