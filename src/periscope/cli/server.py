"""`periscope server`: the embedded server, seen from outside; none of these starts it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope.cli import output
from periscope.cli.figures import size, span
from periscope.cli.options import FOR_PEOPLE, STORE, OutputOptions
from periscope.cli.text import safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from periscope.server import ServerStatus

DataDir = Annotated[
    str | None, Parameter(group=STORE, help="Data directory of the embedded server.")
]


def _path(data_dir: str | None) -> Path:
    from periscope.settings import Settings

    return Settings.load(data_dir=data_dir).data_path


async def status(*, data_dir: DataDir = None, out: OutputOptions = FOR_PEOPLE) -> int:
    """Say whether the embedded server runs."""
    from dataclasses import asdict

    from periscope.server import server_status

    found = await server_status(_path(data_dir))
    if out.as_json:
        output.show_json(
            {
                name: str(value) if isinstance(value, Path) else value
                for name, value in asdict(found).items()
            }
        )
    else:
        output.write("".join(f"{line}\n" for line in _lines(found)))
    return 0


def _lines(found: ServerStatus) -> Iterator[str]:
    used = "in use" if found.in_use else "not in use"
    loading = "" if found.ready or not found.running else ", still loading"
    yield f"{'Running' if found.running else 'Not running'}, {used}{loading}"
    facts = {
        "Data": found.data_dir,
        "Free": None if found.free_bytes is None else size(found.free_bytes),
        "Version": found.version,
        "Process": found.pid,
        "Durability": found.durability,
        "Memory": None if found.used_memory_bytes is None else size(found.used_memory_bytes),
        "Up for": None if found.uptime_s is None else span(found.uptime_s),
        "Socket": found.socket_path,
        "Log": found.log_path,
    }
    for label, value in facts.items():
        if value is not None:
            yield f"{label:12}{safe(str(value))}"


async def stop(
    *,
    force: Annotated[
        bool,
        Parameter(
            help="Even while others use it; what was acknowledged is kept.", show_default=False
        ),
    ] = False,
    data_dir: DataDir = None,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Stop the embedded server."""
    from periscope.server import stop_server

    stopped = await stop_server(_path(data_dir), force=force)
    if out.as_json:
        output.show_json({"stopped": stopped})
    else:
        output.write("Stopped.\n" if stopped else "It was not running.\n")
    return 0


async def repair(*, data_dir: DataDir = None, out: OutputOptions = FOR_PEOPLE) -> int:
    """Cut off data that cannot be read."""
    from periscope.server import repair as repair_data

    done = await repair_data(_path(data_dir))
    if out.as_json:
        output.show_json({"done": done})
    else:
        output.write(f"{safe(done)}\n")
    return 0
