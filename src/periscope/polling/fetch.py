"""One guarded request after another: bounded in place, size and time, and written to a file.

A `Client` lasts as long as the program and holds nothing. A `Fetcher` is for one run of one feed:
it has the connections, the judged addresses, and the credentials, which belong to the origin of
the feed's URL and are never sent to another one.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from periscope.errors import FeedError, FetchFailed, FetchRefused
from periscope.feeds.inputs import Input
from periscope.polling.answers import REDIRECTS, TAKEN, refusal
from periscope.polling.document import FetchOptions
from periscope.polling.guard import (
    Guard,
    Lookup,
    PinnedResolver,
    check_url,
    origin,
    read_url,
    shown,
    system_lookup,
)

MAX_REDIRECTS = 5
PIECE_BYTES = 64 * 1024
SILENCE_S = 30.0
MAX_LINE_BYTES = 8_190
MAX_HEADERS = 128
PACKED = ("gzip", "x-gzip", "zstd")
"""Encodings that readers of feeds unpack themselves, with their own limits on bombs."""
NO_BODY = (204, 304)


@dataclass
class Fetched:
    """An answer, whole: its body in a file without a name, at its start."""

    url: URL
    status: int
    headers: CIMultiDictProxy[str]
    file: BinaryIO
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """What messages call it."""
        return shown(self.url)


class Client:
    """Makes fetchers. It holds no connection and no secret, and need not be closed."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._trusted: ssl.SSLContext | None = None

    @asynccontextmanager
    async def fetcher(self, place: str, options: FetchOptions) -> AsyncIterator[Fetcher]:
        """Give a fetcher for one run of the feed at `place`.

        Raises:
            FetchRefused: the URL cannot be used.
            FeedError: `allow` or the authorities cannot be used.

        """
        url = read_url(place)
        check_url(url)
        guard = Guard(options.allow, self._lookup)
        connector = aiohttp.TCPConnector(
            ssl=await self._tls(options),
            resolver=PinnedResolver(guard),
            use_dns_cache=False,
            socket_factory=guard.open_socket,
        )
        async with aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=_silence(options),
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
        ) as session:
            yield Fetcher(url, options, guard, session)

    async def _tls(self, options: FetchOptions) -> ssl.SSLContext:
        """Return whom to trust; the system's authorities are read once: it takes 50 ms."""
        if options.ca_file is not None:
            return await asyncio.to_thread(_tls, options.ca_file)
        if self._trusted is None:
            self._trusted = await asyncio.to_thread(_tls, None)
        return self._trusted


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise FeedError(f"{ca_file}: no file of authorities: {exc.strerror}") from None


def _silence(options: FetchOptions) -> aiohttp.ClientTimeout:
    silence_s = min(SILENCE_S, options.timeout_s)
    return aiohttp.ClientTimeout(sock_connect=silence_s, sock_read=silence_s)


class Fetcher:
    """Fetches for one run of one feed, one URL at a time."""

    def __init__(
        self, place: URL, options: FetchOptions, guard: Guard, session: aiohttp.ClientSession
    ) -> None:
        self.place = place
        self._options = options
        self._guard = guard
        self._session = session
        self._origin = origin(place)

    async def get(
        self, url: URL, headers: Mapping[str, str] | None = None, max_bytes: int | None = None
    ) -> Fetched:
        """Fetch `url`, whole: status 200, 203, 204 or 304; the caller closes its file.

        At most five redirects are followed, each judged as the first URL is. Credentials go with
        requests to the origin of the feed's URL only, and with none after a redirect elsewhere.

        Raises:
            FetchRefused: it leads to where no feed may lead.
            FetchFailed: it failed in a way that may pass: no connection, cut, silent, 5xx, 429.
            FeedError: it failed in another way: 4xx, too large, no HTTP.

        """
        limit = min(max_bytes or self._options.max_bytes, self._options.max_bytes)
        try:
            async with asyncio.timeout(self._options.timeout_s):
                return await self._follow(url, dict(headers or {}), limit)
        except TimeoutError:
            raise FetchFailed(
                f"{shown(url)}: not answered whole within {self._options.timeout_s:g} s; "
                "it may be slow: raise timeout, or lower the size of what is asked for"
            ) from None

    async def _follow(self, url: URL, headers: dict[str, str], limit: int) -> Fetched:
        trusted = True
        for _ in range(MAX_REDIRECTS + 1):
            trusted = trusted and origin(url) == self._origin
            await self._admit(url, trusted)
            with _told(url):
                async with self._session.get(
                    url, headers=self._sent(headers, trusted), allow_redirects=False
                ) as response:
                    if response.status not in REDIRECTS:
                        where = self._place_of(url, trusted)
                        return await self._taken(where, url, response, limit)
                    target = _redirected(url, response)
            url = target
        raise FeedError(f"{shown(url)}: redirected more than {MAX_REDIRECTS} times; check the URL")

    async def _admit(self, url: URL, trusted: bool) -> None:
        if url.scheme == "http" and self._origin[0] == "https":
            raise FetchRefused(f"{shown(url)}: leads from https to http, where anybody can listen")
        await self._guard.admit(url)
        if trusted and url.scheme == "http" and self._options.has_secrets:
            self._refuse_in_clear(url)

    def _refuse_in_clear(self, url: URL) -> None:
        if not self._guard.permits(url):
            raise FetchRefused(
                f"{shown(url)}: its credentials would travel in the clear; use https, or name the "
                "host in allow"
            )

    def _sent(self, headers: dict[str, str], trusted: bool) -> CIMultiDict[str]:
        sent = CIMultiDict(headers)
        sent["Accept-Encoding"] = "identity"
        sent["User-Agent"] = "periscope"
        if trusted:
            sent.update(self._options.headers)
            sent.update(_login(self._options))
        return sent

    def _place_of(self, url: URL, trusted: bool) -> str:
        if trusted or not self._options.has_secrets:
            return shown(url)
        return (
            f"{shown(url)} (asked without credentials, since the feed's URL is of another origin)"
        )

    async def _taken(
        self, where: str, url: URL, response: aiohttp.ClientResponse, limit: int
    ) -> Fetched:
        if response.status not in TAKEN:
            raise refusal(where, response.status, response.headers)
        _refuse_encoding(url, response)
        _refuse_declared(url, response, limit)
        file = self._spool()
        try:
            return await self._kept(url, response, limit, file)
        except BaseException:
            file.close()
            raise

    def _spool(self) -> BinaryIO:
        try:
            return cast(
                BinaryIO,
                tempfile.TemporaryFile(prefix="periscope-fetch-", dir=self._options.spool_dir),
            )
        except OSError as exc:
            raise FetchFailed(f"{exc.filename}: cannot be written: {exc.strerror}") from None

    async def _kept(
        self, url: URL, response: aiohttp.ClientResponse, limit: int, file: BinaryIO
    ) -> Fetched:
        digest, size = hashlib.sha256(), 0
        if response.status not in NO_BODY:
            async for piece in response.content.iter_chunked(PIECE_BYTES):
                size += len(piece)
                if size > limit:
                    raise _too_large(url, limit)
                digest.update(piece)
                _write(file, piece)
        file.seek(0)
        return Fetched(url, response.status, response.headers, file, size, digest.hexdigest())


