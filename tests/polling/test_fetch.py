"""One request: whatever a server does, one line, in time, in bounds, and nothing half-read."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme
from aiohttp import web as http
from hypothesis import given
from hypothesis import strategies as st

from periscope.errors import FeedError, FetchFailed, FetchRefused
from periscope.polling.answers import http_date, retry_after_s
from periscope.polling.fetch import Client
from periscope.polling.http_source import HttpSource
from tests.polling.support import Run, client, options, run
from tests.polling.web import Web, Wire

OK = b"HTTP/1.1 200 OK\r\n"
MIB = 1024 * 1024


async def fetched(url: str, **given: object) -> Run:
    """Fetch once; what fails is said in one line, within the limit of time."""
    began = time.monotonic()
    result = await run(HttpSource(url, Client(), options(**given)))
    assert time.monotonic() - began < 15
    if result.error is not None:
        assert result.bodies == []
        assert "\n" not in str(result.error)
        assert len(str(result.error)) < 400
    return result


@pytest.mark.parametrize(
    ("status", "words", "may_pass"),
    [
        *((401, "credentials", False), (403, "may not read", False), (404, "nothing at", False)),
        *((410, "for good", False), (406, "cannot answer", False), (400, "not understood", False)),
        *((429, "too many", True), (500, "server failed", True), (503, "server failed", True)),
        *((408, "tired", True), (206, "no answer", False), (300, "no answer", False)),
    ],
)
async def test_errors_are_told_apart(status: int, words: str, may_pass: bool) -> None:
    async with Web() as web:
        web.says("/feed", "<script>", status)
        error = (await fetched(web.url("/feed?key=x"))).error
    assert isinstance(error, FeedError)
    assert isinstance(error, FetchFailed) is may_pass
    assert words in str(error)
    assert f"127.0.0.1:{web.port}/feed: answered {status}" in str(error)
    assert "script" not in str(error)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("999999999", 86_400.0),
        ("-5", None),
        ("soon", None),
        ("1e9", None),
    ],
)
async def test_a_server_says_when_to_come_again(header: str, wait: float | None) -> None:
    async with Web() as web:
        web.says("/feed", status=429, Retry_After=header)
        error = (await fetched(web.url("/feed"))).error
    assert isinstance(error, FetchFailed)
    assert error.retry_after_s == wait


def test_retry_after_may_be_a_date() -> None:
    later = datetime.now(UTC) + timedelta(minutes=10)
    assert 590 < (retry_after_s(format_datetime(later, usegmt=True)) or 0) <= 600
    assert retry_after_s(format_datetime(later - timedelta(days=9), usegmt=True)) == 0
    assert retry_after_s(format_datetime(later + timedelta(days=9), usegmt=True)) == 86_400


@given(st.text(max_size=80))
def test_no_header_breaks_the_reading_of_times(text: str) -> None:
    http_date(text)
    assert 0 <= (retry_after_s(text) or 0) <= 86_400


WRONG = {
    "garbage": b"\x00\xff\x00\xff" * 100,
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nothing": b"",
    "half a header": b"HTTP/1.1 200 OK\r\nContent-Le",
    "too short": OK + b"Content-Length: 100\r\n\r\nabc",
    "cut in a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n64\r\nabc",
    "no last chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "chunks of no length": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "a negative length": OK + b"Content-Length: -1\r\n\r\nabc",
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
    "length and chunks": OK
    + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "a header of 64 KiB": OK + b"X: " + b"a" * 65_536 + b"\r\n\r\nabc",
    "10,000 headers": OK + b"X: a\r\n" * 10_000 + b"\r\nabc",
    "a status of words": b"HTTP/1.1 OK OK\r\n\r\n",
    "a newline in Location": b"HTTP/1.1 302 x\r\nLocation: http://x\n\r\n\r\n",
}


@pytest.mark.parametrize("speech", WRONG.values(), ids=WRONG)
async def test_what_is_not_whole_or_not_http_is_one_clear_error(speech: bytes) -> None:
    async with Wire(speech) as wire:
        error = (await fetched(wire.url)).error
    assert isinstance(error, FeedError)


async def test_a_connection_that_is_reset_may_work_later() -> None:
    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Length: 100\r\n\r\nabc")
        await writer.drain()
        writer.transport.abort()

    async with Wire(reset) as wire:
        assert isinstance((await fetched(wire.url)).error, FetchFailed)
    assert isinstance((await fetched(wire.url)).error, FetchFailed)  # nobody listens any more


async def test_silence_ends_with_the_time_limit() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with Wire(silent) as wire:
        error = (await fetched(wire.url, timeout_s=0.3)).error
    assert isinstance(error, FetchFailed)


@pytest.mark.parametrize("of", ["body", "headers", "interim answers"])
async def test_a_trickle_ends_with_the_time_limit(of: str) -> None:
    """Each byte comes in time, and the whole never does."""

    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start, drop = {
            "body": (OK + b"\r\n", b"x"),
            "headers": (OK + b"X: ", b"x"),
            "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        }[of]
        writer.write(start)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.02)

    async with Wire(trickle) as wire:
        error = (await fetched(wire.url, timeout_s=0.5)).error
    assert isinstance(error, FetchFailed)


async def test_a_dns_that_hangs_ends_with_the_time_limit() -> None:
    async def hang(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    source = HttpSource("http://feed.example.com/", Client(hang), options(timeout_s=0.2))
    assert isinstance((await run(source)).error, FetchFailed)


@pytest.mark.parametrize("head", [b"\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
async def test_an_endless_body_ends_with_the_limit_of_size(head: bytes, tmp_path: Path) -> None:
    piece = b"x" * 65_536
    sent = 0

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(OK + head)
        while True:
            writer.write(b"10000\r\n" + piece + b"\r\n" if b"chunked" in head else piece)
            await writer.drain()
            sent += len(piece)

    async with Wire(endless) as wire:
        error = (await fetched(wire.url, max_bytes=8 * MIB, spool_dir=tmp_path)).error
    assert "larger than the limit" in str(error)
    assert sent < 24 * MIB
    assert list(tmp_path.iterdir()) == []


async def test_a_length_beyond_the_limit_is_refused_unread() -> None:
    async with Wire(OK + b"Content-Length: 99999999999999\r\n\r\n") as wire:
        assert "larger than the limit" in str((await fetched(wire.url)).error)


async def test_an_error_or_redirect_with_an_endless_body_is_not_read() -> None:
    for status in (b"500 no", b"302 go\r\nLocation: http://10.0.0.1/"):

        async def endless(
            _: asyncio.StreamReader, writer: asyncio.StreamWriter, status: bytes = status
        ) -> None:
            writer.write(b"HTTP/1.1 " + status + b"\r\n\r\n")
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()

        async with Wire(endless) as wire:
            assert isinstance((await fetched(wire.url)).error, FetchFailed | FetchRefused)


async def test_redirects_end_after_five() -> None:
    async with Web() as web:
        for step in range(5):
            web.sends_on(f"/{step}", f"/{step + 1}")
        web.says("/5", "the feed")
        assert (await fetched(web.url("/0"))).bodies == [b"the feed"]
        web.sends_on("/5", "/0")
        web.asked.clear()
        assert "more than 5 times" in str((await fetched(web.url("/0"))).error)
        assert len(web.asked) == 6
        web.says("/nowhere", status=302)
        assert "without saying where" in str((await fetched(web.url("/nowhere"))).error)


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "compress"])
async def test_an_encoding_that_was_not_asked_for_is_refused(encoding: str) -> None:
    async with Web() as web:
        web.says("/feed", b"xyz", Content_Encoding=encoding)
        error = (await fetched(web.url("/feed"))).error
        assert "Content-Encoding" in str(error)
        assert web.asked[0].headers["Accept-Encoding"] == "identity"


async def test_gzip_is_left_for_the_reader_who_has_limits() -> None:
    """A bomb costs what it weighs as it travels: nothing is unpacked here."""
    bomb = gzip.compress(bytes(32 * MIB))
    async with Web() as web:
        web.says("/feed", bomb, Content_Encoding="gzip")
        assert (await fetched(web.url("/feed"))).bodies == [bomb]


async def test_cookies_are_not_kept_and_no_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with Web() as web:
        web.says("/feed", status=302, Location="/feed2", Set_Cookie="a=b")
        web.says("/feed2", "the feed")
        assert (await fetched(web.url("/feed"))).bodies == [b"the feed"]
        assert "Cookie" not in web.asked[1].headers


async def test_a_disk_that_is_full_is_said(tmp_path: Path) -> None:
    async with Web() as web:
        web.says("/feed", "the feed")
        error = (await fetched(web.url("/feed"), spool_dir=tmp_path / "none")).error
    assert "cannot be written" in str(error)


async def test_what_is_fetched_has_no_name_on_disk(tmp_path: Path) -> None:
    async with Web() as web:
        web.says("/feed", "the feed")
        source = HttpSource(web.url("/feed"), Client(), options(spool_dir=tmp_path))
        async for document in source.documents(None):
            assert list(tmp_path.iterdir()) == []
            with document.file as file:
                assert file.seekable()
                assert file.read() == b"the feed"


async def test_nothing_is_left_open(tmp_path: Path) -> None:
    """Neither connections nor files, however a fetch ended; or where somebody stopped reading."""
    here = Path("/proc/self/fd")
    if not here.exists():
        pytest.skip("needs /proc")

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"\r\nabc")
        await reader.read()

    async with Web() as web, Wire(WRONG["too short"]) as cut, Wire(silent) as half:
        web.says("/feed", "the feed")
        web.sends_on("/away", "http://10.0.0.1/")
        places = [web.url("/feed"), web.url("/away"), web.url("/none"), cut.url]
        await asyncio.gather(*(fetched(place) for place in places))
        before = len(list(here.iterdir()))
        for _ in range(10):
            await asyncio.gather(*(fetched(place) for place in places))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await fetched(half.url)
        gone = time.monotonic() + 10
        while len(list(here.iterdir())) > before and time.monotonic() < gone:
            await asyncio.sleep(0.01)
        assert len(list(here.iterdir())) <= before


# ---- TLS ----------------------------------------------------------------------------------------


def server_tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    made, path = trustme.CA(), tmp_path / "ca.pem"
    made.cert_pem.write_to_path(str(path))
    return made, path


async def test_a_certificate_must_be_trusted_and_of_the_host(
    authority: tuple[trustme.CA, Path],
) -> None:
    made, path = authority
    names = client(feed=["127.0.0.1"], other=["127.0.0.1"])
    async with Web(tls=server_tls(made, "feed.example.com")) as web:
        web.says("/feed", "the feed")

        async def get(host: str, **given: object) -> Run:
            return await run(HttpSource(web.url("/feed", host), names, options(**given)))

        assert (await get("feed.example.com", ca_file=path)).bodies == [b"the feed"]
        for result in (
            await get("feed.example.com"),
            await get("other.example.com", ca_file=path),
            await get("127.0.0.1", ca_file=path),
        ):
            assert "certificate is not trusted" in str(result.error)
        assert len(web.asked) == 1


async def test_https_does_not_lead_to_http(authority: tuple[trustme.CA, Path]) -> None:
    made, path = authority
    async with Web(tls=server_tls(made, "127.0.0.1")) as web, Web() as plain:
        plain.says("/feed", "the feed")
        web.sends_on("/feed", plain.url("/feed"))
        result = await run(HttpSource(web.url("/feed"), Client(), options(ca_file=path)))
        assert isinstance(result.error, FetchRefused)
        assert plain.asked == []


async def test_what_is_no_tls_and_no_authority_is_said(tmp_path: Path) -> None:
    async with Web() as plain:
        place = plain.url("/feed").replace("http:", "https:")
        assert isinstance((await run(HttpSource(place, Client(), options()))).error, FetchFailed)
    (tmp_path / "ca.pem").write_text("none")
    wrong = options(ca_file=tmp_path / "ca.pem")
    assert "authorities" in str((await run(HttpSource(place, Client(), wrong))).error)


# ---- one document, when it has changed ----------------------------------------------------------


async def test_an_unchanged_document_is_not_given_again() -> None:
    async with Web() as web:

        async def answer(request: http.Request) -> http.StreamResponse:
            if request.headers.get("If-None-Match") == 'W/"1"':
                assert request.headers["If-Modified-Since"] == "Sat, 28 Nov 2026 00:00:00 GMT"
                return http.Response(status=304)
            headers = {"ETag": 'W/"1"', "Last-Modified": "Sat, 28 Nov 2026 00:00:00 GMT"}
            return http.Response(body=b"the feed", headers=headers)

        web.on("/feed", answer)
        source = HttpSource(web.url("/feed"), Client(), options())
        first = await run(source)
        assert first.bodies == [b"the feed"]
        assert first.positions[0]["etag"] == 'W/"1"'
        second = await run(source, first.positions[0])
        assert (second.bodies, second.error) == ([], None)


async def test_the_same_bytes_with_200_are_no_document_and_others_are() -> None:
    async with Web() as web:
        web.says("/feed", "the feed", ETag='"1"')
        source = HttpSource(web.url("/feed"), Client(), options())
        position = (await run(source)).positions[0]
        web.says("/feed", "the feed", ETag='"2"')
        assert (await run(source, position)).bodies == []
        web.says("/feed", "another", ETag='"3"')
        assert (await run(source, position)).bodies == [b"another"]
        web.says("/feed", status=204)
        assert (await run(source, position)).bodies == []


async def test_not_modified_to_a_first_request_is_a_lie() -> None:
    async with Web() as web:
        web.says("/feed", status=304)
        error = (await fetched(web.url("/feed"))).error
    assert "not modified" in str(error)


async def test_validators_that_cannot_be_kept_are_not() -> None:
    async with Wire(OK + b"ETag: \xff\xfe\r\nContent-Length: 1\r\n\r\nx") as wire:
        assert "etag" not in (await fetched(wire.url)).positions[0]
    async with Web() as web:
        web.says("/feed", "x", ETag="x" * 2000)
        assert "etag" not in (await fetched(web.url("/feed"))).positions[0]


async def test_the_position_of_another_url_is_not_used() -> None:
    async with Web() as web:
        web.says("/one", "same", ETag='"1"')
        web.says("/two", "same", ETag='"1"')
        one = await fetched(web.url("/one"))
        two = await run(HttpSource(web.url("/two"), Client(), options()), one.positions[0])
    assert two.bodies == [b"same"]
    assert "If-None-Match" not in web.asked[1].headers
