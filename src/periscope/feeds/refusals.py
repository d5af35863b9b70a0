"""What is refused at a glance, by its first bytes, and in words that say what it is."""

from __future__ import annotations

import re

from periscope.feeds.compression import packed_as
from periscope.feeds.lines import BOM

BINARY = (
    (b"%PDF-", "a PDF document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file; export it as CSV"),
    (b"PAR1", "Parquet; export it as NDJSON"),
    (b"SQLite format 3\0", "an SQLite database; export it as NDJSON or CSV"),
    (b"Rar!\x1a\x07", "a RAR archive; unpack it first"),
    (b"\x04\x22\x4d\x18", "lz4, which is not read here; unpack it first"),
)
TAR, TAR_AT = b"ustar", 257
TAG = re.compile(rb"<(?:\?xml\b|![-D\[]|[A-Za-z_])")
ROOT = re.compile(rb"<([A-Za-z_][A-Za-z0-9_.:-]{0,60})")
XML = {
    "rss": "an RSS feed",
    "rdf": "an RSS feed",
    "feed": "an Atom feed",
    "html": "a page of HTML, perhaps one that asks to log in or tells of an error",
    "cvrfdoc": "CVRF; take the CSAF file of the same advisory",
    "nessusclientdata_v2": "a Nessus report; export it as CSV",
    "nmaprun": "a report of Nmap",
    "stix_package": "STIX 1; take STIX 2 in JSON",
    "ioc": "OpenIOC",
    "openioc": "OpenIOC",
    "event": "Windows events; export them as JSON",
    "events": "Windows events; export them as JSON",
}
"""What root elements, in lower case and without prefix, say about a document."""


def refusal(head: bytes) -> str | None:
    """Say why no format reads what begins like this; None where one may."""
    kind = packed_as(head)
    if kind is not None:
        done = "compressed twice" if kind.readable else f"{kind.name}, which is not read here"
        return f"{done}; unpack it first"
    if head[TAR_AT : TAR_AT + len(TAR)] == TAR:
        return "a tar archive; unpack it first"
    if head[1:2] == head[3:4] == b"\0" != head[:1] or head[:1] == head[2:3] == b"\0" != head[1:2]:
        return "the text is UTF-16 without a byte order mark; convert it to UTF-8"
    return next((words for magic, words in BINARY if head.startswith(magic)), None)


def markup(head: bytes) -> str | None:
    """Name the kind of XML or HTML that begins like this; None if it is none.

    Nothing is parsed: the name of the first element is looked for, and no entity is resolved.
    """
    text = head.removeprefix(BOM).lstrip()
    if not TAG.match(text):
        return None
    found = ROOT.search(text)
    if found is None:
        return "XML is not read here"
    name = found[1].decode()
    words = XML.get(name.rpartition(":")[2].lower(), f"a document of <{name}>")
    return f"XML is not read here; this is {words}"
