"""Types: those of MISP's attributes, which warninglists name, as types of our indicators."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

ADDRESSES = frozenset(("ipv4-addr", "ipv6-addr"))
HASHES = frozenset(("md5", "sha1", "sha256", "sha512"))
KINDS = frozenset(
    (
        *ADDRESSES,
        *HASHES,
        *("domain-name", "url", "email-addr", "file-name", "mac-addr", "vulnerability"),
        *("user-account", "asn", "registry-key", "mutex", "process", "other"),
    )
)
# Their values mean the same in capitals.
CASELESS = ADDRESSES | HASHES | {"domain-name", "email-addr", "mac-addr", "vulnerability", "asn"}
ALL = "ALL"

_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "ip": tuple(ADDRESSES),
    "ip-src": tuple(ADDRESSES),
    "ip-dst": tuple(ADDRESSES),
    "hostname": ("domain-name",),
    "domain": ("domain-name",),
    "url": ("url",),
    "uri": ("url",),
    "link": ("url",),
    "email": ("email-addr",),
    "email-src": ("email-addr",),
    "email-dst": ("email-addr",),
    "email-reply-to": ("email-addr",),
    "target-email": ("email-addr",),
    "whois-registrant-email": ("email-addr",),
    "dns-soa-email": ("email-addr",),
    "md5": ("md5",),
    "sha1": ("sha1",),
    "sha256": ("sha256",),
    "sha512": ("sha512",),
    "x509-fingerprint-md5": ("md5",),
    "x509-fingerprint-sha1": ("sha1",),
    "x509-fingerprint-sha256": ("sha256",),
    "malware-sample": ("file-name", "md5"),
    "filename": ("file-name",),
    "mac-address": ("mac-addr",),
    "mac-eui-64": ("mac-addr",),
    "vulnerability": ("vulnerability",),
    "AS": ("asn",),
    "regkey": ("registry-key",),
    "mutex": ("mutex",),
    "process-name": ("process",),
    "github-username": ("user-account",),
    "target-user": ("user-account",),
    "other": ("other",),
    "text": ("other",),
}


_HASH_KINDS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}


def kind_of(value: str) -> str:
    """The type of indicator that a value looks like; `other` if it looks like none."""
    try:
        address = ip_network(value, strict=False)
    except ValueError:
        pass
    else:
        return f"ipv{address.version}-addr"
    if "://" in value:
        return "url"
    if len(value) in _HASH_KINDS and not value.strip("0123456789abcdefABCDEF"):
        return _HASH_KINDS[len(value)]
    if "@" in value:
        return "email-addr"
    if "/" in value:
        return "url"
    return "domain-name" if "." in value else "other"


def kinds_of(attributes: Iterable[str]) -> frozenset[str]:
    """Types of indicators that a list is for, by its `matching_attributes`.

    Of a composite (`domain|ip`, `filename|md5`) each half counts. None at all, and `ALL`, are every
    type; attributes that no indicator of ours has are none.
    """
    named = list(attributes)
    if not named or ALL in named:
        return KINDS
    halves = (half for name in named for half in name.split("|"))
    return frozenset(kind for half in halves for kind in _ATTRIBUTES.get(half, ()))
