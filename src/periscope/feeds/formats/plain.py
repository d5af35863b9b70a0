"""Plain lists of indicators: one a line, in the spellings that blocklists have."""

from __future__ import annotations

import re
from collections.abc import Iterator

from periscope.feeds.format import FAMILY, Item, Sample, Skip
from periscope.feeds.indicators import Indicator, classified
from periscope.feeds.inputs import Input
from periscope.feeds.ioc import ioc_report, read_indicators
from periscope.feeds.json_records import unreadable
from periscope.feeds.lines import BOM, keep_ends
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.models import Unreadable

LOOKED_AT = 50
ENOUGH = 0.8
LONGEST_LINE = 8192
MOST_COMMAS = 1  # of a description: with more of them it is a row of a table
COMMENT = re.compile(r"\s*(?:#|;|!|//|--\s|\[Adblock|\$TTL|@\s)")
INLINE = re.compile(r"\s(?:#|;|//)")
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
SPELLINGS = (
    re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+(?P<value>[^\s#]+)"),
    re.compile(r"\|\|(?P<value>[^\^/$|]+)\^?(?:\$.*)?"),
    re.compile(r"(?:address|server|local)=/(?P<value>[^/]+)/.*"),
    re.compile(r'local-zone:\s*"?(?P<value>[^"\s]+?)\.?"?\s+\S+'),
    re.compile(r"(?:\*\.)?(?P<value>[^\s]+?)\.?\s+(?:\d+\s+)?(?:IN\s+)?CNAME\s+\S+", re.IGNORECASE),
    re.compile(r"(?:add\s+\S+|deny(?:\s+from)?|block)\s+(?P<value>\S+?);?", re.IGNORECASE),
)
"""Hosts files, ad blockers, dnsmasq, unbound, response policy zones, ipset and web servers."""
LOCAL_NAMES = frozenset(
    ("localhost", "localhost.localdomain", "local", "broadcasthost", "ip6-localhost")
)


class Plain:
    """One report for each line that has an indicator; comments are none."""

    name = "plain"
    title = "Plain indicator lists"
    one_report_is = "a line with an address, network, domain, URL, hash or mail address"
    rank = FAMILY + 20
    example = (
        b"# blocklist\n203.0.113.7\nhxxp://login.example[.]com/a # phishing\n"
        b"0.0.0.0 ads.example.net\n"
    )
    mapping = (
        ("threat_id", "type and value (`ipv4-addr:203.0.113.7`): the same from every list"),
        ("content", "what stands on the line beside the value, else type and value"),
        ("severity", "`--severity`, else MEDIUM"),
        ("source", "`plain`; give `--source`"),
        ("metadata.title", "type and value, and what stands beside them"),
        ("metadata.type", "`indicator`"),
        ("metadata.indicators", "the value, `hxxp` and `[.]` undone"),
        ("metadata.raw", "the line"),
    )

    def recognises(self, sample: Sample) -> bool:
        """Whether four of five of the first lines have an indicator, or all are comments."""
        text = sample.data.removeprefix(BOM)
        if text.lstrip()[:1] in (b"{", b"[", b"<", b"") or b"\0" in text[:1024]:
            return False
        lines = text.decode("utf-8", "replace").splitlines()
        lines = lines if sample.complete else lines[:-1]
        told = [line for line in lines if line.strip() and not COMMENT.match(line)][:LOOKED_AT]
        if not told:
            return sample.complete and any(line.lstrip()[:1] == "#" for line in lines)
        return sum(_has_one(line) for line in told) >= ENOUGH * len(told)

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the lines' reports."""
        for number, line in enumerate(keep_ends(source.chunks(), LONGEST_LINE), 1):
            if line is None:
                place = f"line {number:,}"
                yield Unreadable(f"{place}: longer than {LONGEST_LINE:,} bytes", None, place)
                continue
            try:
                item = _item(line, options, skip)
            except BadRecord as exc:
                item = unreadable(f"line {number:,}", exc, line)
            if item is not None:
                yield item


def _item(line: bytes, options: ReadOptions, skip: Skip) -> Item | None:
    try:
        text = line.decode().strip()
    except UnicodeDecodeError:
        raise BadRecord("not valid UTF-8; convert the file to UTF-8") from None
    if not text or COMMENT.match(text):
        return None
    if text.startswith("@@"):
        skip("exception")
        return None
    value, description = _cut(text)
    if value.lower() in LOCAL_NAMES:
        skip("local name")
        return None
    found = read_indicators(value)
    return ioc_report(options, Plain.name, found, description=description, raw=text.encode())


def _cut(text: str) -> tuple[str, str]:
    """The value of a line, and what stands beside it."""
    body, _, comment = _without_comment(text)
    for spelling in SPELLINGS:
        if match := spelling.fullmatch(body):
            return match["value"].removeprefix("*."), comment
    value = re.split(r"[\s,;]+", body, maxsplit=1)
    if len(value) > 1 and value[1].count(",") <= MOST_COMMAS and _known(value[0]):
        return value[0], comment or value[1].strip(' "')
    return body.removeprefix("*.").strip('"'), comment


def _without_comment(text: str) -> tuple[str, str, str]:
    match = INLINE.search(text)
    if match is None:
        return text, "", ""
    return text[: match.start()].rstrip(), match[0], text[match.end() :].strip()


def _known(text: str) -> Indicator | None:
    return classified(text.strip('"'))


def _has_one(line: str) -> bool:
    value, description = _cut(line.strip())
    if UUID.fullmatch(description):
        return False  # the index of a MISP feed, whose hashes stand for values and are none
    return value.lower() in LOCAL_NAMES or _known(value) is not None
