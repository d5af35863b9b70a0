"""A process that uses the embedded server; a test drives it, and kills it.

user.py DIR                  join, say so, leave when told
user.py DIR cycles N         join, add 1, leave; N times
user.py DIR die WHEN WHAT    as the first, but kill itself before or after a step
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from periscope.server import EmbeddedServer
from periscope.server import life as server_life
from periscope.server import process as server_process


async def use(data_dir: Path) -> None:
    server = await EmbeddedServer.join(data_dir)
    info = await server_process.ask_info(server.socket_path)
    assert info is not None
    print("joined", info["process_id"], server.socket_path, flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.readline)
    await server.leave()
    print("left", flush=True)  # noqa: T201


async def cycle(data_dir: Path, times: int) -> None:
    for _ in range(times):
        server = await EmbeddedServer.join(data_dir)
        await server_process.ask(server.socket_path, ("INCR", "cycles"))
        await server.leave()


def die_at(when: str, what: str) -> None:
    module = server_life if hasattr(server_life, what) else server_process
    step: Callable[..., Any] = getattr(module, what)

    def dying(*args: Any, **kwargs: Any) -> Any:
        if when == "after":
            step(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, what, dying)


def main(data_dir: str, *words: str) -> None:
    if words[:1] == ("cycles",):
        asyncio.run(cycle(Path(data_dir), int(words[1])))
        return
    if words[:1] == ("die",):
        die_at(words[1], words[2])
    asyncio.run(use(Path(data_dir)))


if __name__ == "__main__":
    main(*sys.argv[1:])
