"""Where the time goes: the clock, and the CPU that client and server used meanwhile."""

from __future__ import annotations

import resource
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from periscope.server.process import ask


@dataclass(slots=True)
class Effort:
    """Seconds, added up over as many stretches as are measured with it, and what they achieved."""

    done: int = 0
    wall_s: float = 0.0
    client_s: float = 0.0
    server_s: float = 0.0

    @property
    def client_us(self) -> float:
        """CPU of this process for each threat or call."""
        return self.client_s / self.done * 1e6

    @property
    def server_us(self) -> float:
        """CPU of the server for each threat or call."""
        return self.server_s / self.done * 1e6

    @property
    def client_share(self) -> float:
        """Cores that this process used while the clock ran."""
        return self.client_s / self.wall_s if self.wall_s else 0.0

    @property
    def server_share(self) -> float:
        """Cores that the server used while the clock ran."""
        return self.server_s / self.wall_s if self.wall_s else 0.0

    @asynccontextmanager
    async def measured(
        self, socket_path: Path, done: int, cpu_s: Callable[[], float] | None = None
    ) -> AsyncIterator[None]:
        """Add what the body takes to do `done` things. The server is asked outside of the clock.

        `cpu_s` tells the client's CPU where that is not this process.
        """
        cpu_s = cpu_s or _client_cpu_s
        server_s = await server_cpu_s(socket_path)
        client_s, begun = cpu_s(), time.perf_counter()
        yield
        self.wall_s += time.perf_counter() - begun
        self.done += done
        self.client_s += cpu_s() - client_s
        self.server_s += await server_cpu_s(socket_path) - server_s

    def add(self, other: Effort) -> None:
        """Add another effort to this one."""
        self.done += other.done
        self.wall_s += other.wall_s
        self.client_s += other.client_s
        self.server_s += other.server_s


async def info(socket_path: Path, section: str) -> dict[str, str]:
    """A section of the server's INFO."""
    (text,) = await ask(socket_path, ("INFO", section))
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


async def used_bytes(socket_path: Path) -> int:
    """Memory without the buffers of clients and log, which do not grow with what is stored."""
    fields = await info(socket_path, "memory")
    buffers = ("mem_clients_normal", "mem_aof_buffer", "used_memory_scripts")
    return int(fields["used_memory"]) - sum(int(fields.get(name, 0)) for name in buffers)


async def server_cpu_s(socket_path: Path) -> float:
    """CPU seconds of the server since its start, all its threads together."""
    fields = await info(socket_path, "cpu")
    return float(fields["used_cpu_sys"]) + float(fields["used_cpu_user"])


def _client_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
