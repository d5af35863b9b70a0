"""Is a server fit to hold threats? Its version, role and settings, as it tells them itself."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from periscope.connection.explain import replica
from periscope.errors import StoreUnsuitable

log = logging.getLogger("periscope")

OLDEST = {"valkey": (7, 2), "redis": (7, 0)}


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What was found out about the servers when they were reached; memory is that of all."""

    kind: str
    version: str
    durability: str
    used_memory_bytes: int
    topology: str = "standalone"
    primaries: int = 1


class Writable(StrEnum):
    """Do the servers take writes?"""

    YES = "yes"
    FULL = "full"  # out of memory or disk: reads go on, removals and sweeps make room
    REFUSED = "refused"  # for another reason: replicas that are missing, a right, a replica's role


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much memory the servers use, and whether they take writes just now.

    Memory is that of all primaries; `max_memory_bytes` is 0 where any of them has no limit.
    `refusal` says in one line why a write would be refused, and what to do.
    """

    used_memory_bytes: int
    max_memory_bytes: int
    writable: Writable
    refusal: str = ""


def check_fitness(info: dict[str, Any], url: str) -> None:
    """Refuse a server that cannot be trusted with threats.

    Raises:
        StoreUnsuitable: it is too old, a replica, or evicts keys.
    """
    _check_version(info, url)
    _check_role(info, url)
    _check_eviction(info, url)


def warn_of_replicas(info: dict[str, Any], wanted: int, url: str) -> None:
    """Say it if more replicas follow than must confirm: one that lags may be made the primary."""
    attached = int(info.get("connected_slaves", 0))
    if attached > wanted:
        log.warning(
            "%d replicas follow the server at %s, and %d must confirm a change (setting replicas): "
            "what is acknowledged may be lost when another one replaces a primary that still runs",
            attached,
            url,
            wanted,
        )


def kind_and_version(info: dict[str, Any]) -> tuple[str, str]:
    """Valkey or redis, and its version."""
    if "valkey_version" in info:
        return "valkey", str(info["valkey_version"])
    return "redis", str(info["redis_version"])


def _check_version(info: dict[str, Any], url: str) -> None:
    kind, version = kind_and_version(info)
    oldest = OLDEST[kind]
    if tuple(int(part) for part in version.split(".")[:2]) < oldest:
        needed = ".".join(map(str, oldest))
        raise StoreUnsuitable(
            f"the server at {url} is {kind} {version}; Periscope needs {kind} {needed} or newer"
        )


def _check_role(info: dict[str, Any], url: str) -> None:
    if info.get("role") == "slave":
        raise replica(StoreUnsuitable(), url)


def _check_eviction(info: dict[str, Any], url: str) -> None:
    policy = info.get("maxmemory_policy", "noeviction")
    if int(info.get("maxmemory", 0)) and policy != "noeviction":
        raise StoreUnsuitable(
            f"the server at {url} evicts keys when full (maxmemory-policy {policy}), which loses "
            "threats; set maxmemory-policy to noeviction"
        )
