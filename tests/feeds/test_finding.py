"""What is uniform in all reports: indicators by their form, and bounds that leave room for all."""

from __future__ import annotations

from periscope.feeds.finding import Finding, shortened
from periscope.feeds.indicators import hashed, hashes_in, host, indicator, kept
from periscope.feeds.options import ReadOptions
from periscope.intake import Intake
from periscope.models import Severity


def test_hosts_and_hashes() -> None:
    assert host("192.0.2.1:80") == {"type": "ipv4-addr", "value": "192.0.2.1"}
    assert host("[2001:DB8::1]") == {"type": "ipv6-addr", "value": "2001:db8::1"}
    assert host("Www.Example.com.:443") == {"type": "domain-name", "value": "www.example.com"}
    for value in ("localhost", "", "a b.com", "x" * 400 + ".com", None, 5, "example.com:http"):
        assert host(value) is None
    assert hashed("AA:" * 19 + "AA") == {"type": "sha1", "value": "aa" * 20}
    assert hashed(f"SHA256:{'AB' * 32}") == {"type": "sha256", "value": "ab" * 32}
    assert host("*.example.com") == {"type": "domain-name", "value": "example.com"}
    for none in ("zz", "", ":", "g" * 32, "a" * 33, None, 5, ["a" * 32]):
        assert hashed(none) is None
    assert hashes_in(f"MD5={'a' * 32},IMPHASH={'b' * 32}") == [{"type": "md5", "value": "a" * 32}]
    assert indicator("url", "http://example.com/\x00") is None
    assert indicator("url", "http://example.com/ä") is not None


def test_what_is_kept_fits_into_a_report() -> None:
    urls = [indicator("url", f"http://example.com/{n}/{'x' * 1000}") for n in range(300)]
    found = kept(urls)
    assert found["indicators_total"] == 300
    assert 10 < len(found["indicators"]) < 30
    assert len(kept(urls[:2])["indicators"]) == 2
    short = kept(indicator("domain-name", f"h{n}.example.com") for n in range(300))
    assert (len(short["indicators"]), short["indicators_total"]) == (200, 300)


def test_everything_at_its_limit_fits_into_a_report() -> None:
    """Quotes, backslashes and control characters take two to six bytes as JSON."""
    finding = Finding(
        threat_id="x",
        title="\x01" * 600,
        severity=Severity.LOW,
        source="x",
        type="alert",
        tags=["\x02" * 300 + str(n) for n in range(200)],
        references=['"' * 3000 + str(n) for n in range(100)],
        indicators=[indicator("file-name", f"{n}{chr(92) * 100}") for n in range(300)],
        first_observed=0,
        industry=["x" * 1000] * 1000,
        more={
            "kept": 1,
            "long": "\x03" * 60_000,
            "list": ["x" * 50] * 5000,
            "deep": {"a": "x" * 90_000},
        },
        raw={"a": chr(92) * 10_000},
    )
    for raw_bytes in (0, 1024, 16 * 1024):
        report = finding.report(ReadOptions(raw_bytes=raw_bytes))
        packed, rejected = Intake(bytes(16)).prepare([report], 0)
        assert packed, rejected
        assert report.metadata is not None
        assert report.metadata["indicators_total"] == 300
        assert {"title", "type", "tags", "references", "indicators", "first_observed", "kept"} <= {
            *report.metadata
        }


def test_any_script_fits() -> None:
    assert shortened("a" * 10, 40) == "a" * 10
    assert len(shortened("\U0001f4a5" * 100_000, 1001).encode()) == 1000
    finding = Finding(
        threat_id="x",
        title="\U0001f4a5" * 600,
        content="\U0001f4a5" * 100_000,
        severity=Severity.LOW,
        source="\U0001f4a5" * 600,
        type="alert",
        raw={"a": "\U0001f4a5" * 10_000},
    )
    packed, rejected = Intake(bytes(16)).prepare([finding.report(ReadOptions())], 0)
    assert packed
    assert not rejected
