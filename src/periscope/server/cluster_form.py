"""Making single nodes into one cluster, and looking at it; every step may be repeated.

A cluster that was interrupted while it was made is made to its end by doing all again: what is
there already is left as it is.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from periscope.errors import StoreError, StoreUnavailable
from periscope.server.life import pauses
from periscope.server.process import ask

SLOTS = 16_384
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Member:
    """A node as the others reach it, and as we do."""

    port: int
    socket_path: Path


@dataclass(frozen=True, slots=True)
class NodeRow:
    """What `CLUSTER NODES` says of one node. `slots` is their number."""

    node_id: str
    port: int
    flags: frozenset[str]
    primary_id: str
    epoch: int
    slots: int

    @property
    def is_primary(self) -> bool:
        """Whether it is no replica; it need not have slots."""
        return "master" in self.flags

    @property
    def is_known(self) -> bool:
        """Whether it is a node, and not an address from which no answer came yet."""
        return not self.flags & {"handshake", "noaddr"}

    @property
    def is_failed(self) -> bool:
        """Whether the node that was asked takes it for dead, or nearly."""
        return bool(self.flags & {"fail", "fail?"})


def read_rows(text: str) -> list[NodeRow]:
    """Parse the reply of `CLUSTER NODES`; the node that was asked has the flag `myself`."""
    return [_row(line.split()) for line in text.splitlines() if line.strip()]


def _row(words: list[str]) -> NodeRow:
    node_id, address, flags, primary_id, _ping, _pong, epoch, _link, *ranges = words
    port = address.partition("@")[0].rpartition(":")[2]
    slots = sum(_count(found) for found in ranges if not found.startswith("["))
    return NodeRow(node_id, int(port), frozenset(flags.split(",")), primary_id, int(epoch), slots)


def _count(slots: str) -> int:
    first, _, last = slots.partition("-")
    return int(last or first) - int(first) + 1


async def tell(member: Member, *command: str) -> Any:
    """Run one command on a node.

    Raises:
        StoreUnavailable: it does not answer; StoreError: it refuses.
    """
    try:
        (reply,) = await ask(member.socket_path, command)
    except OSError as exc:
        raise StoreUnavailable(f"node {member.port} does not answer: {exc or 'too slow'}") from exc
    if isinstance(reply, Exception):
        raise StoreError(f"node {member.port} refuses {' '.join(command[:2])}: {reply}")
    return reply


async def rows_of(member: Member) -> list[NodeRow]:
    """How a node sees the cluster."""
    return read_rows(await tell(member, "CLUSTER", "NODES"))


async def form(members: Sequence[Member], primaries: int, deadline: float) -> None:
    """Give the first `primaries` members the slots, make all known to all, and the rest replicas.

    Returns when the cluster takes writes everywhere and every replica follows. Safe to repeat.

    Raises:
        StoreError: a node refuses; StoreUnavailable: it was not whole at the deadline.
    """
    for number, member in enumerate(members[:primaries]):
        await _give_slots(member, number, primaries)
    await _introduce(members)
    await _until_acquainted(members, deadline)
    ids = [await tell(member, "CLUSTER", "MYID") for member in members]
    for number, member in enumerate(members[primaries:]):
        await _follow(member, ids[number % primaries], deadline)
    await until_whole(members, deadline)


async def readmit(member: Member, others: Sequence[Member], deadline: float) -> None:
    """Make an empty node that knows nobody a replica of the primary that has the fewest.

    Raises:
        StoreError: a node refuses; StoreUnavailable: they did not find each other in time.
    """
    everybody = [member, *others]
    await _introduce(everybody)
    await _until_acquainted(everybody, deadline)
    rows = [row for row in await rows_of(others[0]) if not row.is_failed]
    followed = Counter(row.primary_id for row in rows)
    serving = [row for row in rows if row.is_primary and row.slots]
    await _follow(member, min(serving, key=lambda row: followed[row.node_id]).node_id, deadline)


async def _give_slots(member: Member, number: int, primaries: int) -> None:
    rows = await rows_of(member)
    myself = next(row for row in rows if "myself" in row.flags)
    if len(rows) == 1 and not myself.epoch:
        await tell(member, "CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
    if not myself.slots:
        first, after = number * SLOTS // primaries, (number + 1) * SLOTS // primaries
        await tell(member, "CLUSTER", "ADDSLOTSRANGE", str(first), str(after - 1))


async def _introduce(members: Sequence[Member]) -> None:
    """Every pair, so that nobody waits for gossip."""
    for number, member in enumerate(members):
        known = {row.port for row in await rows_of(member) if row.is_known}
        for other in members[number + 1 :]:
            if other.port not in known:
                await tell(member, "CLUSTER", "MEET", HOST, str(other.port))


async def _until_acquainted(members: Sequence[Member], deadline: float) -> None:
    ports = {member.port for member in members}
    for pause in pauses():
        views = [await rows_of(member) for member in members]
        if all({row.port for row in view if row.is_known} >= ports for view in views):
            return
        await _wait(pause, deadline, "its nodes do not find each other")


async def _follow(member: Member, primary_id: str, deadline: float) -> None:
    for pause in pauses():
        rows = await rows_of(member)
        myself = next(row for row in rows if "myself" in row.flags)
        if not myself.is_primary:
            return
        try:
            await tell(member, "CLUSTER", "REPLICATE", primary_id)
        except StoreUnavailable:
            raise
        except StoreError as exc:  # it has not heard yet that the other is a primary
            await _wait(pause, deadline, str(exc))


async def until_whole(members: Sequence[Member], deadline: float) -> None:
    """Return when every node takes part, every slot is served, and every replica follows.

    Raises:
        StoreUnavailable: it was not so at the deadline; says what is missing.
    """
    for pause in pauses():
        missing = [said for member in members if (said := await _missing(member, len(members)))]
        if not missing:
            return
        await _wait(pause, deadline, missing[0])


async def _missing(member: Member, count: int) -> str:
    """What a node lacks, in words; empty: nothing."""
    info = fields(await tell(member, "CLUSTER", "INFO"))
    rows = await rows_of(member)
    if info["cluster_state"] != "ok":
        return f"node {member.port} says cluster_state {info['cluster_state']}"
    if int(info["cluster_slots_ok"]) != SLOTS:
        return f"node {member.port} sees {info['cluster_slots_ok']} of {SLOTS} slots served"
    alive = [row for row in rows if row.is_known and not row.is_failed]
    if len(alive) < count:
        return f"node {member.port} sees {len(alive)} of {count} nodes"
    link = fields(await tell(member, "INFO", "replication")).get("master_link_status", "up")
    return "" if link == "up" else f"node {member.port} does not follow its primary yet"


def fields(text: str) -> dict[str, str]:
    """The lines `name:value` of a reply."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


async def _wait(pause: float, deadline: float, missing: str) -> None:
    if time.monotonic() > deadline:
        raise StoreUnavailable(f"the cluster is not whole in time: {missing}")
    await asyncio.sleep(pause)
