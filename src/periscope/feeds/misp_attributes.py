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
HASHED = frozenset(HASHES.values())
ALWAYS = ("vulnerability",)
REFERENCES = ("link",)
TRUE = (1, "1", "true", "True")


def attributes(event: dict[str, Any]) -> list[tuple[Attribute, str]]:
    """Return the attributes of an event that are not deleted, each with the name of its object."""
    found = [(one, "") for one in dicts_of(event.get("Attribute")) if not is_set(one, "deleted")]
    for part in dicts_of(event["Object"]) if event.get("Object") else ():
        if not is_set(part, "deleted"):
            name = part.get("name")
            name = name if isinstance(name, str) else ""
            ones = dicts_of(part.get("Attribute"))
            found += [(one, name) for one in ones if not is_set(one, "deleted")]
    return found


def wanted(found: list[tuple[Attribute, str]]) -> list[tuple[Attribute, str]]:
    """Return the attributes to look for: those for detection (`to_ids`), or all if none is."""
    flagged = [pair for pair in found if is_set(pair[0], "to_ids", True)]
    if not flagged or len(flagged) == len(found):
        return found
    return flagged + [
        pair
        for pair in found
        if pair[0].get("type") in ALWAYS and not is_set(pair[0], "to_ids", True)
    ]


def is_set(one: Attribute, key: str, missing: object = False) -> bool:
    """Whether a flag is set, in whichever of the ways in which MISP's versions write it."""
    flag = one.get(key, missing)
    return flag is True or (flag is not False and isinstance(flag, int | str) and flag in TRUE)


def attribute_indicators(one: Attribute, object_name: str = "") -> Iterator[Indicator]:
    """Yield the indicators in an attribute's value; nothing if its type is none to look for."""
    kind, value = one.get("type"), one.get("value")
    if type(kind) is not str or type(value) is not str:
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
    if kind == "url":
        return indicator(kind, value)
    if kind == END or (kind == "domain-name" and value[-1:].isdigit()):
        return address(value) or classified(value)
    if kind == "asn" and value[:2].upper() != "AS":
        value = f"AS{value}"
    elif kind in HASHED and (HASHES.get(len(value)) != kind or not HEX.fullmatch(value)):
        kind = "other"
    return indicator(kind, value)
