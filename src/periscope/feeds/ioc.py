"""What lists of indicators share: words for types, ids, and one report for each indicator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from periscope.feeds.finding import Finding, severity_of
from periscope.feeds.fingerprint import fingerprint_id
from periscope.feeds.indicators import Indicator, classified, indicator, refanged
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord, quote
from periscope.models import MAX_ID_BYTES, Report

WORDS: dict[str, tuple[str, ...]] = {
    "ipv4-addr": (
        *(
            "ip",
            "ips",
            "ipv4",
            "ip address",
            "ipaddress",
            "ip-addr",
            "ipv4-addr",
            "cidr",
        ),
        *(
            "ip-dst",
            "ip-src",
            "ip-dst|port",
            "ip-src|port",
            "ip:port",
            "netblock",
            "network",
            "ipv6",
        ),
        *("ipv6-addr", "subnet", "dst ip", "src ip", "dstip", "srcip", "ipv4:port"),
    ),
    "domain-name": (
        *("domain", "domains", "domain name", "domain-name", "hostname", "host", "fqdn"),
        *("hostname|port", "domain|ip", "subdomain"),
    ),
    "url": ("url", "urls", "uri", "link", "payload delivery url"),
    "email-addr": (
        *(
            "email",
            "e-mail",
            "email-addr",
            "email address",
            "emailsender",
            "email-src",
            "email-dst",
        ),
        *("emailaddress", "mail", "sender", "email sender"),
    ),
    "md5": ("md5", "md5 hash", "filehash-md5", "hash-md5", "imphash-md5"),
    "sha1": ("sha1", "sha-1", "sha1 hash", "filehash-sha1", "hash-sha1"),
    "sha256": ("sha256", "sha-256", "sha256 hash", "filehash-sha256", "hash-sha256"),
    "sha512": ("sha512", "sha-512", "sha512 hash", "filehash-sha512"),
    "file": ("file", "hash", "hashes", "filehash", "file hash", "sample", "malware-sample"),
    "file-name": ("filename", "file name", "file-name", "filepath", "file path"),
    "vulnerability": ("cve", "cves", "vulnerability", "cve id"),
    "registry-key": ("regkey", "registry", "registry key", "registry-key", "windows-registry-key"),
    "mutex": ("mutex",),
    "mac-addr": ("mac", "mac-address", "mac address", "mac-addr"),
    "asn": ("asn", "as", "autonomous-system"),
    "user-account": ("user", "account", "username", "user-account"),
    "process": ("process", "process name"),
}
"""Words for types as lists write them; `file` stands for any hash."""

TYPE_OF = {word: kind for kind, words in WORDS.items() for word in words}
BY_FORM = frozenset(("ipv4-addr", "domain-name", "url", "email-addr", "file", "vulnerability"))
"""Types whose values show by their form what they are, whatever a list says."""


def plain_word(text: str) -> str:
    """Return a name of a column or a type as `TYPE_OF` has it: lower case, one blank or dash."""
    return " ".join(text.replace("_", " ").replace("#", " ").lower().split())


def read_indicators(value: str, stated: str = "") -> list[Indicator]:
    """Return the indicators in a cell: one, or several (hashes of a file) with commas between.

    `stated` is the list's own word for the type; where the value's form says otherwise, that
    counts, because lists call an address a domain and a URL a host.

    Raises:
        BadRecord: there is none.

    """
    kind = TYPE_OF.get(plain_word(stated))
    found = [_one(part, kind, stated) for part in _parts(value, kind)]
    whole = [one for one in found if one]
    if not whole:
        what = f"is no {stated}" if stated else "is no address, domain, URL, hash or mail address"
        raise BadRecord(f"{quote(value)} {what}")
    return whole


def _parts(value: str, kind: str | None) -> list[str]:
    text = value.strip()
    several = kind in ("file", "md5", "sha1", "sha256", "sha512") or "|" in text
    if not several:
        return [text]
    return [part for part in text.replace("|", ",").split(",") if part.strip()]


def _one(text: str, kind: str | None, stated: str) -> Indicator | None:
    found = classified(_without_port(text))
    if found and (kind is None or kind in BY_FORM or found["type"] == kind):
        return found
    if kind in BY_FORM or (kind is None and not stated):
        return found
    return indicator(kind or "other", refanged(text))


def _without_port(text: str) -> str:
    """Cut the port off an address or name, where it is nothing but that."""
    head, colon, port = text.strip().rpartition(":")
    return head if colon and port.isdigit() and ":" not in head and "/" not in head else text


def ioc_id(found: Indicator) -> str:
    """Return the id of the threat that an indicator is: the same from every list that has it."""
    text = f"{found['type']}:{found['value']}"
    if len(text.encode("utf-8", "replace")) <= MAX_ID_BYTES:
        return text
    return fingerprint_id(found["type"], (found["value"],))


def ioc_report(
    options: ReadOptions,
    format_name: str,
    found: list[Indicator],
    *,
    severity: Iterable[tuple[str, object]] = (),
    description: str = "",
    **said: Any,
) -> Report:
    """Return the report of an indicator, and of others that mean the same thing; the first counts.

    Raises:
        BadRecord: a time is none, or the severity table does not know its severity.

    """
    first = found[0]
    title = f"{first['type']} {first['value']}"
    return Finding(
        threat_id=ioc_id(first),
        title=f"{title}: {description}" if description else title,
        severity=severity_of(options, format_name, severity),
        source=said.pop("source", "") or format_name,
        type="indicator",
        content=description,
        indicators=found,
        **said,
    ).report(options)
