"""Plain lists: every spelling of a blocklist gives the indicator that it stands for."""

from __future__ import annotations

import time

import pytest

from periscope.feeds import open_feed
from periscope.models import Report, Severity
from tests.feeds.support import Pipe, read, real_data, reasons, reports
from tests.support.patience import PATIENCE

LIST = b"""\xef\xbb\xbf# a blocklist
! ad blocker
; zone
203.0.113.7
198.51.100.0/24\ta network
2001:DB8::1
[2001:db8::2]
hxxp://login[.]example[.]com/a?b=1 # phishing
LOGIN.example.org.
0.0.0.0 ads.example.net # tracker
127.0.0.1 localhost
||cdn.example.net^$third-party
@@||good.example.net^
address=/dns.example.net/0.0.0.0
local-zone: "unbound.example.net" always_nxdomain
*.rpz.example.net CNAME .
add blocked 203.0.113.9
d41d8cd98f00b204e9800998ecf8427e  empty.bin
CVE-2024-12345
bob@example.com
""".replace(b"\n", b"\r\n")


def test_every_spelling() -> None:
    found = {one.threat_id: one for one in reports(read(LIST))}
    assert list(found) == [
        "ipv4-addr:203.0.113.7",
        "ipv4-addr:198.51.100.0/24",
        "ipv6-addr:2001:db8::1",
        "ipv6-addr:2001:db8::2",
        "url:http://login.example.com/a?b=1",
        "domain-name:login.example.org",
        "domain-name:ads.example.net",
        "domain-name:cdn.example.net",
        "domain-name:dns.example.net",
        "domain-name:unbound.example.net",
        "domain-name:rpz.example.net",
        "ipv4-addr:203.0.113.9",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "vulnerability:CVE-2024-12345",
        "email-addr:bob@example.com",
    ]
    phishing = found["url:http://login.example.com/a?b=1"]
    assert phishing.content == "phishing"
    assert phishing.metadata is not None
    assert phishing.metadata["title"] == "url http://login.example.com/a?b=1: phishing"
    assert phishing.metadata["raw"] == "hxxp://login[.]example[.]com/a?b=1 # phishing"
    assert {one.severity for one in found.values()} == {Severity.MEDIUM}


def test_what_is_left_out_is_counted() -> None:
    with open_feed(Pipe(LIST)) as feed:
        items = list(feed)
    assert feed.format == "plain"
    assert feed.skipped == {"local name": 1, "exception": 1}
    assert all(isinstance(item, Report) for item in items)


def test_a_line_that_is_none_costs_that_line() -> None:
    data = b"203.0.113.7\n" * 19 + b"no indicator\n\xff\n" + b"x" * 9000 + b"\n198.51.100.1\n"
    items = read(data)
    assert len(reports(items)) == 20
    assert reasons(items) == [
        "line 20: 'no indicator' is no address, domain, URL, hash or mail address",
        "line 21: not valid UTF-8; convert the file to UTF-8",
        "line 22: longer than 8,192 bytes",
    ]


def test_an_empty_list_is_an_empty_feed() -> None:
    with open_feed(Pipe(b"# nothing today\n\n# but this\n")) as feed:
        assert list(feed) == []
    assert feed.format == "plain"


def test_a_long_url_has_a_short_id() -> None:
    (report,) = reports(read(b"https://example.com/" + b"a" * 1500 + b"\n"))
    assert len(report.threat_id) < 64
    assert report.threat_id.startswith("url:")


@pytest.mark.parametrize(
    "line",
    [
        b" " * 8000 + b"x",
        b"a" * 8000,
        b"a." * 4000,
        b"||" + b"^" * 8000,
        b"a b " * 2000,
        b"1." * 4000,
    ],
)
def test_no_line_takes_long(line: bytes) -> None:
    began = time.process_time()
    read((line + b"\n") * 8, "plain")
    assert time.process_time() - began < PATIENCE


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("amnesty-cytrox-domains.txt", 336),
        ("eset-mozi-samples.sha1", 21),
        ("eset-nukesped_lazarus-samples.sha256", 555),
        ("tweetfeed-ips.txt", 730),
        ("tweetfeed-domains.txt", 4873),
        ("tweetfeed-urls.txt", 5492),
    ],
)
def test_real_lists(name: str, count: int) -> None:
    with open_feed(real_data("ioc_plain", name)) as feed:
        assert len(reports(feed)) == count
    assert feed.format == "plain"
