"""Indicators out of nested objects: values under keys that a vendor uses for one kind of thing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from periscope.feeds.indicators import EMAIL, URL, Indicator, address, hashed, host, indicator

MOST_NODES = 5_000
"""Objects and lists that are looked into: what a record holds beyond them gives no indicators."""
SEPARATOR = re.compile(r"[\\/]")
ASN = re.compile(r"(?:AS)?(\d{1,10})", re.IGNORECASE)
NO_NAMES = ("localhost", "-", "n/a", "unknown", "none", "null")


def harvest(value: object, keys: Mapping[str, str]) -> Iterator[Indicator]:
    """Yield the indicators under these keys, at any depth; `keys` says the kind of each.

    Kinds are those of `KINDS`. A value that is none of its kind is passed over. A key of two words,
    such as `file.name`, is for the member `name` of the object `file`. Shallow ones come first, in
    the order of the record.
    """
    kind_of = keys.get
    waiting: list[tuple[str, Any]] = [("", value)] if isinstance(value, dict | list) else []
    for name, node in waiting:  # it grows meanwhile
        members = node.items() if type(node) is dict else [(name, one) for one in node]
        for key, inner in members:
            sort = type(inner)  # exact types: this loop is most of what a large record costs
            if sort is str:
                kind = kind_of(key) if key != "name" else kind_of(f"{name}.name")
                if kind is not None and (found := KINDS[kind](inner)):
                    yield found
            elif (sort is dict or sort is list) and inner and len(waiting) < MOST_NODES:
                waiting.append((key, inner))


def domain(text: str) -> Indicator | None:
    """Return a domain name with at least one dot."""
    found = host(text)
    return found if found and found["type"] == "domain-name" else None


def link(text: str) -> Indicator | None:
    """Return a URL; None for what has no scheme."""
    return indicator("url", text) if URL.fullmatch(text.strip()) else None


def mail(text: str) -> Indicator | None:
    """Return an address of mail."""
    return indicator("email-addr", text) if EMAIL.fullmatch(text.strip()) else None


def file(text: str) -> Indicator | None:
    """Return the name of a file without its path."""
    return _named("file-name", SEPARATOR.split(text.strip())[-1])


def process(text: str) -> Indicator | None:
    """Return the name of a process without its path."""
    return _named("process", SEPARATOR.split(text.strip())[-1])


def user(text: str) -> Indicator | None:
    """Return the name of an account."""
    return _named("user-account", text)


def asn(text: str) -> Indicator | None:
    """Return the number of a network, as `AS64496`."""
    match = ASN.fullmatch(text.strip())
    return indicator("asn", f"AS{match[1]}") if match else None


def _named(kind: str, text: str) -> Indicator | None:
    return None if text.strip().lower() in NO_NAMES else indicator(kind, text)


def _of(kind: str) -> Callable[[str], Indicator | None]:
    return lambda text: indicator(kind, text)


KINDS: dict[str, Callable[[str], Indicator | None]] = {
    "address": address,
    "host": host,
    "domain": domain,
    "hash": hashed,
    "url": link,
    "email": mail,
    "file": file,
    "process": process,
    "user": user,
    "asn": asn,
    "cve": _of("vulnerability"),
    "mac": _of("mac-addr"),
    "registry": _of("registry-key"),
    "mutex": _of("mutex"),
    "other": _of("other"),
}
