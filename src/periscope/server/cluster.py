"""A cluster of plain processes on this machine, for trying things out: up, status, down.

Each node is a server as the embedded one is, in a directory of its own, started and stopped by the
same machinery (`life`, `process`); beyond that it listens on a port of loopback, because the nodes
of a cluster know each other by address. All nodes share this machine and its disk: it shows how a
cluster behaves, and makes nothing safer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from periscope.errors import (
    StoreDamaged,
    StoreError,
    StoreUnavailable,
    StoreUnsuitable,
)
from periscope.server.cluster_form import (
    SLOTS,
    Member,
    NodeRow,
    fields,
    form,
    readmit,
    rows_of,
    tell,
    until_whole,
)
from periscope.server.cluster_plan import (
    HOST,
    ClusterHome,
    NodeHome,
    Plan,
    choose,
    find_cluster,
    is_free,
    prepare_cluster,
)
from periscope.server.home import prepare_home, saying
from periscope.server.life import bring_up, pauses, stop, take_start_lock, until
from periscope.server.locks import LockFile

UP_TIMEOUT_S = 60.0
DOWN_TIMEOUT_S = 10.0
TAKEOVER_S = 20.0  # the node timeout, an election, and what a busy machine adds
HANGS_S = 3.0  # so long a node that did not answer when asked may take to end


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One node: `role` is primary, replica or down; `of` the port of a replica's primary.

    `serves`: it takes calls for its slots; one that is cut off from most others does not.
    """

    port: int
    role: str
    slots: int = 0
    serves: bool = False
    of: int | None = None
    pid: int | None = None
    used_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """A cluster and its nodes. `state`: absent, down, half-made, ok, or what is wrong with it.

    `unserved_slots`: of 16,384, those that no node serves that answers.
    """

    directory: Path
    state: str
    url: str | None = None
    nodes: tuple[NodeStatus, ...] = ()
    unserved_slots: int = SLOTS


class Stopped(NamedTuple):
    """How many nodes ran and were stopped; the ports of those that had to be killed."""

    nodes: int
    killed: tuple[int, ...]


async def start_cluster(
    data_dir: Path,
    *,
    primaries: int | None = None,
    replicas: int | None = None,
    port: int | None = None,
    timeout_s: float = UP_TIMEOUT_S,
) -> ClusterStatus:
    """Start the cluster of this data directory, or make one; return when it is whole.

    None means: as it is, and for a new one 3 primaries, 1 replica each, the first free ports from
    7000 on. A node that runs is left alone, one that died is started; a cluster that was
    interrupted while it was made is made to its end.

    Raises:
        SettingInvalid: what is asked for is no cluster, or not the one that is here.
        StoreUnsuitable: a port is taken, or the directory cannot be used.
        StoreDamaged: a node's files are not as it left them.
        StoreUnavailable: it is not whole in time; says what is missing.
    """
    deadline = time.monotonic() + timeout_s
    home = prepare_cluster(data_dir)
    async with _alone(home, deadline):
        plan = choose(home.plan(), primaries, replicas, port)
        nodes = home.nodes(plan)
        down = await _to_start(nodes, new=home.plan() is None)
        home.note(plan)
        await asyncio.gather(*(_start_node(node, deadline) for node in down))
        members = _members(nodes)
        if plan.made:
            await _take_back(nodes, plan, deadline)
            await until_whole(members, deadline)
        else:
            await form(members, plan.primaries, deadline)
            home.note(msgspec.structs.replace(plan, made=True))
    return await cluster_status(data_dir)


async def stop_cluster(data_dir: Path, *, timeout_s: float = DOWN_TIMEOUT_S) -> Stopped:
    """Stop every node, replicas first, and say which ran; what was stored is kept.

    A node that hangs, or does not end in time, is killed: what it acknowledged is on the disk.

    Raises:
        StoreUnavailable: somebody else is at it for too long, or a node cannot be ended.
    """
    home = find_cluster(data_dir)
    plan = home.plan()
    if plan is None:
        return Stopped(0, ())
    async with _alone(home, time.monotonic() + UP_TIMEOUT_S):
        deadline = time.monotonic() + timeout_s
        nodes = home.nodes(plan)
        seen = await asyncio.gather(*(_status(node) for node in nodes))
        ended: list[tuple[int, str]] = []
        # Those that hang come first: a primary that ends waits for replicas that lag. With none
        # left it ends at once.
        for role in ("down", "replica", "primary"):
            ending = [n for n, s in zip(nodes, seen, strict=True) if s.role == role]
            until_s = min(deadline, time.monotonic() + HANGS_S) if role == "down" else deadline
            ended += await asyncio.gather(*(_stop_node(node, until_s) for node in ending))
    return Stopped(
        sum(how != "away" for _, how in ended),
        tuple(sorted(port for port, how in ended if how == "killed")),
    )


async def cluster_status(data_dir: Path) -> ClusterStatus:
    """Say what there is and how it does; nothing is started or stopped.

    Raises:
        StoreDamaged: the plan of the cluster cannot be read.
    """
    home = find_cluster(data_dir)
    plan = home.plan()
    if plan is None:
        return ClusterStatus(directory=home.directory, state="absent")
    nodes = tuple(await asyncio.gather(*(_status(node) for node in home.nodes(plan))))
    unserved = _unserved(nodes)
    return ClusterStatus(
        directory=home.directory,
        state=await _state(home.nodes(plan), nodes, plan, unserved),
        url=f"valkey://{','.join(f'{HOST}:{port}' for port in plan.ports)}",
        nodes=nodes,
        unserved_slots=unserved,
    )


