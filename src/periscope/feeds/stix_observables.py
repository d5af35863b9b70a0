"""Typed indicators from what STIX says of cyber observables: pattern paths and whole objects.

A path is written as in patterns, `file:hashes.'SHA-256'`; an observable object is read as if each
of its properties were such a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from periscope.feeds.indicators import HASHES, HEX, Indicator, classified, indicator
from periscope.feeds.stix_pattern import equalities

HASH_NAMES = {"MD5": "md5", "SHA1": "sha1", "SHA256": "sha256", "SHA512": "sha512"}
END = "end of a connection"
SINGLE = ("ipv4-addr", "ipv6-addr", END)
"""Types of which a block of one address is that address."""
KINDS = {
    "ipv4-addr:value": "ipv4-addr",
    "ipv6-addr:value": "ipv6-addr",
    "domain-name:value": "domain-name",
    "domain-name:resolves_to_refs.value": END,
    "hostname:value": "domain-name",
    "x-opencti-hostname:value": "domain-name",
    "network-traffic:src_ref.value": END,
    "network-traffic:dst_ref.value": END,
    "url:value": "url",
    "email-addr:value": "email-addr",
    "email-message:from_ref.value": "email-addr",
    "email-message:sender_ref.value": "email-addr",
    "email-message:to_refs.value": "email-addr",
    "email-message:cc_refs.value": "email-addr",
    "email-message:bcc_refs.value": "email-addr",
    "email-message:body_multipart.body_raw_ref.name": "file-name",
    "file:name": "file-name",
    "file:path": "file-name",
    "mac-addr:value": "mac-addr",
    "mutex:name": "mutex",
    "windows-registry-key:key": "registry-key",
    "win-registry-key:key": "registry-key",
    "process:name": "process",
    "process:command_line": "process",
    "process:binary_ref.name": "file-name",
    "process:image_ref.name": "file-name",
    "user-account:user_id": "user-account",
    "user-account:account_login": "user-account",
    "user-account:display_name": "user-account",
    "autonomous-system:number": "asn",
    "vulnerability:name": "vulnerability",
    "x509-certificate:serial_number": "other",
}
"""Paths by which a value is of a type; a hash is told by its name, wherever it stands."""
STANDARD = frozenset(
    (
        *("artifact", "autonomous-system", "directory", "domain-name", "email-addr"),
        *("email-message", "file", "ipv4-addr", "ipv6-addr", "mac-addr", "mutex"),
        *("network-traffic", "process", "software", "url", "user-account"),
        *("windows-registry-key", "win-registry-key", "x509-certificate"),
    )
)
"""Observables that STIX defines: their other properties (ports, sizes ...) are no indicators."""
NAMING = ("value", "name", "id", "key")
"""Properties by which an observable of somebody's own is known: indicators of type `other`."""
ADDRESS_END = re.compile(r"\d\s*$|:")
"""What no name of a domain has: some feeds put addresses there."""
PART = re.compile(r"[\w-]+|'[^']*'|\"[^\"]*\"")
INDEX = re.compile(r"\[[^\]]*\]")
LONGEST_PATH = 300


def pattern_indicators(pattern: str) -> list[Indicator]:
    """Return an indicator for each value that a STIX pattern looks for, if its type is known."""
    found = []
    for path, value in equalities(pattern):
        kind = kind_of(path) if len(path) <= LONGEST_PATH else None
        one = typed(kind, value) if kind else None
        if one is not None:
            found.append(one)
    return found


@lru_cache(4096)
def kind_of(path: str) -> str | None:
    """Return the type of the values under a path; None where they are no indicators."""
    name, _, rest = path.partition(":")
    parts = [part.strip("'\"").lower() for part in PART.findall(INDEX.sub("", rest))]
    known = KINDS.get(f"{name.lower()}:{'.'.join(parts)}")
    if known or not parts:
        return known
    if len(parts) > 1 and parts[-2] in ("hashes", "cert"):
        return "other" if "sections" in parts else _hash_kind(parts[-1])
    own = name.lower() not in STANDARD and len(parts) == 1 and parts[0] in NAMING
    return "other" if own else None


def _hash_kind(name: str) -> str:
    return HASH_NAMES.get(name.upper().replace("-", "").replace("_", ""), "other")


def typed(kind: str, value: str) -> Indicator | None:
    """Return a value as an indicator of a type; a hash of the wrong length becomes `other`."""
    if kind in SINGLE:
        value = value.strip().removesuffix("/32" if "." in value else "/128")
    if kind == END or (kind == "domain-name" and ADDRESS_END.search(value)):
        return classified(value)
    if kind == "asn":
        return indicator(kind, value if value[:2].upper() == "AS" else f"AS{value}")
    if kind in HASHES.values() and (HASHES.get(len(value)) != kind or not HEX.fullmatch(value)):
        kind = "other"
    return indicator(kind, value)


def object_indicators(found: dict[str, Any]) -> Iterator[Indicator]:
    """Yield the indicators that an observable object holds in its own properties."""
    name = found.get("type")
    if not isinstance(name, str) or len(name) > LONGEST_PATH:
        return
    for key, value in found.items():
        text = str(value) if type(value) is int else value
        if not isinstance(text, str) or len(key) > LONGEST_PATH:
            continue
        kind = KINDS.get(f"{name}:{key}")
        one = typed(kind, text) if kind else None
        if one is not None:
            yield one
    hashes = found.get("hashes")
    for key, value in hashes.items() if isinstance(hashes, dict) else ():
        one = typed(_hash_kind(key), value) if isinstance(value, str) else None
        if one is not None:
            yield one
