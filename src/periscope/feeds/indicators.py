"""Indicators: what can be looked for, each with its type, in the spelling that lists match."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Network, IPv6Network, NetmaskValueError
from typing import Any

Indicator = dict[str, str]

TYPES = (
    *("ipv4-addr", "ipv6-addr", "domain-name", "url", "email-addr"),
    *("md5", "sha1", "sha256", "sha512", "file-name", "mac-addr", "vulnerability"),
    *("user-account", "asn", "registry-key", "mutex", "process", "other"),
)
"""STIX's words where STIX has one; `ipv4-addr` and `ipv6-addr` may be a network (CIDR)."""

MOST = 200
"""Indicators kept of one report; beyond them `indicators_total` says how many there were."""
LONGEST = 2048
LOWERED = frozenset(("domain-name", "md5", "sha1", "sha256", "sha512", "mac-addr", "email-addr"))
HASHES = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
HEX = re.compile(r"[0-9a-fA-F]+")
IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?")
LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
DOMAIN = re.compile(rf"(?=.{{4,253}}$)(?:{LABEL}\.)+[a-z][a-z0-9-]{{0,61}}[a-z0-9]", re.IGNORECASE)
URL = re.compile(r"[a-z][a-z0-9+.-]{1,15}://[^\s\x00-\x1f]+", re.IGNORECASE)
EMAIL = re.compile(rf"[^\s@<>\"']{{1,64}}@{DOMAIN.pattern}", re.IGNORECASE)
CVE = re.compile(r"CVE-\d{4}-\d{4,19}", re.IGNORECASE)
CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def indicator(kind: str, value: object) -> Indicator | None:
    """Return an indicator of a known type; None for a value that is none of that type.

    Addresses are checked and written as the standard writes them; names, hashes and addresses of
    mail are in lower case. A value with control characters or of more than 2,048 is none.
    """
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not text or len(text) > LONGEST or CONTROL.search(text):
        return None
    if kind in ("ipv4-addr", "ipv6-addr"):
        return address(text)
    if kind == "vulnerability":
        return {"type": kind, "value": text.upper()} if CVE.fullmatch(text) else None
    return {"type": kind, "value": text.lower() if kind in LOWERED else text}


def address(text: str) -> Indicator | None:
    """Return an address or network of either version as an indicator; None if it is none."""
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


def refanged(text: str) -> str:
    """Undo `hxxp://`, `[.]`, `(.)`, `[:]` and `[@]`."""
    if "[" not in text and "(" not in text and text[:4].lower() != "hxxp":
        return text
    text = re.sub(r"[\[(]\.[\])]", ".", text)
    text = text.replace("[:]", ":").replace("[@]", "@").replace("[://]", "://")
    return re.sub(r"^hxxp", "http", text, flags=re.IGNORECASE)


def kept(found: Iterable[Indicator | None]) -> dict[str, Any]:
    """Return the metadata keys for indicators: each once, the first `MOST` of them."""
    unique = list({(one["type"], one["value"]): one for one in found if one}.values())
    if not unique:
        return {}
    if len(unique) <= MOST:
        return {"indicators": unique}
    return {"indicators": unique[:MOST], "indicators_total": len(unique)}