# ---- nodes --------------------------------------------------------------------------------------


async def _to_start(nodes: Sequence[NodeHome], *, new: bool) -> list[NodeHome]:
    """Return the nodes that do not run, after a look at their ports."""
    down = [node for node in nodes if new or not await _runs(node)]
    taken = next((node.port for node in down if not is_free(node.port)), None)
    if taken is not None:
        raise StoreUnsuitable(
            f"port {taken} (or {taken + 10_000}, which its node needs as well) is taken by another "
            f"program: {'give --port another number' if new else 'stop that program'}"
        )
    return down


async def _start_node(node: NodeHome, deadline: float) -> None:
    prepare_home(node.data_dir)
    locks = await take_start_lock(node, deadline)
    try:
        await bring_up(node, locks, "durable", deadline)
    finally:
        locks.close()


async def _stop_node(node: NodeHome, deadline: float) -> tuple[int, str]:
    """Stop a node; its port, and whether it was away, stopped or killed."""
    if not node.was_used():
        return node.port, "away"
    locks = await take_start_lock(node, deadline)
    try:
        if locks.server.is_free():
            return node.port, "away"
        killed = await stop(node, locks, deadline, force=True)
    finally:
        locks.close()
    return node.port, "killed" if killed else "stopped"


async def _runs(node: NodeHome) -> bool:
    if not node.was_used():
        return False
    locks = await take_start_lock(node, time.monotonic() + 1.0)
    try:
        return not locks.server.is_free()
    finally:
        locks.close()


def _members(nodes: Sequence[NodeHome]) -> list[Member]:
    return [Member(node.port, node.socket_path) for node in nodes]


async def _take_back(nodes: Sequence[NodeHome], plan: Plan, deadline: float) -> None:
    """See to nodes without their `nodes.conf`: each began a life of its own, and is not found.

    One that is empty becomes a replica. One that has data is left as it is.

    Raises:
        StoreDamaged: it has data; says what may be removed, if anything.
    """
    known = [len(await rows_of(member)) for member in _members(nodes)]
    lost = [node for node, count in zip(nodes, known, strict=True) if count < len(nodes)]
    others = [node for node in nodes if node not in lost]
    for node in lost:
        said = f"node {node.port} does not know the others, its nodes.conf was lost: "
        unserved = await _unserved_without(others, plan, deadline)
        if unserved:
            raise StoreDamaged(
                f"{said}put back {node.data_dir / 'nodes.conf'}, and remove nothing: "
                f"{unserved:,} slots are served by nobody else"
            )
        (member,) = _members([node])
        if await tell(member, "DBSIZE"):
            raise StoreDamaged(
                f"{said}the others serve everything, so run `periscope cluster down`, remove "
                f"{node.data_dir} (this node's alone), and `periscope cluster up` again"
            )
        await readmit(member, _members(others), deadline)


async def _unserved_without(others: Sequence[NodeHome], plan: Plan, deadline: float) -> int:
    """Slots that none of the others serves; a replica of theirs is given time to take over."""
    patience = min(deadline, time.monotonic() + TAKEOVER_S) if plan.replicas else 0.0
    for pause in pauses():
        unserved = _unserved(await asyncio.gather(*map(_status, others)))
        if not unserved or time.monotonic() > patience:
            return unserved
        await asyncio.sleep(pause)
    raise AssertionError


# ---- looking ------------------------------------------------------------------------------------


async def _status(node: NodeHome) -> NodeStatus:
    (member,) = _members([node])
    try:
        rows = await rows_of(member)
        info = fields(await tell(member, "INFO"))
        state = fields(await tell(member, "CLUSTER", "INFO"))["cluster_state"]
    except StoreError:
        return NodeStatus(port=node.port, role="down")
    myself = next(row for row in rows if "myself" in row.flags)
    status = NodeStatus(
        port=node.port,
        role="primary",
        slots=myself.slots,
        serves=state == "ok",
        pid=int(info["process_id"]),
        used_memory_bytes=int(info["used_memory"]),
    )
    return (
        status if myself.is_primary else replace(status, role="replica", of=_primary(myself, rows))
    )


def _primary(myself: NodeRow, rows: Sequence[NodeRow]) -> int | None:
    return next((row.port for row in rows if row.node_id == myself.primary_id), None)


def _unserved(nodes: Sequence[NodeStatus]) -> int:
    served = sum(node.slots for node in nodes if node.role == "primary" and node.serves)
    return max(0, SLOTS - served)


async def _state(
    homes: Sequence[NodeHome], nodes: Sequence[NodeStatus], plan: Plan, unserved: int
) -> str:
    down = [node.port for node in nodes if node.role == "down"]
    if len(down) == len(nodes):
        return "down"
    if not plan.made:
        return "half-made"
    without = f", without {', '.join(map(str, down))}" if down else ""
    if unserved:
        return f"{unserved:,} of {SLOTS:,} slots are served by nobody{without}"
    try:
        alive = [home for home in homes if home.port not in down]
        await until_whole(_members(alive), time.monotonic())
    except StoreUnavailable as exc:
        return str(exc).partition("in time: ")[2] or str(exc)
    except StoreError as exc:
        return str(exc)
    return f"ok{without}"


@asynccontextmanager
async def _alone(home: ClusterHome, deadline: float) -> AsyncIterator[None]:
    with saying(f"cannot use the directory {home.directory}"):
        lock = LockFile(home.lock_path)
    try:
        if not await until(lock.try_exclusive, deadline):
            raise StoreUnavailable(
                f"another process has been starting or stopping the cluster in {home.directory} "
                "for too long"
            )
        yield
    finally:
        lock.close()
