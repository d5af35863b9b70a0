"""MISP's attributes: which there are in an event, and their values as typed indicators.

https://www.misp-project.org/datamodels/ lists the types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from periscope.feeds.finding import dicts_of
from periscope.feeds.indicators import HASHES, HEX, Indicator, address, classified, indicator

Attribute = dict[str, Any]

END = "end of a connection"
OTHER_HASHES = (
    *("sha224", "sha384", "sha512/224", "sha512/256", "sha3-224", "sha3-256", "sha3-384"),
    *("sha3-512", "ssdeep", "imphash", "authentihash", "pehash", "impfuzzy", "tlsh", "cdhash"),
    *("vhash", "telfhash", "ja3-fingerprint-md5", "jarm-fingerprint", "hassh-md5"),
    *("hasshserver-md5", "favicon-mmh3", "dkim-signature"),
)
KINDS = {
    "ip-src": END,
    "ip-dst": END,
    "ip": END,
    "domain": "domain-name",
    "hostname": "domain-name",
    "url": "url",
    "email": "email-addr",
    "email-src": "email-addr",
    "email-dst": "email-addr",
    "email-reply-to": "email-addr",
    "target-email": "email-addr",
    "whois-registrant-email": "email-addr",
    "dns-soa-email": "email-addr",
    "jabber-id": "user-account",
    "eppn": "user-account",
    "target-user": "user-account",
    "github-username": "user-account",
    "twitter-id": "user-account",
    **{name: name for name in HASHES.values()},
    "x509-fingerprint-md5": "md5",
    "x509-fingerprint-sha1": "sha1",
    "x509-fingerprint-sha256": "sha256",
    **dict.fromkeys(OTHER_HASHES, "other"),
    "filename": "file-name",
    "attachment": "file-name",
    "mutex": "mutex",
    "regkey": "registry-key",
    "named pipe": "other",
    "windows-service-name": "other",
    "windows-scheduled-task": "other",
    "user-agent": "other",
    "uri": "other",
    "process-name": "process",
    "mac-address": "mac-addr",
    "mac-eui-64": "mac-addr",
    "vulnerability": "vulnerability",
    "AS": "asn",
    **dict.fromkeys(("btc", "xmr", "dash", "iban", "bank-account-nr", "phone-number"), "other"),
}
"""Types of a single value; those of two values have both names with `|` between them."""
PAIRS = {
    "malware-sample": ("filename", "md5"),
    "domain|ip": ("domain", "ip"),
    "hostname|port": ("hostname", None),
    "ip-src|port": ("ip", None),
    "ip-dst|port": ("ip", None),
    "regkey|value": ("regkey", None),
}
"""Types of two values that are not what their names say, or of which one is no indicator."""
SECTIONS = ("pe-section", "elf-section", "macho-section")
"""Objects whose hashes are of a part of a file only."""
PORT = re.compile(r"^(\[[^\]]+\]|[^:\[]+):\d{1,5}$")
ALWAYS = ("vulnerability",)
REFERENCES = ("link",)
TRUE = (True, 1, "1", "true", "True")


def attributes(event: dict[str, Any]) -> Iterator[tuple[Attribute, str]]:
    """Yield the attributes of an event that are not deleted, each with the name of its object."""
    for one in dicts_of(event.get("Attribute")):
        if not _is(one.get("deleted")):
            yield one, ""
    for part in dicts_of(event.get("Object")):
        if not _is(part.get("deleted")):
            name = part.get("name")
            for one in dicts_of(part.get("Attribute")):
                if not _is(one.get("deleted")):
                    yield one, name if isinstance(name, str) else ""


def wanted(found: list[tuple[Attribute, str]]) -> Iterator[tuple[Attribute, str]]:
    """Yield the attributes to look for: those for detection (`to_ids`), or all if none is."""
    flagged = [pair for pair in found if _is(pair[0].get("to_ids", True))]
    yield from flagged
    for pair in found:
        if not flagged or (pair[0].get("type") in ALWAYS and pair not in flagged):
            yield pair


def _is(flag: object) -> bool:
    return isinstance(flag, bool | int | str) and flag in TRUE


def attribute_indicators(one: Attribute, object_name: str = "") -> Iterator[Indicator]:
    """Yield the indicators in an attribute's value; nothing if its type is none to look for."""
    kind, value = one.get("type"), one.get("value")
    if not isinstance(kind, str) or not isinstance(value, str):
        return
    known = KINDS.get(kind)
    if known is not None:
        found = _typed("other" if object_name in SECTIONS else known, value)
        if found is not None:
            yield found
        return
    left, bar, right = _pair(kind, value)
    for name, text in ((left, value.partition(bar)[0]), (right, value.partition(bar)[2])):
        found = _typed(KINDS[name], text) if name in KINDS else None
        if found is not None:
            yield found


def _pair(kind: str, value: str) -> tuple[str, str, str]:
    """Return the types of a value's two parts, and what stands between them."""
    if kind in PAIRS:
        left, right = PAIRS[kind]
        if kind.endswith("|port") and "|" not in value and PORT.match(value):
            return left, value[value.rindex(":") :], ""
        return left, "|", right or ""
    left, _, right = kind.partition("|")
    return left, "|", right if _ else "no pair"


def _typed(kind: str, value: str) -> Indicator | None:
    value = value.strip()
    if kind == END:
        return address(value) or classified(value)
    if kind == "domain-name" and value[-1:].isdigit():
        return classified(value)
    if kind == "asn":
        return indicator(kind, value if value[:2].upper() == "AS" else f"AS{value}")
    if kind in HASHES.values() and (HASHES.get(len(value)) != kind or not HEX.fullmatch(value)):
        kind = "other"
    return indicator(kind, value)
