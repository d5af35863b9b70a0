"""The one module that knows how the server is reached, and what a server must be.

Standalone servers over TCP, TLS or a UNIX socket. The pool is bounded and waits: being busy is
never an error. redis-py's own retries are off: what may be repeated is decided where it is known.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis.asyncio as redis_asyncio
from redis.asyncio.connection import AbstractConnection, BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    InvalidResponse,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from periscope.errors import (
    AuditFull,
    BugError,
    Moving,
    PeriscopeError,
    SettingInvalid,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StoreUnsuitable,
)
from periscope.settings import Settings, hide_password

OLDEST = {"valkey": (7, 2), "redis": (7, 0)}
SCHEMES = {"valkey": "redis", "valkeys": "rediss", "redis": "redis", "rediss": "rediss"}
LOADING_POLL_S = 0.1
LOADING_S = 120
RECONNECT_PAUSE_S = 0.05

# Connection lost, no answer in time, or no protocol: whether a call was carried out is unknown.
LOST = (RedisConnectionError, RedisTimeoutError, InvalidResponse, OSError, asyncio.TimeoutError)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What was found out about the server when it was reached."""

    kind: str
    version: str
    durability: str
    used_memory_bytes: int


async def honour(call: Awaitable[Any]) -> Any:
    """Await a call of redis-py; a cancellation that came together with its result counts.

    redis-py sends through `asyncio.wait_for`, which until Python 3.12 returns the result then and
    drops the cancellation: its task would go on for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    result = await call
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
    return result


class Connections:
    """A bounded, waiting pool of connections to one server."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.shown_url = hide_password(url)
        self._url, self._settings = url, settings
        self.pool = _pool(url, settings, settings.connections)
        self.client = redis_asyncio.Redis(connection_pool=self.pool)
        # Whoever mends something may hold a connection of the pool, as may all others who mend: a
        # second one from the same pool could never come.
        self.aside = redis_asyncio.Redis(connection_pool=_pool(url, settings, 1))
        self.revive: Callable[[], Awaitable[Path]] | None = None

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[redis_asyncio.Redis]:
        """Lend a client with one connection of its own, for calls that wait on the server."""
        client = redis_asyncio.Redis(connection_pool=_pool(self._url, self._settings, 1))
        try:
            yield client
        finally:
            await client.aclose()
            await client.connection_pool.disconnect()

    async def mend(self) -> bool:
        """Start an embedded server that died; False where the server is somebody else's.

        Raises:
            StoreError: it does not start; says why.
        """
        if self.revive is None:
            return False
        path = str(await self.revive())
        self._url = f"unix://{path}"
        for pool in (self.pool, self.aside.connection_pool):
            pool.connection_kwargs["path"] = path
            known: list[Any] = [*pool._available_connections, *pool._in_use_connections]
            for connection in known:
                connection.path = path
        return True

    async def close(self) -> None:
        """Close every connection; idempotent."""
        for client in (self.client, self.aside):
            await client.aclose()
            await client.connection_pool.disconnect()

    async def run(self, *command: bytes | str | int, aside: bool = False) -> Any:
        """Run a command that is safe to repeat: once more if a dead embedded server came back.

        Errors are redis-py's; `explain` makes them ours.
        """
        client = self.aside if aside else self.client
        try:
            return await honour(client.execute_command(*command))
        except LOST:
            if not await self.mend():
                raise
        return await honour(client.execute_command(*command))

    @asynccontextmanager
    async def lease(self, retry_s: float) -> AsyncIterator[AbstractConnection]:
        """Lend a connection for its caller alone; whoever leaves replies unread disconnects it.

        Raises:
            StoreUnavailable: none could be made within `retry_s`.
        """
        connection = await self._connected(asyncio.get_running_loop().time() + retry_s)
        try:
            yield connection
        finally:
            await self.pool.release(connection)

    async def _connected(self, deadline: float) -> AbstractConnection:
        while True:
            try:
                connection: AbstractConnection = await self.pool.get_connection()
                return connection
            except (RedisError, *LOST) as exc:
                mended = isinstance(exc, LOST) and await self.mend()
                if not mended and asyncio.get_running_loop().time() >= deadline:
                    raise self.explain(exc) from exc
                await asyncio.sleep(RECONNECT_PAUSE_S)

    async def examine(self) -> ServerFacts:
        """Reach the server and check that it can be trusted with threats.

        Raises:
            StoreUnavailable: it cannot be reached, or does not finish loading its data.
            StoreUnsuitable: too old, needs a password, evicts keys, is a replica or a cluster.
        """
        info = await self._loaded_info()
        _check_version(info, self.shown_url)
        _check_role(info, self.shown_url)
        _check_eviction(info, self.shown_url)
        kind, version = _kind_and_version(info)
        durability = await self._durability()
        return ServerFacts(kind, version, durability, int(info["used_memory"]))

    async def _loaded_info(self) -> dict[str, Any]:
        deadline = asyncio.get_running_loop().time() + LOADING_S
        while True:
            info = await self.guarded(self.client.info())
            if not int(info.get("loading", 0)):
                return dict(info)
            if asyncio.get_running_loop().time() > deadline:
                raise StoreUnavailable(f"the server at {self.shown_url} is still loading its data")
            await asyncio.sleep(LOADING_POLL_S)

    async def _durability(self) -> str:
        try:
            config = await self.client.config_get("append*")
        except ResponseError:
            return "unverified"
        except (RedisError, *LOST) as exc:
            raise self.explain(exc) from exc
        if config.get("appendonly") != "yes":
            return "memory"
        return {"always": "durable", "everysec": "fast"}.get(str(config["appendfsync"]), "memory")

    async def guarded(self, call: Awaitable[Any]) -> Any:
        """Await a redis-py call; its errors become ours, each with one line."""
        try:
            return await honour(call)
        except (RedisError, *LOST) as exc:
            raise self.explain(exc) from exc

    def explain(self, exc: BaseException) -> PeriscopeError:
        """One of our errors for one of redis-py's; ours pass unchanged."""
        if isinstance(exc, PeriscopeError):
            return exc
        for kinds, make in _EXPLANATIONS:
            if isinstance(exc, kinds):
                return make(exc, self.shown_url)
        if isinstance(exc, ResponseError):
            return _explain_reply(exc, self.shown_url)
        return BugError(f"unexpected {type(exc).__name__} from {self.shown_url}: {exc}")


