"""What the bench ran on: without it a figure means nothing."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from periscope import __version__
from periscope.bench.stand import stand


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Hardware, software and moment; `load_1m` tells how busy the machine was before we came."""

    date: str
    periscope: str
    server: str
    durability: str
    cpu: str
    cores: int
    memory_bytes: int
    os: str
    python: str
    load_1m: float


async def look_around() -> Machine:
    """Describe this machine; starts a server for a moment to ask for its version."""
    load_1m = round(os.getloadavg()[0], 2)
    async with stand() as on:
        server = on.periscope.server
    return Machine(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        periscope=__version__,
        server=f"{server.kind} {server.version}",
        durability=server.durability,
        cpu=_cpu_model(),
        cores=_cores(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        os=platform.platform(),
        python=platform.python_version(),
        load_1m=load_1m,
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
