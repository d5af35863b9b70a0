"""Indicators: what can be looked for, each with its type, in the spelling that lists match."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Network, IPv6Network, NetmaskValueError
from itertools import accumulate
from socket import AF_INET, inet_pton
from typing import Any

import msgspec

Indicator = dict[str, str]

TYPES = (
    *("ipv4-addr", "ipv6-addr", "domain-name", "url", "email-addr"),
    *("md5", "sha1", "sha256", "sha512", "file-name", "mac-addr", "vulnerability"),
    *("user-account", "asn", "registry-key", "mutex", "process", "other"),
)
"""STIX's words where STIX has one; `ipv4-addr` and `ipv6-addr` may be a network (CIDR)."""

MOST = 200
"""Indicators kept of one report; beyond them `indicators_total` says how many there were."""
MOST_BYTES = 21 * 1024
"""Bytes of their values: metadata is bounded, and so is what long URLs may take of it."""
MOST_ESCAPED = len("\\u0000")
"""Bytes that JSON takes for a character, at most."""
LONGEST = 2048
LONGEST_DOTTED = len("255.255.255.255")
LONGEST_HOST = 300
LOWERED = frozenset(("domain-name", "md5", "sha1", "sha256", "sha512", "mac-addr", "email-addr"))
HASHES = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
HEX = re.compile(r"[0-9a-fA-F]+")
IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?")
LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
DOMAIN = re.compile(rf"(?=.{{4,253}}$)(?:{LABEL}\.)+[a-z][a-z0-9-]{{0,61}}[a-z0-9]", re.IGNORECASE)
URL = re.compile(r"[a-z][a-z0-9+.-]{1,15}://[^\s\x00-\x1f]+", re.IGNORECASE)
EMAIL = re.compile(rf"[^\s@<>\"']{{1,64}}@{DOMAIN.pattern}", re.IGNORECASE)
CVE = re.compile(r"CVE-\d{4}-\d{4,19}", re.IGNORECASE)
ANY_CVE = re.compile(r"\bCVE[-_ ](\d{4})[-_](\d{4,19})", re.IGNORECASE)
_encode = msgspec.json.encode
CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def indicator(kind: str, value: object) -> Indicator | None:
    """Return an indicator of a known type; None for a value that is none of that type.

    Addresses are checked and written as the standard writes them; names, hashes and addresses of
    mail are in lower case. A value with control characters or of more than 2,048 is none.
    """
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not text or len(text) > LONGEST or (not text.isprintable() and CONTROL.search(text)):
        return None
    if kind in ("ipv4-addr", "ipv6-addr"):
        return address(text)
    if kind == "vulnerability":
        return {"type": kind, "value": text.upper()} if CVE.fullmatch(text) else None
    return {"type": kind, "value": text.lower() if kind in LOWERED else text}


def address(text: str) -> Indicator | None:
    """Return an address or network of either version as an indicator; None if it is none."""
    if len(text) <= LONGEST_DOTTED:
        try:
            inet_pton(AF_INET, text)
            return {"type": "ipv4-addr", "value": text}
        except (OSError, ValueError):  # a network, one of version 6, or none
            pass
    return _address(text)


def _address(text: str) -> Indicator | None:
    if ":" not in text and not text[:1].isdigit():
        return None  # a name: most of what is asked is
    single = "/" not in text
    try:
        if ":" in text:
            six = IPv6Network(text.strip("[]").partition("%")[0], strict=False)
            return {"type": "ipv6-addr", "value": str(six[0] if single else six)}
        if not IPV4.fullmatch(text):
            return None
        four = IPv4Network(text, strict=False)
        return {"type": "ipv4-addr", "value": str(four[0] if single else four)}
    except (AddressValueError, NetmaskValueError, ValueError):
        return None