def _unavailable(exc: BaseException, url: str) -> PeriscopeError:
    reason = str(exc).rstrip(".") or type(exc).__name__
    return StoreUnavailable(f"cannot reach the server at {url}: {reason}")


def _needs_password(exc: BaseException, url: str) -> PeriscopeError:
    return StoreUnsuitable(
        f"the server at {url} refuses these credentials ({exc}); "
        "give them as redis://user:password@host"
    )


def _full(exc: BaseException, url: str) -> PeriscopeError:
    return StoreFull(
        f"the server at {url} is out of memory; the write was refused whole: "
        "raise its maxmemory, or remove threats"
    )


def _replica(exc: BaseException, url: str) -> PeriscopeError:
    return StoreUnsuitable(f"the server at {url} is a read-only replica; give its primary")


_Explain = Callable[[BaseException, str], PeriscopeError]

# In this order: redis-py derives some of the later classes from the earlier ones' parents.
_EXPLANATIONS: tuple[tuple[Any, _Explain], ...] = (
    ((AuthenticationError, AuthorizationError), _needs_password),
    (OutOfMemoryError, _full),
    (ReadOnlyError, _replica),
    (BusyLoadingError, _unavailable),
    (LOST, _unavailable),
)

_REPLY_EXPLANATIONS: dict[str, Callable[[str, str], StoreError]] = {
    "NOAUTH": lambda text, url: StoreUnsuitable(
        f"the server at {url} needs a password; give it as redis://user:password@host"
    ),
    "NOPERM": lambda text, url: StoreUnsuitable(f"the user of {url} lacks a permission: {text}"),
    "MISCONF": lambda text, url: StoreFull(
        f"the server at {url} cannot write to its disk: {text}; free some space there"
    ),
    "OOM": lambda text, url: StoreFull(
        f"the server at {url} is out of memory; the write was refused whole: "
        "raise its maxmemory, or remove threats"
    ),
    "WRONGTYPE": lambda text, url: StoreDamaged(
        f"a key at {url} is not of the type Periscope gave it; nothing was written: "
        "is something else using this namespace?"
    ),
    "AUDIT_FULL": lambda text, url: AuditFull(
        f"the audit trail at {url} is full ({text}), so nothing was recorded: "
        "run `periscope worker`, which moves it into the archive"
    ),
    "MOVING": lambda text, url: Moving(f"the database at {url} {text}"),
    "OUT_OF_ORDER": lambda text, url: StoreError(f"not stored at {url}: {text}"),
    "ERR": lambda text, url: (
        StoreUnsuitable(f"the server at {url} has no such database number")
        if "DB index" in text
        else StoreError(f"the server at {url} refused: {text}")
    ),
    "DAMAGED": lambda text, url: StoreDamaged(
        f"the data at {url} is damaged ({text}); nothing was written: see `periscope ledger --deep`"
    ),
    "NEWER_FORMAT": lambda text, url: StoreUnsuitable(
        f"the data at {url} was written by a newer Periscope ({text}); update this program"
    ),
}


