"""No connection to where no feed may lead: whatever the URL, the DNS or a redirect says."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from periscope.errors import FeedError, FetchFailed, FetchRefused
from periscope.polling.document import FetchOptions
from periscope.polling.fetch import Client
from periscope.polling.guard import Allowed, Guard, read_url
from periscope.polling.http_source import HttpSource
from tests.polling.support import client, lookup, options, run
from tests.polling.web import Web, Wire

SPELLINGS = [
    *("127.0.0.1", "localhost", "LOCALHOST", "2130706433", "0x7f000001", "0x7f.1"),
    *("0177.0.0.1", "127.1", "0", "0.0.0.0", "127.0.0.2", "[::1]", "[::]", "[::ffff:127.0.0.1]"),
    *("[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "①②⑦.0.0.1"),
    *("127。0。0。1", "１２７.0.0.1", "%31%32%37.0.0.1", "[::1%25lo]", "127.0.0.1."),
]
ELSEWHERE = [
    *("10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "[fe80::1]", "[fd00:ec2::254]"),
    *("100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.2.1", "224.0.0.1", "240.0.0.1"),
]


@pytest.fixture
async def trap() -> AsyncIterator[Wire]:
    async with Wire(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrap", "0.0.0.0") as wire:
        yield wire


@pytest.mark.parametrize("host", SPELLINGS)
async def test_loopback_is_refused_in_every_spelling(host: str, trap: Wire) -> None:
    source = HttpSource(f"http://{host}:{trap.port}/feed", Client(), FetchOptions())
    result = await run(source)
    assert isinstance(result.error, FetchRefused)
    assert trap.connections == 0


@pytest.mark.parametrize("host", ELSEWHERE)
async def test_what_is_not_public_is_refused_and_said(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    monkeypatch.setattr(Guard, "open_socket", lambda _, info: opened.append(info))
    result = await run(HttpSource(f"http://{host}/feed", Client(), FetchOptions()))
    assert isinstance(result.error, FetchRefused)
    assert "\n" not in str(result.error)
    assert "in allow" in str(result.error)
    assert opened == []


@pytest.mark.parametrize(
    "place",
    [
        *("file:///etc/passwd", "ftp://feed.example.com/x", "gopher://feed.example.com/", "feed"),
        *("//feed.example.com/x", "http:feed", "http:///x", "javascript:alert(1)", ""),
        *("http://feed.example.com:0/", "http://feed.example.com:99999/", "http://a\\@b/"),
        *("http://feed.example.com/\r\nHost: x", "http://feed.example.com/a b", "unix:///run/x"),
        "http://feed.example.com/" + "a" * 9_000,
    ],
)
async def test_what_is_no_url_of_the_web_is_refused(place: str) -> None:
    result = await run(HttpSource(place, client(feed=["127.0.0.1"]), options()))
    assert isinstance(result.error, FetchRefused)
    assert "\n" not in str(result.error)


async def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    result = await run(HttpSource("https://user:hunter2@feed.example.com/", Client(), options()))
    assert isinstance(result.error, FetchRefused)
    assert "user name or password" in str(result.error)
    assert "hunter2" not in str(result.error)


@pytest.mark.parametrize("answers", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:10.0.0.1"]])
async def test_one_bad_address_of_a_name_refuses_it(answers: list[str]) -> None:
    async def names(host: str, port: int) -> list[str]:
        return answers

    with pytest.raises(FetchRefused, match=r"feed\.example\.com is .* in allow") as caught:
        await Guard((), names).admit(read_url("https://feed.example.com/x"))
    assert not any(one in str(caught.value) for one in answers)  # nobody learns our addresses


async def test_a_dns_that_rebinds_is_asked_once(trap: Wire) -> None:
    """The second answer would be the trap; redirects and a cut connection give it its chances."""
    async with Web() as web:
        web.sends_on("/feed", web.url("/again", "feed.example.com"))
        web.sends_on("/again", "/last")
        web.says("/last", "the feed", Connection="close")
        names = lookup({"feed.example.com": ["127.0.0.1", "127.0.0.2"]})
        source = HttpSource(web.url("/feed", "feed.example.com"), Client(names), options())
        assert (await run(source)).bodies == [b"the feed"]
        assert names.asked == ["feed.example.com"]
        second = await run(source)
    assert isinstance(second.error, FetchRefused)  # another run asks again, and judges again
    assert trap.connections == 0


async def test_no_socket_opens_to_an_address_that_was_not_judged(trap: Wire) -> None:
    """The last gate, should the others ever be passed by."""
    guard = Guard(("127.0.0.1",))
    await guard.admit(read_url("http://127.0.0.1/"))
    with pytest.raises(OSError, match="not judged"):
        guard.open_socket((2, 1, 6, "", ("127.0.0.2", trap.port)))
    guard.open_socket((2, 1, 6, "", ("127.0.0.1", trap.port))).close()


@pytest.mark.parametrize("host", ["127.0.0.2", "[::1]", "2130706434", "10.0.0.1"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_judged_like_the_first_url(host: str, status: int, trap: Wire) -> None:
    async with Web() as web:
        web.sends_on("/feed", f"http://{host}:{trap.port}/", status)
        result = await run(HttpSource(web.url("/feed"), Client(), options()))
    assert isinstance(result.error, FetchRefused)
    assert trap.connections == 0


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://[", "http:", "http://a b/", "ftp://x/"]
)
async def test_a_redirect_to_no_url_is_refused(location: str) -> None:
    async with Web() as web:
        web.sends_on("/feed", location)
        result = await run(HttpSource(web.url("/feed"), Client(), options()))
    assert isinstance(result.error, FeedError)
    assert len(web.asked) == 1


async def test_credentials_do_not_follow_a_redirect() -> None:
    """Neither to another host, nor to another port, nor back again."""
    secret = {"token": "s3cret-token", "headers": {"X-Key": "s3cret-key"}}
    async with Web() as home, Web() as other:
        home.sends_on("/feed", other.url("/away"))
        other.sends_on("/away", home.url("/back"))
        home.says("/back", "the feed")
        result = await run(HttpSource(home.url("/feed"), Client(), options(**secret)))
        other.says("/away", status=401)
        refused = await run(HttpSource(home.url("/feed"), Client(), options(**secret)))
    assert "asked without credentials" in str(refused.error)
    assert result.bodies == [b"the feed"]
    first, back, _ = home.asked
    assert first.headers["Authorization"] == "Bearer s3cret-token"
    assert first.headers["X-Key"] == "s3cret-key"
    for request in (*other.asked, back):
        assert "s3cret" not in repr(request.headers)


async def test_credentials_follow_a_redirect_within_their_origin() -> None:
    async with Web() as home:
        home.sends_on("/feed", "/new?x=1")
        home.says("/new", "the feed")
        secret = {"username": "reader", "password": "hunter2"}
        result = await run(HttpSource(home.url("/feed"), Client(), options(**secret)))
    assert result.bodies == [b"the feed"]
    assert [request.headers["Authorization"] for request in home.asked] == [
        "Basic cmVhZGVyOmh1bnRlcjI="
    ] * 2


async def test_credentials_do_not_travel_in_the_clear_unless_meant(trap: Wire) -> None:
    names = client(feed=["8.8.8.8"])
    place = f"http://feed.example.com:{trap.port}/feed"
    result = await run(HttpSource(place, names, FetchOptions(token="s3cret")))
    assert isinstance(result.error, FetchRefused)
    assert "in the clear" in str(result.error)
    assert trap.connections == 0


async def test_a_host_allowed_by_name_reaches_private_addresses_and_no_metadata() -> None:
    async with Web() as web:
        web.says("/feed", "the feed")
        place = web.url("/feed", "feed.example.com")
        named = options(allow=("Feed.Example.Com.",))
        assert (await run(HttpSource(place, client(feed=["127.0.0.1"]), named))).bodies
        for address in ("169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0"):
            result = await run(HttpSource(place, client(feed=[address]), named))
            assert isinstance(result.error, FetchRefused)


@pytest.mark.parametrize("allow", ["127.0.0.1", "127.0.0.0/8", "::ffff:127.0.0.1", "localhost"])
async def test_what_is_allowed_is_fetched(allow: str) -> None:
    host = "localhost" if allow == "localhost" else "127.0.0.1"
    async with Web() as web:
        web.says("/feed", "the feed")
        names = Client(lookup({"localhost": ["127.0.0.1"]}))
        result = await run(HttpSource(web.url("/feed", host), names, options(allow=(allow,))))
        assert result.bodies == ([b"the feed"] if allow != "::ffff:127.0.0.1" else [])


@pytest.mark.parametrize(
    "entry", ["", "10.0.0.1/8", "10.0.0.0/33", "http://x/", "a b", "0x7f.1", "*"]
)
def test_an_entry_of_allow_that_is_none_is_an_error(entry: str) -> None:
    with pytest.raises(FeedError, match="allow"):
        Allowed([entry])


async def test_a_name_without_address_may_have_one_later() -> None:
    result = await run(HttpSource("https://none.example.com/", client(), options()))
    assert isinstance(result.error, FetchFailed)


async def test_no_secret_in_errors_logs_or_representations(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = {
        "token": "s3cret-token",
        "headers": {"X-Key": "s3cret-key"},
        "spool_dir": tmp_path,
    }
    given = options(**secrets)
    answers = []
    async with Web() as web:
        for status in (401, 403, 404, 410, 429, 500, 503):
            web.says(f"/{status}", "s3cret-body", status)
            place = web.url(f"/{status}?key=s3cret-query#s3cret-part")
            answers.append((await run(HttpSource(place, Client(), given))).error)
        web.sends_on("/away", "http://10.0.0.1/x?sig=s3cret-query")
        answers.append((await run(HttpSource(web.url("/away"), Client(), given))).error)
    assert all(isinstance(error, FeedError) for error in answers)
    assert "s3cret" not in repr(given)
    assert "s3cret" not in " ".join(
        f"{error} {error!r} {vars(error)}" for error in answers if error
    )
    assert "s3cret" not in caplog.text


def test_a_secret_that_cannot_be_sent_is_not_repeated() -> None:
    for wrong in (
        {"token": "s3cret\r\nX: y"},
        {"headers": {"X-Key": "s3cret\nX: y"}},
        {"token": "s3cret", "username": "x"},
        {"password": "s3cret"},
        {"username": "x", "password": "s3cret\udc80"},
        {"token": "s3cret", "headers": {"Authorization": "s3cret"}},
        {"headers": {"Host": "s3cret"}},
        {"headers": {"a b": "s3cret"}},
    ):
        with pytest.raises(FeedError) as caught:
            options(**wrong)
        assert "s3cret" not in str(caught.value)