def classified(value: object) -> Indicator | None:
    """Return a bare value as an indicator of the type that its form shows; None if none does.

    `hxxp` and `[.]`, by which reports make values harmless, are read as what they stand for.
    """
    if not isinstance(value, str):
        return None
    text = refanged(value.strip())
    if found := address(text):
        return found
    if HEX.fullmatch(text):
        return indicator(HASHES[len(text)], text) if len(text) in HASHES else None
    forms = ((URL, "url"), (CVE, "vulnerability"), (EMAIL, "email-addr"), (DOMAIN, "domain-name"))
    text = text.removesuffix(".")
    kind = next((kind for form, kind in forms if form.fullmatch(text)), None)
    return indicator(kind, text) if kind else None


def host(value: object) -> Indicator | None:
    """Return an address, or a full name of a host or domain, with or without a port.

    A name without a dot is that of somebody's own machine, and none.
    """
    if not isinstance(value, str) or len(value) > LONGEST_HOST:
        return None
    found = _host(value)
    return {"type": found[0], "value": found[1]} if found else None


@lru_cache(4096)
def _host(value: str) -> tuple[str, str] | None:
    text = value.strip()
    name, _, port = text.partition(":")
    name = name.rstrip(".").removeprefix("*.")
    found = address(text)
    if found is None and (not port or port.isdigit()):
        found = address(name)
        if found is None and DOMAIN.fullmatch(name):
            found = indicator("domain-name", name)
    return (found["type"], found["value"]) if found else None


def hashed(value: object) -> Indicator | None:
    """Return a hash in hexadecimal of the type that its length shows.

    There may be colons in it, or a name with a colon before it, as in `sha256:...`.
    """
    text = value.strip() if isinstance(value, str) else ""
    if ":" in text:
        last = text.rpartition(":")[2]
        text = last if len(last) in HASHES else text.replace(":", "")
    kind = HASHES.get(len(text))
    return {"type": kind, "value": text.lower()} if kind and HEX.fullmatch(text) else None


def hashes_in(value: object) -> list[Indicator | None]:
    """Return the hashes of a list such as `MD5=...,SHA256=...`, which Sysmon writes."""
    parts = value[:LONGEST].split(",") if isinstance(value, str) else []
    named = (part.strip().partition("=") for part in parts)
    return [hashed(text) for name, _, text in named if name.upper() != "IMPHASH"]


def cves_in(value: object) -> list[str]:
    """Return the CVE ids in a text, in the spelling of the standard; `_` may stand for `-`."""
    if not isinstance(value, str):
        return []
    found = (f"CVE-{one[1]}-{one[2]}" for one in ANY_CVE.finditer(value[:LONGEST]))
    return list(dict.fromkeys(found))


def refanged(text: str) -> str:
    """Undo `hxxp://`, `[.]`, `(.)`, `[:]` and `[@]`."""
    if "[" not in text and "(" not in text and text[:4].lower() != "hxxp":
        return text
    text = re.sub(r"[\[(]\.[\])]", ".", text)
    text = text.replace("[:]", ":").replace("[@]", "@").replace("[://]", "://")
    return re.sub(r"^hxxp", "http", text, flags=re.IGNORECASE)


def kept(found: Iterable[Indicator | None]) -> dict[str, Any]:
    """Return the metadata keys for indicators: each once, the first ones within the bounds."""
    unique = list({(one["type"], one["value"]): one for one in found if one}.values())
    if not unique:
        return {}
    fitting = fitting_bytes([one["value"] for one in unique[:MOST]], MOST_BYTES)
    if fitting == len(unique):
        return {"indicators": unique}
    return {"indicators": unique[:fitting], "indicators_total": len(unique)}


def fitting_bytes(values: list[str], most: int) -> int:
    """Return how many of these texts, from the first on, take no more bytes as JSON together."""
    text = "".join(values)
    if len(text) * MOST_ESCAPED <= most or len(_encode(text)) <= most:
        return len(values)
    taken = accumulate(len(_encode(value)) for value in values)
    return sum(1 for one in taken if one <= most)
