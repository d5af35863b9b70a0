"""The directory of a cluster for trying things out, and what is where in it.

plan.json      how many nodes, on which ports; whether they have been made into one cluster
cluster.lock   held by whoever starts or stops it
node-<port>/   one node: a data directory like that of the embedded server, and `nodes.conf`
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

import msgspec

from periscope.errors import SettingInvalid, StoreDamaged, StoreUnsuitable
from periscope.server.home import Home, find_home, prepare_home, saying

HOST = "127.0.0.1"
FIRST_PORT = 7000
LAST_PORT = 55_535
"""The nodes talk to each other on a port 10,000 above the one for clients."""
BUS = 10_000
PRIMARIES_MAX = 16
REPLICAS_MAX = 4
NODE_TIMEOUT_MS = 5_000


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A cluster: `primaries` with `replicas` each, on ports from `port` on.

    `made`: every node knows the others, and the slots were given out. From then on who is primary
    is the cluster's own business.
    """

    port: int
    primaries: int
    replicas: int
    made: bool = False

    @property
    def ports(self) -> range:
        """The ports of all nodes; those that began as primaries first."""
        return range(self.port, self.port + self.primaries * (1 + self.replicas))


@dataclass(frozen=True, slots=True)
class NodeHome(Home):
    """The data directory of one node, which the embedded server's machinery starts and stops."""

    port: int

    @property
    def own_settings(self) -> dict[str, str]:
        """What makes the server a node of a cluster on loopback."""
        return {
            "port": str(self.port),
            "bind": HOST,
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(NODE_TIMEOUT_MS),
            # A part that is away must not stop the others.
            "cluster-require-full-coverage": "no",
            "repl-diskless-sync-delay": "0",
            # Its title shows the socket, by which `send_signal` knows whom it hits.
            "proc-title-template": "{title} {unixsocket} {listen-addr} {server-mode}",
        }


@dataclass(frozen=True, slots=True)
class ClusterHome:
    """The directory of a cluster, resolved."""

    directory: Path

    @property
    def lock_path(self) -> Path:
        """The lock of whoever starts or stops the cluster."""
        return self.directory / "cluster.lock"

    @property
    def _plan_path(self) -> Path:
        return self.directory / "plan.json"

    def plan(self) -> Plan | None:
        """Return what was planned here; None: nothing yet.

        Raises:
            StoreDamaged: the plan cannot be read.
        """
        try:
            return msgspec.json.decode(self._plan_path.read_bytes(), type=Plan)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as exc:
            raise StoreDamaged(f"cannot read {self._plan_path}: {exc}") from exc

    def note(self, plan: Plan) -> Plan:
        """Write the plan down, whole or not at all."""
        fresh = self._plan_path.with_suffix(".new")
        with saying(f"cannot write {self._plan_path}"):
            fresh.write_bytes(msgspec.json.encode(plan))
            fresh.replace(self._plan_path)
        return plan

    def nodes(self, plan: Plan) -> list[NodeHome]:
        """The nodes in the order of their ports."""
        return [NodeHome(self.directory / f"node-{port}", port) for port in plan.ports]


def find_cluster(data_dir: Path) -> ClusterHome:
    """Return the cluster's place below a data directory; nothing is created."""
    return ClusterHome(find_home(data_dir).data_dir / "cluster")


def prepare_cluster(data_dir: Path) -> ClusterHome:
    """Return the cluster's place, created if need be and closed to other users.

    Raises:
        StoreUnsuitable: it cannot be created or written; StoreFull: there is no room for it.
    """
    return ClusterHome(prepare_home(find_cluster(data_dir).directory).data_dir)


def choose(
    known: Plan | None, primaries: int | None, replicas: int | None, port: int | None
) -> Plan:
    """Return the plan that fits what is asked for; what is there already decides the rest.

    Raises:
        SettingInvalid: it does not fit what is there, or is no cluster.
        StoreUnsuitable: the ports are taken.
    """
    if known is not None:
        return _checked(known, primaries, replicas, port)
    primaries = 3 if primaries is None else primaries
    replicas = 1 if replicas is None else replicas
    if not (3 <= primaries <= PRIMARIES_MAX and 0 <= replicas <= REPLICAS_MAX):
        raise SettingInvalid(
            f"a cluster has 3 to {PRIMARIES_MAX} primaries with 0 to {REPLICAS_MAX} replicas each"
        )
    count = primaries * (1 + replicas)
    if port is None:
        port = _free_run(count)
    elif not 1024 <= port <= LAST_PORT - count:
        raise SettingInvalid(f"--port must be from 1024 to {LAST_PORT - count}")
    return Plan(port=port, primaries=primaries, replicas=replicas)


def _checked(known: Plan, primaries: int | None, replicas: int | None, port: int | None) -> Plan:
    asked = {"primaries": primaries, "replicas": replicas, "port": port}
    for name, value in asked.items():
        there = getattr(known, name)
        if value not in (None, there):
            raise SettingInvalid(
                f"--{name} is {value}, but the cluster that is here has {there}: leave it out, or "
                "give another --data-dir"
            )
    return known


def _free_run(count: int) -> int:
    """Find `count` free ports in a row."""
    for first in range(FIRST_PORT, LAST_PORT - count, 100):
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise StoreUnsuitable("no free ports for a cluster were found; give --port")


def is_free(port: int) -> bool:
    """Whether a node could listen on this port and on its second one, just now."""
    for number in (port, port + BUS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, number))
            except OSError:
                return False
    return True
