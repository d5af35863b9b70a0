"""Addresses, keys, certificates and answers that are none of the service's."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme

from periscope.client import (
    ApiProblem,
    Client,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    Unreachable,
)
from periscope.client.problems import pause_of, problem_of
from periscope.errors import PeriscopeError, UsageError
from tests.api.conftest import Served
from tests.support.patience import BUSY_S


@pytest.mark.parametrize(
    "url",
    ["", "ftp://x", "https://", "https://me:secret@x", "https://x/?a=b", "http://example.com"],
)
def test_addresses_that_cannot_be_used(url: str) -> None:
    with pytest.raises(UsageError, match="url: ") as caught:
        Client(url, "psk_secret")
    assert "secret" not in str(caught.value)


def test_a_key_goes_in_the_clear_only_where_one_says_so() -> None:
    for url in ("http://127.0.0.1:1", "http://[::1]:1", "http://localhost", "https://example.com"):
        assert "psk" not in repr(Client(url, "psk_secret"))
    Client("http://example.com", "psk_secret", insecure=True)
    Client("http://example.com")


@asynccontextmanager
async def answering(answer: bytes, met: list[bytes]) -> AsyncIterator[str]:
    """Something that is no Periscope answers every request with the same bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


async def test_what_a_proxy_says_is_told_apart_and_its_page_is_not_shown() -> None:
    page = b"<html>nginx <script>alert(1)</script></html>"
    met: list[bytes] = []
    answer = http("502 Bad Gateway", page, "Content-Type: text/html")
    async with answering(answer, met) as url, Client(url, "psk_s", retry_s=0.3) as c:
        with pytest.raises(ServiceUnavailable) as caught:
            await c.threat("a")
    assert (caught.value.status, caught.value.kind) == (502, "blank")
    assert "script" not in f"{caught.value} {caught.value.problem}"
    assert len(met) > 1, "it was tried again"


async def test_a_redirect_is_not_followed_and_gets_no_key() -> None:
    elsewhere: list[bytes] = []
    async with answering(http("200 OK", b"{}"), elsewhere) as other:
        met: list[bytes] = []
        answer = http("307 Temporary Redirect", b"", f"Location: {other}/v1/threats/a")
        async with answering(answer, met) as url, Client(url, "psk_secret") as c:
            with pytest.raises(ApiProblem) as caught:
                await c.threat("a")
    assert caught.value.status == 307
    assert b"Bearer psk_secret" in met[0]
    assert not elsewhere


async def test_an_answer_of_another_shape() -> None:
    async with answering(http("200 OK", b'{"items": 7}'), []) as url, Client(url) as c:
        with pytest.raises(ApiProblem, match="not as expected"):
            await c.threats_page()


async def test_no_answer_in_time() -> None:
    async with answering(b"", []) as url, Client(url, timeout_s=0.3, retry_s=0) as c:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            await c.threats_page()
        assert time.monotonic() - began < 2 + BUSY_S


def test_pauses_that_are_asked_for() -> None:
    assert pause_of("7") == 7
    assert pause_of("9" * 30) == 86_400
    soon = pause_of(format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True))
    assert soon is not None
    assert 25 < soon <= 30
    assert pause_of("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    assert pause_of("soon") is None


def test_problems_become_errors() -> None:
    body = (
        b'{"type":"urn:periscope:problem:threat-unknown","title":"T","status":404,"detail":"d",'
        b'"instance":"i"}'
    )
    found = problem_of(404, {"Content-Type": "application/problem+json; charset=utf-8"}, body)
    assert isinstance(found, NotFound)
    assert isinstance(found, PeriscopeError)
    assert (found.kind, str(found), found.is_certain) == ("threat-unknown", "d", True)
    assert isinstance(problem_of(429, {"Retry-After": "3"}, b""), RateLimited)
    assert problem_of(429, {"Retry-After": "3"}, b"").retry_after_s == 3
    assert not problem_of(504, {}, b"").is_certain
    assert problem_of(599, {}, b"\xff").status == 599


async def test_certificates_are_checked(serve: object, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    served: Served = await serve(  # type: ignore[operator]
        serve_certificate=str(certificate), serve_certificate_key=str(key)
    )
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with Client(served.service.url, served.secret, tls=context) as c:
        assert (await c.threats_page()).items == []
    async with Client(served.service.url, served.secret) as c:
        began = time.monotonic()
        with pytest.raises(ApiProblem, match="certificate") as caught:
            await c.threats_page()
    assert caught.value.kind == "untrusted"
    assert time.monotonic() - began < 5, "waiting does not mend that"
