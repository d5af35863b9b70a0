"""`periscope cluster`: a cluster of plain processes on this machine, for trying things out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope.cli import output
from periscope.cli.figures import size
from periscope.cli.options import FOR_PEOPLE, STORE, OutputOptions
from periscope.cli.text import safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from periscope.server import ClusterStatus, NodeStatus, Stopped

DataDir = Annotated[
    str | None,
    Parameter(group=STORE, help="Data directory; the cluster is in `cluster` below it."),
]
WARNING = (
    "All of it is on this machine, and without a password: for trying things out, not for keeping "
    "threats safe."
)


def _path(data_dir: str | None) -> Path:
    from periscope.settings import Settings

    return Settings.load(data_dir=data_dir).data_path


async def up(
    *,
    primaries: Annotated[
        int | None, Parameter(help="Primaries of a new cluster, 3 to 16 (3 if not given).")
    ] = None,
    replicas: Annotated[
        int | None, Parameter(help="Replicas of each, 0 to 4 (1 if not given).")
    ] = None,
    port: Annotated[
        int | None, Parameter(help="First port (the first free ones from 7000 if not given).")
    ] = None,
    data_dir: DataDir = None,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Start the cluster."""
    from periscope.server import start_cluster

    found = await start_cluster(_path(data_dir), primaries=primaries, replicas=replicas, port=port)
    _show(found, out)
    if not out.as_json:
        output.write(f"\n{WARNING}\nUse it: periscope top --url {found.url}\n")
    return 0


async def status(*, data_dir: DataDir = None, out: OutputOptions = FOR_PEOPLE) -> int:
    """Show the nodes; the exit code is 1 where some slots are served by nobody."""
    from periscope.server import cluster_status

    found = await cluster_status(_path(data_dir))
    _show(found, out)
    return 1 if found.unserved_slots else 0


async def down(*, data_dir: DataDir = None, out: OutputOptions = FOR_PEOPLE) -> int:
    """Stop the cluster."""
    from periscope.server import stop_cluster

    stopped = await stop_cluster(_path(data_dir))
    if out.as_json:
        output.show_json({"stopped": stopped.nodes, "killed": stopped.killed})
    else:
        output.write(_ended(stopped))
    return 0


def _ended(stopped: Stopped) -> str:
    if not stopped.nodes:
        return "It was not running.\n"
    killed = ", ".join(map(str, stopped.killed))
    forced = (
        f" {killed} did not end and was killed; what it acknowledged is kept." if killed else ""
    )
    return f"Stopped {stopped.nodes} nodes.{forced}\n"


def _show(found: ClusterStatus, out: OutputOptions) -> None:
    if out.as_json:
        output.show_json({**asdict(found), "directory": str(found.directory)})
    else:
        output.write("".join(f"{line}\n" for line in _lines(found)))


def _lines(found: ClusterStatus) -> Iterator[str]:
    yield safe(f"{'State':12}{found.state}")
    yield safe(f"{'Directory':12}{found.directory}")
    if found.url:
        yield f"{'URL':12}{found.url}"
    for node in found.nodes:
        yield f"{node.port:<12}{_words(node)}".rstrip()


def _words(node: NodeStatus) -> str:
    if node.pid is None:
        return "down"
    of = f" of {node.of}" if node.of else ""
    role = f"{node.role}{of}" if node.role == "replica" else f"primary, {node.slots:,} slots"
    return f"{role:22} process {node.pid:<8} {size(node.used_memory_bytes or 0)}"
