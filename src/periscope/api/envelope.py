"""Around every request: its id, its time, the headers of all answers, an answer in any case."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Callable
from random import getrandbits
from typing import Any

from litestar.exceptions import LitestarException
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from periscope.api.problems import answer, tell

log = logging.getLogger("periscope.api.requests")

GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}\Z")
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
SERVER = (b"server", b"periscope")
PRIVATE = (b"cache-control", b"no-store")
ONLY_TLS = (b"strict-transport-security", b"max-age=31536000")
LINGER_S = 5.0
"""So long what a refused sender still sends is read, and thrown away."""

Observe = Callable[[Any, str, str, int, float], None]
"""Called with the caller (None: unknown), route, method, status and seconds of each request that
ended.
"""


class Envelope:
    """The outermost ASGI application.

    Routes are looked up by the path as it was sent, so that an id may hold a slash as %2F; handlers
    decode what is theirs.
    """

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self._app = app
        self._observe = observe
        self.draining = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._in_hand = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Wait until no request is in hand."""
        await self._idle.wait()

    def give_up(self) -> None:
        """Cut off what is in hand, and what is still being read behind an answer."""
        for task in self._tasks:
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._tasks.add(task)
        try:
            await _Request(self, scope, receive, send).serve(self._app)
        finally:
            self._tasks.discard(task)

    def begin(self) -> None:
        """Count a request that began."""
        self._in_hand += 1
        self._idle.clear()

    def ended(self, request: _Request) -> None:
        """Count and log a request that ended: it is answered."""
        self._in_hand -= 1
        if not self._in_hand:
            self._idle.set()
        one = request
        self._observe(one.caller, one.route, one.method, one.status, one.seconds)
        if log.isEnabledFor(logging.INFO):
            _log(one)


class _Request:
    """One request on its way through."""

    def __init__(self, envelope: Envelope, scope: Any, receive: Receive, send: Send) -> None:
        self._envelope = envelope
        self._scope = scope
        self._receive = receive
        self._send = send
        self._began = time.perf_counter()
        self._is_read = not _has_body(scope)
        self.method = str(scope["method"])
        self.status = 0
        self.id = _id_of(scope)
        state = dict(scope.get("state") or {})
        state["request_id"] = self.id
        scope["state"] = state
        raw = scope.get("raw_path")
        if raw:
            scope["path"] = bytes(raw).partition(b"?")[0].decode("latin-1")

    @property
    def seconds(self) -> float:
        """How long it has taken until now."""
        return time.perf_counter() - self._began

    @property
    def route(self) -> str:
        """The route's template, so that metrics and logs hold no ids."""
        return str(self._scope.get("path_template") or "unmatched")

    @property
    def caller(self) -> Any:
        """Who asked; None if that is not known."""
        return self._scope["state"].get("caller")

    async def serve(self, app: ASGIApp) -> None:
        self._envelope.begin()
        try:
            await app(self._scope, self._take, self._pass_on)
        except Exception as exc:  # whatever it was, the client gets an answer
            await self._fail(_raised(exc))
        finally:
            self._envelope.ended(self)
        if not self._is_read:
            await self._linger()

    async def _linger(self) -> None:
        """Read what is still coming of a body that was answered before its end.

        Closing on it would reset the connection, and that may destroy the answer on its way.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while not self._is_read:
                    await self._take()

    async def _fail(self, exc: Exception) -> None:
        status, headers, body = answer(exc, self.id)
        tell(exc, status, self.id)
        if self.status:
            raise exc  # the answer has begun: all that is left is to cut it off
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self._pass_on({"type": "http.response.start", "status": status, "headers": pairs})
        await self._pass_on({"type": "http.response.body", "body": body, "more_body": False})

    async def _take(self) -> Any:
        message = await self._receive()
        self._is_read = self._is_read or not message.get("more_body")
        return message

    async def _pass_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self._more(message["headers"])]
        await self._send(message)

    def _more(self, given: Any) -> list[tuple[bytes, bytes]]:
        names = {bytes(name).lower() for name, _ in given}
        more = [pair for pair in (*HEADERS, PRIVATE, SERVER) if pair[0] not in names]
        more.append((b"x-request-id", self.id.encode()))
        if self._scope.get("scheme") == "https":
            more.append(ONLY_TLS)
        if self._envelope.draining or not self._is_read:
            # Behind a body that nobody reads the server cuts the connection: nobody should use it.
            more.append((b"connection", b"close"))
        return more


def _raised(exc: Exception) -> Exception:
    """Return what was raised: once the answer has begun, Litestar puts something around it."""
    cause = exc.__cause__
    return cause if type(exc) is LitestarException and isinstance(cause, Exception) else exc


def _log(request: _Request) -> None:
    """Log a request: `log.info` would look up who calls it, for a fifth of what a request costs."""
    caller = request.caller
    told: dict[str, Any] = {
        "request_id": request.id,
        "route": request.route,
        "method": request.method,
        "status": request.status,
        "seconds": round(request.seconds, 6),
        "caller": "" if caller is None else caller.who,
        "tenant": "" if caller is None else caller.tenant.name,
    }
    words = (request.method, request.route, request.status)
    record = log.makeRecord(
        log.name, logging.INFO, __file__, 0, "%s %s %d", words, None, extra=told
    )
    log.handle(record)


def _has_body(scope: Any) -> bool:
    """Say whether the client announces a body."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _id_of(scope: Any) -> str:
    """The id that a client or proxy gave, if it is a plain one; else one of our own."""
    for name, value in scope["headers"]:
        if bytes(name).lower() == b"x-request-id" and GIVEN_ID.match(bytes(value)):
            return bytes(value).decode()
    return f"{getrandbits(64):016x}"
