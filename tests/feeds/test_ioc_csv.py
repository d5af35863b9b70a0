"""Tables of indicators, as those who publish them write them, without a word of --map."""

from __future__ import annotations

import pytest

from periscope.feeds import open_feed
from periscope.feeds.format import Sample
from periscope.feeds.formats.ioc_csv import IocCsv
from periscope.models import Report, Severity, Unreadable
from tests.feeds.support import Pipe, read, real_data, reasons, reports

THREATFOX = b"""##################################################
# recent indicators                              #
##################################################
#
# "first_seen_utc","ioc_id","ioc_value","ioc_type","malware_printable","last_seen_utc",\
"confidence_level","reference","tags"
"2024-05-01 10:00:00", "1000001", "203.0.113.7:443", "ip:port", "Example RAT", "", \
"75", "https://intel.example.org/1", "c2,rat"
"2024-05-01 10:05:00", "1000002", "evil.example.com", "domain", "Example RAT", \
"2024-05-02 00:00:00", "50", "None", "None"
"""
URLHAUS = b"""# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter
"1","2024-05-01 10:00:00","http://203.0.113.9/x.sh","online","2024-05-02 11:00:00","malware_download","elf,mirai","https://intel.example.org/url/1/","someone"
"""
FEODO = b"""# list of servers
"first_seen_utc","dst_ip","dst_port","c2_status","last_online","malware"
"2024-05-01 10:00:00","198.51.100.4","443","online","2024-05-03","Example"
# END 1 entries
"""
BAZAAR = (
    b'# "first_seen_utc","sha256_hash","md5_hash","sha1_hash","reporter","file_name","signature"\n'
    b'"2024-05-01 10:00:00","'
    + b"a" * 64
    + b'","'
    + b"b" * 32
    + b'","'
    + b"c" * 40
    + b'","someone","invoice.exe","ExampleLoader"\n'
)
TWEETS = (
    b"2025-06-15 00:15:25,someone,domain,evil.example.net,#phishing #scam,https://social.example/1\r\n"
    b"2025-06-15 00:15:26,other.person,url,https://evil.example.net/a,#phishing,https://social.example/2\r\n"
    b"2025-06-15 00:15:27,someone,ip,203.0.113.8,#malware,https://social.example/3\r\n"
)


def only(data: bytes) -> list[Report]:
    with open_feed(Pipe(data)) as feed:
        items = list(feed)
    assert feed.format == "ioc_csv"
    assert len(reports(items)) == len(items)
    return reports(items)


def said(report: Report) -> dict[str, object]:
    assert report.metadata is not None
    return report.metadata


def test_a_header_in_a_comment() -> None:
    first, second = only(THREATFOX)
    assert first.threat_id == "ipv4-addr:203.0.113.7"
    assert second.threat_id == "domain-name:evil.example.com"
    assert said(first)["tags"] == ["c2", "rat"]
    assert said(first)["references"] == ["https://intel.example.org/1"]
    assert said(first)["confidence"] == "75"
    assert said(first)["first_observed"] == "2024-05-01T10:00:00Z"
    assert second.observed_at == 1_714_608_000_000
    assert "references" not in said(second)
    assert "Example RAT" in first.content


def test_links_are_no_indicators() -> None:
    (report,) = only(URLHAUS)
    assert report.threat_id == "url:http://203.0.113.9/x.sh"
    assert said(report)["indicators"] == [{"type": "url", "value": "http://203.0.113.9/x.sh"}]
    assert said(report)["references"] == ["https://intel.example.org/url/1/"]
    assert said(report)["reporter"] == "someone"


def test_comments_after_the_rows() -> None:
    (report,) = only(FEODO)
    assert report.threat_id == "ipv4-addr:198.51.100.4"
    assert report.content == "Example"


def test_several_hashes_are_one_file() -> None:
    (report,) = only(BAZAAR)
    assert report.threat_id == "sha256:" + "a" * 64
    assert said(report)["indicators"] == [
        {"type": "sha256", "value": "a" * 64},
        {"type": "sha1", "value": "c" * 40},
        {"type": "md5", "value": "b" * 32},
    ]


def test_without_a_header_the_cells_decide() -> None:
    domain, url, address = only(TWEETS)
    assert domain.threat_id == "domain-name:evil.example.net"
    assert url.threat_id == "url:https://evil.example.net/a"
    assert address.threat_id == "ipv4-addr:203.0.113.8"
    assert said(domain)["tags"] == ["phishing", "scam"]
    assert said(domain)["references"] == ["https://social.example/1"]
    assert domain.observed_at == 1_749_946_525_000


def test_severity_and_tlp_where_they_are_stated() -> None:
    data = b"indicator;severity;tlp\n203.0.113.7;High;white\n203.0.113.8;;TLP:AMBER\n"
    high, missing = only(data)
    assert (high.severity, said(high)["tlp"]) == (Severity.HIGH, "CLEAR")
    assert (missing.severity, said(missing)["tlp"]) == (Severity.MEDIUM, "AMBER")
    assert (
        "is not in the severity table"
        in reasons(
            read(data + b"203.0.113.9;gruesome;\n"),
        )[0]
    )


@pytest.mark.parametrize(
    "data",
    [
        b"id,severity,ip\n1,high,203.0.113.7\n",  # alerts with addresses, no list
        b"a,b,c\n1,2,3\n",
        b"b8a89ec3fffab735bb689532f1d2410f,88391e76-0480-5c3e-a69e-44c22b13ebd0\n" * 3,
        b"CVE,CVSS3,EPSS\nCVE-2024-1234,9.8,0.5\n",
        b"203.0.113.7\n",
    ],
)
def test_what_is_no_table_of_indicators(data: bytes) -> None:
    assert not IocCsv().recognises(Sample(data, True))


def test_a_row_without_an_indicator_is_kept_as_json() -> None:
    _, bad = read(b"value,type\n203.0.113.7,ip\nnothing,ip\n")
    assert isinstance(bad, Unreadable)
    assert bad.excerpt == b'{"value":"nothing","type":"ip"}'
    assert bad.place == "line 3"


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("amnesty-nso-2018.csv", 604),
        ("tweetfeed-20210810.csv", 443),
        ("tweetfeed-20250615.csv", 674),
        ("volexity-ciscovpn-2015.csv", 51),
        ("volexity-devicecode-2025-noheader.csv", 12),
        ("volexity-disgomoji-2024.csv", 153),
        ("volexity-powerstar-2023-bom.csv", 13),
    ],
)
def test_real_tables(name: str, count: int) -> None:
    with open_feed(real_data("ioc_csv", name)) as feed:
        items = list(feed)
    assert feed.format == "ioc_csv"
    assert len(reports(items)) == len(items) == count


def test_a_name_of_a_column_that_is_no_utf8_costs_no_more_than_the_rows() -> None:
    items = read(b"ioc,type,\xf2\n203.0.113.7,ip,x\nnothing,ip,y\n", "ioc_csv")
    assert reasons(items)
    assert all(isinstance(one, Report | Unreadable) for one in items)
