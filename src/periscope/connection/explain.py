"""What redis-py raises, as our own errors: each with one line that says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    InvalidResponse,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from periscope.errors import (
    AuditFull,
    BugError,
    Moving,
    PeriscopeError,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StoreUnsuitable,
    UsageError,
)

# Connection lost, no answer in time, or no protocol: whether a call was carried out is unknown.
LOST = (RedisConnectionError, RedisTimeoutError, InvalidResponse, OSError, asyncio.TimeoutError)
# The server did nothing, because somebody else is or will be in charge of these keys.
ELSEWHERE = (AskError, ClusterDownError, ReadOnlyError)  # a MOVED is an AskError as well


def is_moving(exc: BaseException) -> bool:
    """Are the keys of this call on two servers just now? Nothing was done; it passes by itself.

    The second form comes out of a function that reads records it did not declare.
    """
    return isinstance(exc, TryAgainError) or "non local key" in str(exc)


def is_short_of_replicas(exc: BaseException) -> bool:
    """Did the server refuse a write because too few replicas follow it (min-replicas-to-write)?"""
    return isinstance(exc, ResponseError) and str(exc).startswith("NOREPLICAS")


def is_busy(exc: BaseException) -> bool:
    """Did the server refuse because somebody's script holds it up? It passes by itself."""
    return isinstance(exc, ResponseError) and str(exc).startswith("BUSY ")


def explain(exc: BaseException, url: str) -> PeriscopeError:
    """One of our errors for one of redis-py's; ours pass unchanged."""
    if isinstance(exc, PeriscopeError):
        return exc
    for kinds, make in _EXPLANATIONS:
        if isinstance(exc, kinds):
            return make(exc, url)
    if isinstance(exc, ResponseError):
        return _explain_reply(exc, url)
    return BugError(f"unexpected {type(exc).__name__} from {url}: {exc}")


def _unavailable(exc: BaseException, url: str) -> PeriscopeError:
    reason = str(exc).rstrip(".") or type(exc).__name__
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return _distrusted(reason, url)
    return StoreUnavailable(f"cannot reach the server at {url} ({reason}): try again once it is up")


def _distrusted(reason: str, url: str) -> PeriscopeError:
    """The server's certificate is not one that we can trust; OpenSSL's words say why."""
    why = reason.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or reason
    help_ = "see setting tls_check_hostname" if "mismatch" in why else "is its CA that of tls_ca?"
    return StoreUnsuitable(f"the certificate of the server at {url} is refused: {why}; {help_}")


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


def _moving(exc: BaseException, url: str) -> PeriscopeError:
    return StoreUnavailable(
        f"the cluster at {url} is moving these threats, or electing another primary for them; "
        "nothing was done: try again"
    )


def replica(exc: BaseException, url: str) -> PeriscopeError:
    """The error for a server that only follows another one."""
    return StoreUnsuitable(f"the server at {url} is a read-only replica; give its primary")


_Explain = Callable[[BaseException, str], PeriscopeError]

# In this order: redis-py derives some of the later classes from the earlier ones' parents.
_EXPLANATIONS: tuple[tuple[Any, _Explain], ...] = (
    ((AuthenticationError, AuthorizationError), _needs_password),
    (OutOfMemoryError, _full),
    (ReadOnlyError, replica),
    (BusyLoadingError, _unavailable),
    ((ClusterDownError, AskError, TryAgainError), _moving),
    (LOST, _unavailable),
)

_REPLY_EXPLANATIONS: dict[str, Callable[[str, str], PeriscopeError]] = {
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
    "NOREPLICAS": lambda text, url: StoreUnavailable(
        f"too few replicas follow the server at {url}, so it refuses writes: "
        "see its setting min-replicas-to-write"
    ),
    "BUSY": lambda text, url: StoreUnavailable(
        f"the server at {url} is held up by somebody's script; nothing was done: try again"
    ),
    "MOVING": lambda text, url: Moving(f"the database at {url} {text}"),
    "TOO_MANY_FEEDS": lambda text, url: UsageError(
        f"the database at {url} has {text} feeds, which is the most: remove one first"
    ),
    "OUT_OF_ORDER": lambda text, url: StoreError(f"not stored at {url}: {text}"),
    "ERR": lambda text, url: (
        StoreUnsuitable(f"the server at {url} has no such database number")
        if "index is out of range" in text
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
