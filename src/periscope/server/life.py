"""Starting and stopping, once `start.lock` is held: what to do about what is found.

Every function here but `take_start_lock` expects its caller to hold `start.lock`. Deadlines are
times of `time.monotonic`.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterator

from periscope.errors import StoreDamaged, StoreError, StoreFull, StoreUnavailable
from periscope.server import process
from periscope.server.damage import cause, close_holes, dropped_tail, had_short_write
from periscope.server.home import Home, saying
from periscope.server.locks import Locks
from periscope.settings import Durability

logger = logging.getLogger("periscope.server")

POLL_S = 0.005
POLL_MAX_S = 0.1
KILL_TIMEOUT_S = 10.0
LOST_SOCKET_S = 3.0


async def take_start_lock(home: Home, deadline: float) -> Locks:
    """Open the lock files and take `start.lock`.

    A directory that was deleted and made again while we waited has new lock files; holding the
    old ones, we would be alone with them.

    Raises:
        StoreUnavailable: somebody else has it for too long.
        StoreUnsuitable: the directory cannot be used.
    """
    while True:
        locks = open_locks(home)
        try:
            if not await until(locks.start.try_exclusive, deadline):
                raise busy(home)
            if locks.start.is_current():
                return locks
        except BaseException:
            locks.close()
            raise
        locks.close()


def open_locks(home: Home) -> Locks:
    """Open the lock files, without taking one.

    Raises:
        StoreUnsuitable: the directory cannot be used.
    """
    with saying(f"cannot use the data directory {home.data_dir}"):
        return Locks(home.data_dir)


async def bring_up(
    home: Home, locks: Locks, durability: Durability, deadline: float
) -> dict[str, str]:
    """Start the server unless it runs, wait until it is ready, return its INFO.

    A running server is made durable if that is what is asked for; never the reverse, since others
    may rely on it.

    Raises:
        StoreError: as `EmbeddedServer.join` says.
    """
    info = await _started(home, locks, durability, deadline)
    if durability == "durable" and info["appendfsync"] != "always":
        await _make_durable(home, info, deadline)
        info["appendfsync"] = "always"
    return info


async def _make_durable(home: Home, info: dict[str, str], deadline: float) -> None:
    # A durable server that cannot write ends. This one has writes in memory that would go with it.
    if not _all_written(info):
        raise _unwritten(home)
    await _rewrite_after_short_write(home, deadline)
    with saying("cannot make the embedded server durable"):
        await process.ask(home.socket_path, ("CONFIG", "SET", "appendfsync", "always"))


async def _started(
    home: Home, locks: Locks, durability: Durability, deadline: float
) -> dict[str, str]:
    while True:
        log_start = None
        if locks.server.is_free():
            log_start = await asyncio.to_thread(process.spawn, home, durability)
        info = await _ready(home, locks, deadline)
        if info is not None:
            _mention_dropped_tail(home, log_start)
            return info
        if log_start is not None:
            await _mend(home, cause(home, log_start))
        # Either it is mended, or one that was there before us has just ended (killed, say, and
        # now the last child of it is gone): start a new one.


async def _mend(home: Home, error: StoreError) -> None:
    """Mend what can be mended without loss after a start that failed; else raise the error."""
    if not isinstance(error, StoreDamaged):
        raise error
    with saying(f"cannot repair {home.data_dir}"):
        closed = await asyncio.to_thread(close_holes, home)
    if not closed:
        raise error
    logger.warning("removed %d zero bytes that a full disk left in the logs", closed)


def _mention_dropped_tail(home: Home, log_start: int | None) -> None:
    said = None if log_start is None else dropped_tail(home, log_start)
    if said:
        logger.warning("the last write before the server ended was torn, and is dropped: %s", said)


async def _ready(home: Home, locks: Locks, deadline: float) -> dict[str, str] | None:
    """INFO of the running server once its data are loaded; None: it ended first."""
    lost_at = time.monotonic() + LOST_SOCKET_S
    info = None
    for pause in pauses():
        info = await process.ask_info(home.socket_path)
        if info is not None and info["loading"] == "0":
            return info
        if locks.server.is_free():
            return None
        if time.monotonic() > lost_at and not home.socket_path.exists():
            await _end_unreachable(home, locks, deadline)
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(pause)
    raise StoreUnavailable(
        f"the embedded server in {home.data_dir} was not ready in time "
        f"({'it loads its data' if info else 'no answer'}); it goes on, so try again later"
    )


async def _end_unreachable(home: Home, locks: Locks, deadline: float) -> None:
    """Stop a server whose socket was removed (a runtime directory ends with its login session).

    Only when nobody else uses it: its users still have their connections.
    """
    alone = locks.users.try_exclusive()
    await until(locks.users.try_shared, deadline)
    if not (alone and await send_signal(home, signal.SIGTERM)):
        raise StoreUnavailable(
            f"the embedded server in {home.data_dir} runs where it cannot be reached (its socket "
            f"{home.socket_path} is gone, or it runs in another container): stop it first"
        )
    if not await until(locks.server.is_free, deadline):
        raise still_running(home)


async def stop(home: Home, locks: Locks, deadline: float, *, force: bool = False) -> bool:
    """Stop the running server and wait until it, and every child of it, is gone.

    True: it had to be killed, which is done with `force` only.

    Raises:
        StoreUnavailable: it did not stop in time.
        StoreFull: what it acknowledged is not on the disk yet (without `force`).
    """
    try:
        if not force:
            await _check_all_written(home, deadline)
        await process.request_shutdown(home.socket_path)
    except OSError:
        await send_signal(home, signal.SIGTERM)
    gone, killed = await until(locks.server.is_free, deadline), False
    if not gone and force and await send_signal(home, signal.SIGKILL):
        gone = killed = await until(locks.server.is_free, time.monotonic() + KILL_TIMEOUT_S)
    if not gone:
        raise still_running(home)
    home.socket_path.unlink(missing_ok=True)
    return killed


async def _check_all_written(home: Home, deadline: float) -> None:
    """Refuse to drop what a `fast` server on a full disk has in memory only."""
    info = await process.ask_info(home.socket_path)
    if info is None or info["loading"] != "0" or info["appendfsync"] == "always":
        return
    if not _all_written(info):
        raise _unwritten(home)
    await _rewrite_after_short_write(home, deadline)


async def _rewrite_after_short_write(home: Home, deadline: float) -> None:
    """Have the data of a `fast` server written anew if its disk was full since it started.

    Valkey 9.1.2 takes a half-written command back, but goes on writing where that ended, and loses
    count of the length of its log: the log has a hole, and the next full disk cuts it too short.
    The data in memory are right, and a rewrite begins a new log.
    """
    if not await asyncio.to_thread(had_short_write, home):
        return
    await _rewrite_ended(home, deadline)
    with saying(f"cannot rewrite the data of {home.data_dir}"):
        await process.ask(home.socket_path, ("BGREWRITEAOF",))
    info = await _rewrite_ended(home, deadline)
    if info is None or info["aof_last_bgrewrite_status"] != "ok":
        raise _unwritten(home)


async def _rewrite_ended(home: Home, deadline: float) -> dict[str, str] | None:
    """INFO once no rewrite is at work or waiting; None: the deadline passed, or no answer."""
    for pause in pauses():
        info = await process.ask_info(home.socket_path)
        if info is None or time.monotonic() > deadline:
            return None
        if info["aof_rewrite_in_progress"] == info["aof_rewrite_scheduled"] == "0":
            return info
        await asyncio.sleep(pause)
    return None


def _unwritten(home: Home) -> StoreFull:
    return StoreFull(
        f"the disk is full, and the embedded server in {home.data_dir} has changes in memory only; "
        f"it goes on running to keep them: free some disk space, then try again"
    )


def _all_written(info: dict[str, str]) -> bool:
    return info.get("aof_last_write_status", "ok") == "ok"


async def send_signal(home: Home, which: signal.Signals) -> bool:
    """Signal the server of this directory; False when it cannot be found with certainty."""
    return await asyncio.to_thread(process.send_signal, home.pid(), home.socket_path, which)


def busy(home: Home) -> StoreUnavailable:
    """Return the error for a `start.lock` that does not become free."""
    return StoreUnavailable(
        f"another process has been starting or stopping the embedded server in {home.data_dir} "
        f"for too long"
    )


def still_running(home: Home) -> StoreUnavailable:
    """Return the error for a server that does not end."""
    return StoreUnavailable(
        f"the embedded server in {home.data_dir} did not stop in time; its log is {home.log_path}"
    )


async def until(attempt: Callable[[], bool], deadline: float) -> bool:
    """Try until it succeeds, at least once; False when the deadline has passed."""
    for pause in pauses():
        if attempt():
            return True
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(pause)
    return False


def pauses() -> Iterator[float]:
    """Yield seconds to wait between tries: short ones first, since most waits are."""
    pause = POLL_S
    while True:
        yield pause
        pause = min(pause * 1.5, POLL_MAX_S)
