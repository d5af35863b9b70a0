"""The service as a process: opened, listening, drained, closed, all in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self, cast

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from periscope.api.app import create_app
from periscope.api.tenants import Jobs, Tenants
from periscope.errors import SettingInvalid
from periscope.settings import Settings

log = logging.getLogger("periscope.api")

HEADERS_TIMEOUT_MS = 10_000
BUFFER_BYTES = 64 * 1024
"""Of a connection: the longest headers that are read, and what an answer may be ahead."""
SEND_BUFFER_BYTES = 64 * 1024
"""The kernel's, of a connection: what a client that does not read can make us keep."""
UNREAD_MS = 30_000
"""So long a client may leave unread what was sent to it."""
MORE_CONNECTIONS = 1000
"""Beside event streams; those that come after them wait to be accepted."""
BACKLOG = 2048
NOTICE_S = 0.2
"""Time in which whoever asks for readiness may learn that it ended, before anything is refused."""
POLL_S = 0.02
END_S = 1.0
"""Time for connections to end once nothing is in hand: half a request may be on one of them."""


class Service:
    """The API of all tenants. Use as `async with Service(settings) as service:`.

    `jobs` makes the workers that run beside it, unless the setting serve_workers is off.
    """

    def __init__(self, settings: Settings, jobs: Jobs | None = None) -> None:
        check_listening(settings)
        self._jobs = jobs
        self.settings = settings
        self.tenants = Tenants(settings)
        self.port = settings.serve_port
        self._stack = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        """Where it listens."""
        scheme = "https" if self.settings.serve_certificate else "http"
        host = self.settings.serve_host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def start(self) -> Self:
        """Open every tenant, then listen.

        Raises:
            SettingInvalid: it may not, or cannot, listen there.
            StoreError: a database cannot be opened.
        """
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def _start(self) -> None:
        sock = listening_socket(self.settings)  # first: a port that is taken is told at once
        self._stack.callback(sock.close)
        await self.tenants.start(self._jobs)
        self._stack.push_async_callback(self.tenants.close)
        self._app = create_app(self.tenants)
        self.port = int(sock.getsockname()[1])
        self._server = _server(self._app, self.settings, sock)
        self._serving = asyncio.create_task(self._server.serve(), name="periscope-http")
        self._stack.push_async_callback(self._stop_listening)
        await self._until_listening()
        log.info("listening on %s", self.url)

    async def close(self) -> None:
        """End: readiness false first, then what is in hand is finished, then all is closed."""
        await asyncio.shield(self._close())

    async def _close(self) -> None:
        self._app.draining = True
        await asyncio.sleep(NOTICE_S)
        self.tenants.end_streams()
        self._server.stop()  # type: ignore[no-untyped-call]  # who comes now is refused, not cut off
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.serve_drain_s):
                await self._app.idle()
        self._app.give_up()
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _stop_listening(self) -> None:
        """Close the listener; what will not end by itself is not waited for beyond a second."""
        self._server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait({self._serving}, timeout=END_S)
        self._serving.cancel()
        await asyncio.wait({self._serving})

    async def _until_listening(self) -> None:
        while True:
            if self._serving.done():
                self._serving.result()
                raise SettingInvalid(f"cannot listen on {self.url}")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(self.settings.serve_host, self.port)
                writer.close()
                return
            await asyncio.sleep(POLL_S)


def check_listening(settings: Settings) -> None:
    """Refuse a certificate that is none, and to send keys in the clear unless told to.

    Raises:
        SettingInvalid: says what to do.
    """
    if bool(settings.serve_certificate) != bool(settings.serve_certificate_key):
        raise SettingInvalid("settings serve_certificate and serve_certificate_key go together")
    if settings.serve_certificate and settings.serve_certificate_key:
        _check_certificate(settings.serve_certificate, settings.serve_certificate_key)
        return
    if settings.serve_insecure or is_loopback(settings.serve_host):
        return
    raise SettingInvalid(
        f"setting serve_host: {settings.serve_host} is not loopback, and there is no TLS: keys and "
        "threats could be read on the way. Give serve_certificate and serve_certificate_key; or, "
        "behind a proxy that has TLS, set serve_insecure"
    )


def _check_certificate(certificate: str, key: str) -> None:
    """Refuse files that TLS cannot be spoken with, before anything is opened."""
    for name, place in (("serve_certificate", certificate), ("serve_certificate_key", key)):
        try:
            Path(place).read_bytes()
        except OSError as exc:
            raise SettingInvalid(f"setting {name}: {place}: {exc.strerror}") from None
    try:
        # A key that is locked would be asked for at the terminal; granian has no word for it.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            certificate, key, password=lambda: ""
        )
    except (ssl.SSLError, ValueError):
        raise SettingInvalid(
            f"settings serve_certificate and serve_certificate_key: {certificate} and {key} are "
            "not a certificate and the key of it, both PEM, the key without a password"
        ) from None


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _Server(Server):
    """granian in our own event loop, on a socket of our own.

    With its own it would share the port with whoever listens there already, and take half of their
    connections without a word.
    """

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._own = sock

    def _init_shared_socket(self) -> None:
        self._shd: Any = cast(Any, SocketHolder)(self._own.detach(), False, self.backlog)


def _server(app: Any, settings: Settings, sock: socket.socket) -> Server:
    certificate, key = settings.serve_certificate, settings.serve_certificate_key
    return _Server(
        sock,
        app,
        address=settings.serve_host,
        port=int(sock.getsockname()[1]),
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=settings.serve_streams + MORE_CONNECTIONS,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADERS_TIMEOUT_MS, max_buffer_size=BUFFER_BYTES
        ),
        log_enabled=False,
        ssl_cert=Path(certificate) if certificate else None,
        ssl_key=Path(key) if key else None,
    )


def listening_socket(settings: Settings) -> socket.socket:
    """Return a socket that is bound where the settings say, and to nobody else.

    Raises:
        SettingInvalid: there is no such address here, or somebody else has the port.
    """
    host, port = settings.serve_host, settings.serve_port
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # a frozen reader's connection ends with its stream
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
    try:
        sock.bind((host, port))
    except OSError as exc:
        sock.close()
        raise SettingInvalid(f"cannot listen on {host}:{port}: {exc.strerror}") from None
    return sock