def _explain_reply(exc: ResponseError, url: str) -> PeriscopeError:
    code, _, text = str(exc).partition(" script: ")[0].partition(" ")  # less the server's trace
    code = (exc.status_code or code) if hasattr(exc, "status_code") else code
    make = _REPLY_EXPLANATIONS.get(code)
    if make is not None:
        return make(text, url)
    return BugError(f"unexpected reply from the server at {url}: {exc}")


def _pool(url: str, settings: Settings, connections: int) -> BlockingConnectionPool:
    try:
        return BlockingConnectionPool.from_url(
            _redis_url(url),
            max_connections=connections,
            timeout=None,
            socket_connect_timeout=settings.connect_timeout_s,
            socket_timeout=settings.call_timeout_s,
            health_check_interval=0,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            client_name="periscope",
            **({} if url.startswith("unix:") else {"socket_keepalive": True}),
        )
    except (ValueError, TypeError, KeyError) as exc:
        raise SettingInvalid(f"the URL cannot be used: {exc}") from None


def _redis_url(url: str) -> str:
    parts = urlsplit(url)
    scheme = parts.scheme
    if parts.query or parts.fragment:
        raise SettingInvalid("the URL cannot be used: options after ? or # are not known")
    if scheme == "unix":
        return url
    if scheme in SCHEMES and not re.fullmatch(r"/?\d*", parts.path):
        raise SettingInvalid(f"the URL cannot be used: no database number: {parts.path[:40]!r}")
    if scheme not in SCHEMES:
        raise SettingInvalid(
            f"cannot use a URL of scheme {scheme or 'none'!r}: "
            "give redis://, rediss://, valkey://, valkeys:// or unix://"
        )
    return SCHEMES[scheme] + url.removeprefix(scheme)


def _kind_and_version(info: dict[str, Any]) -> tuple[str, str]:
    if "valkey_version" in info:
        return "valkey", str(info["valkey_version"])
    return "redis", str(info["redis_version"])


def _check_version(info: dict[str, Any], url: str) -> None:
    kind, version = _kind_and_version(info)
    oldest = OLDEST[kind]
    if tuple(int(part) for part in version.split(".")[:2]) < oldest:
        needed = ".".join(map(str, oldest))
        raise StoreUnsuitable(
            f"the server at {url} is {kind} {version}; Periscope needs {kind} {needed} or newer"
        )


def _check_role(info: dict[str, Any], url: str) -> None:
    if int(info.get("cluster_enabled", 0)):
        raise StoreUnsuitable(
            f"the server at {url} is part of a cluster, which this version cannot use yet"
        )
    if info.get("role") == "slave":
        raise _replica(StoreUnsuitable(), url)


def _check_eviction(info: dict[str, Any], url: str) -> None:
    policy = info.get("maxmemory_policy", "noeviction")
    if int(info.get("maxmemory", 0)) and policy != "noeviction":
        raise StoreUnsuitable(
            f"the server at {url} evicts keys when full (maxmemory-policy {policy}), which loses "
            "threats; set maxmemory-policy to noeviction"
        )
