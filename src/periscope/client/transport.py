"""Requests and answers: one connection pool, one place where failures become errors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
from yarl import URL

from periscope.client.patience import Patience
from periscope.client.problems import (
    ApiProblem,
    RateLimited,
    ServiceUnavailable,
    Unreachable,
    problem_of,
    unreachable,
    untrusted,
)
from periscope.errors import UsageError

T = TypeVar("T")
JSON = "application/json"
NDJSON = "application/x-ndjson"
_DOTS = {".": "%2E", "..": "%2E%2E"}
CONNECT_S = 10.0
ENDS = aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError
"""Failures before anything was sent."""
_PASSING = RateLimited, ServiceUnavailable, Unreachable


class Call(NamedTuple):
    """One request. `is_repeatable`: carried out twice it is as if it had been once."""

    method: str
    path: str
    query: Mapping[str, Any] = {}
    body: bytes | None = None
    media_type: str = JSON
    headers: Mapping[str, str] = {}
    is_repeatable: bool = True


class Answer(NamedTuple):
    """An answer that is no error."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Sends requests to one service, and repeats those that may be repeated.

    The key goes to the service's own address only: redirects are not followed, and no proxy of the
    environment is used.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        timeout_s: float,
        retry_s: float,
        tls: ssl.SSLContext | None,
        connections: int,
        is_insecure: bool,
    ) -> None:
        self.url = checked(url, key, is_insecure=is_insecure)
        self.retry_s = retry_s
        self._timeout_s = timeout_s
        self._key = key
        self._tls = tls
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        if self._session is not None:
            await self._session.close()

    async def send(self, call: Call, timeout_s: float | None = None) -> Answer:
        """Send a request, again while that is safe and may help; return its answer.

        Raises:
            ApiProblem: what the service answered, or that it did not.
        """
        patience = Patience(self.retry_s)
        while True:
            try:
                return await self.once(call, timeout_s)
            except _PASSING as exc:
                if not (call.is_repeatable or exc.is_certain):
                    raise
                await patience.bear(exc)

    async def read(self, call: Call, shape: type[T], timeout_s: float | None = None) -> T:
        """Send a request; return its answer in its shape.

        Raises:
            ApiProblem: as `send`; or what was answered has another shape.
        """
        answer = await self.send(call, timeout_s)
        try:
            return msgspec.json.decode(answer.body, type=shape)
        except msgspec.MsgspecError as exc:
            raise unreachable(f"the answer is not as expected: {exc}", is_certain=False) from None

    async def once(self, call: Call, timeout_s: float | None = None) -> Answer:
        """Send a request a single time; return its answer, which may take `timeout_s`.

        Raises:
            ApiProblem: what the service answered, or that it did not.
        """
        async with self.open(call, timeout_s or self._timeout_s) as response, _told_apart():
            body = await response.read()
        return Answer(response.status, response.headers, body)

    @asynccontextmanager
    async def open(
        self, call: Call, total_s: float | None, silence_s: float | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; give its answer before its body was read.

        Raises:
            ApiProblem: what the service answered, or that it did not.
        """
        timeout = aiohttp.ClientTimeout(total_s, sock_connect=CONNECT_S, sock_read=silence_s)
        async with _told_apart():
            response = await self._opened().request(
                call.method,
                URL(self.url + call.path, encoded=True),
                params=_query(call.query),
                data=call.body,
                headers=self._headers(call),
                timeout=timeout,
                allow_redirects=False,
            )
        async with response:
            if response.status >= 300:
                async with _told_apart():
                    raise problem_of(response.status, response.headers, await response.read())
            yield response

    async def stream(self, call: Call, silence_s: float) -> AsyncGenerator[bytes, None]:
        """Send a request; give its answer part by part, for as long as none is silent for so long.

        Raises:
            ApiProblem: what the service answered; or the answer broke off.
        """
        async with self.open(call, None, silence_s) as response, _told_apart():
            async for part in response.content.iter_any():
                yield part

    def _headers(self, call: Call) -> dict[str, str]:
        headers = {"Accept": f"{JSON}, */*", **call.headers}
        if call.body is not None:
            headers["Content-Type"] = call.media_type
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        return headers

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            tls = True if self._tls is None else self._tls
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=tls),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


def checked(url: str, key: str | None, *, is_insecure: bool) -> str:
    """Return the address of a service without its last slash.

    Raises:
        UsageError: it is none, holds a password, or would carry the key in the clear.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("url: give the address of a service, like https://periscope.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError("url: only scheme, host, port and path; the key is given as key=")
    if parts.scheme == "http" and key and not is_insecure and not _is_loopback(parts.hostname):
        raise UsageError("url: over http the key could be read on the way; use https, or insecure")
    return url.rstrip("/")


def segment(text: str) -> str:
    """Return text as one segment of a path, whatever is in it."""
    return _DOTS.get(text) or quote(text, safe="")


def _query(given: Mapping[str, Any]) -> dict[str, str | list[str]]:
    return {
        name: [_text(one) for one in value] if isinstance(value, list | tuple) else _text(value)
        for name, value in given.items()
        if value is not None
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@asynccontextmanager
async def _told_apart() -> AsyncIterator[None]:
    """Make one error of all ways in which no answer comes."""
    try:
        yield
    except ApiProblem:
        raise
    except aiohttp.ClientConnectorCertificateError as exc:  # waiting does not mend that
        raise untrusted(f"the certificate is not trusted: {exc.certificate_error}") from exc
    except ENDS as exc:
        raise unreachable(_told(exc), is_certain=True) from exc
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        raise unreachable(_told(exc), is_certain=False) from exc


def _told(exc: BaseException) -> str:
    if isinstance(exc, asyncio.TimeoutError):
        return "no answer in time"
    return f"{type(exc).__name__}: {exc}"