async def contents(found: Fetched, max_bytes: int) -> bytes:
    """Return the whole body, unpacked, and close its file; for what is known to be small.

    Raises:
        FeedError: it is larger than `max_bytes`, or damaged.

    """
    with found.file as file:
        try:
            source = Input.open(file, max_bytes=max_bytes)
            return await asyncio.to_thread(lambda: b"".join(source.chunks()))
        except FeedError:
            raise FeedError(
                f"{found.name}: larger than {max_bytes:,} bytes unpacked, or damaged"
            ) from None


def _write(file: BinaryIO, piece: bytes) -> None:
    try:
        file.write(piece)
    except OSError as exc:
        raise FetchFailed(f"what is fetched cannot be kept: {exc.strerror}") from None


def _login(options: FetchOptions) -> dict[str, str]:
    if options.token is not None:
        return {"Authorization": f"Bearer {options.token}"}
    if options.username is not None:
        login = f"{options.username}:{options.password or ''}".encode()
        return {"Authorization": f"Basic {base64.b64encode(login).decode()}"}
    return {}


def _redirected(url: URL, response: aiohttp.ClientResponse) -> URL:
    """Return where a redirect leads; it is judged before it is followed."""
    location = response.headers.get("Location")
    if not location:
        raise FeedError(f"{shown(url)}: redirects ({response.status}) without saying where to")
    try:
        return url.join(read_url(location)).with_fragment(None)
    except (FetchRefused, ValueError):
        raise FetchRefused(f"{shown(url)}: redirects to what is not a valid URL") from None


def _refuse_encoding(url: URL, response: aiohttp.ClientResponse) -> None:
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity", *PACKED):
        raise FeedError(
            f"{shown(url)}: sent in a Content-Encoding that was not asked for and is not read; "
            "only gzip and zstd are"
        )


def _refuse_declared(url: URL, response: aiohttp.ClientResponse, limit: int) -> None:
    if (response.content_length or 0) > limit:
        raise _too_large(url, limit)


def _too_large(url: URL, limit: int) -> FeedError:
    return FeedError(
        f"{shown(url)}: larger than the limit of {limit:,} bytes; raise max_bytes if that is meant"
    )


@contextmanager
def _told(url: URL) -> Iterator[None]:
    """Say in our words what went wrong on the way; nothing of the peer's text is repeated."""
    try:
        yield
    except (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError):
        raise FeedError(
            f"{shown(url)}: its certificate is not trusted, or is not of this host; if it is of an "
            "authority of your own, name that one's file"
        ) from None
    except aiohttp.ClientSSLError:
        raise FetchFailed(f"{shown(url)}: no TLS connection; is it https at all?") from None
    except aiohttp.ClientConnectorError as exc:
        reason = exc.os_error.strerror or "no connection"
        raise FetchFailed(f"{shown(url)}: cannot be reached: {reason}") from None
    except aiohttp.ClientPayloadError:
        raise FetchFailed(f"{shown(url)}: cut off before its end") from None
    except (aiohttp.ClientResponseError, aiohttp.InvalidURL):
        raise FetchFailed(f"{shown(url)}: what answers there does not speak HTTP") from None
    except aiohttp.ServerTimeoutError:
        raise FetchFailed(f"{shown(url)}: silent for {SILENCE_S:g} s or more") from None
    except (aiohttp.ClientError, OSError):
        raise FetchFailed(f"{shown(url)}: the connection was cut") from None
