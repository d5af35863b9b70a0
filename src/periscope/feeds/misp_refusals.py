"""What else MISP writes as JSON, and why none of it is imported as threats."""

from __future__ import annotations

import re
from typing import Any

UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
MANIFEST = (
    "a MISP feed's manifest, which lists events without what is in them: add the feed with "
    'kind = "misp", or ingest the event files beside it'
)
WARNINGLIST = (
    "a MISP warninglist, which names what is harmless: no threats; "
    "`periscope warninglists load` takes it"
)
GALAXY = "a MISP galaxy, which explains names: no threats"
STUB = (
    "an entry of MISP's index of events, without their attributes: fetch the events themselves "
    "(/events/restSearch)"
)
KINDS = {
    "SharingGroup": "MISP sharing groups: no threats",
    "Warninglist": WARNINGLIST,
    "Warninglists": WARNINGLIST,
    "Galaxy": GALAXY,
    "GalaxyCluster": GALAXY,
    "Taxonomy": "a MISP taxonomy, which explains tags: no threats",
    "Feed": "MISP's list of feeds: no threats; add the feeds themselves",
    "Noticelist": "a MISP noticelist: no threats",
}
LIST_TYPES = ("string", "substring", "hostname", "cidr", "regex")
CONTENT = ("Attribute", "Object", "Tag", "Galaxy", "EventReport", "ShadowAttribute")
MOST_KEYS = 20
START = {
    MANIFEST: (
        re.compile(rb'\s*\{\s*"' + UUID.pattern.encode() + rb'"\s*:\s*\{'),
        re.compile(rb'"(?:Orgc|threat_level_id)"\s*:'),
    ),
    WARNINGLIST: (
        re.compile(rb'\s*\{\s*"(?:description|name|list|matching_attributes|type|version)"\s*:'),
        re.compile(rb'"list"\s*:\s*\[\s*"'),
        re.compile(rb'"(?:description|matching_attributes|version)"\s*:'),
    ),
    GALAXY: (
        re.compile(rb'\s*\{\s*"(?:authors|category|description|name|source|type|uuid)"\s*:'),
        re.compile(rb'"(?:authors|category)"\s*:'),
        re.compile(rb'"values"\s*:\s*\[\s*\{'),
    ),
}
"""How those begin that may be longer than what is looked at: the start, and what must follow."""


def refused(record: dict[str, Any]) -> str | None:
    """Return why a record of MISP's is no event, in a line; None if it may be one, or is none."""
    if "info" in record:
        return STUB if _is_stub(record) else None
    if record and all(map(_is_entry, list(record.items())[:MOST_KEYS])):
        return MANIFEST
    if isinstance(record.get("list"), list) and (
        "matching_attributes" in record or record.get("type") in LIST_TYPES
    ):
        return WARNINGLIST
    if _is_galaxy(record):
        return GALAXY
    if "predicates" in record and "namespace" in record:
        return KINDS["Taxonomy"]
    if "Event" in record:
        return None
    return next(
        (why for key, why in KINDS.items() if isinstance(record.get(key), dict | list)), None
    )


def refused_start(text: bytes) -> str | None:
    """Return why a text that begins so holds no events, by its first bytes alone."""
    for why, (start, *others) in START.items():
        if start.match(text) and all(mark.search(text) for mark in others):
            return why
    return None


def _is_galaxy(record: dict[str, Any]) -> bool:
    values = record.get("values")
    named = isinstance(values, list) and all(
        isinstance(one, dict) and "value" in one for one in values[:MOST_KEYS]
    )
    return named and ("authors" in record or "category" in record) and "severity" not in record


def _is_entry(item: tuple[str, Any]) -> bool:
    key, value = item
    return UUID.fullmatch(key) is not None and isinstance(value, dict) and "info" in value


def _is_stub(record: dict[str, Any]) -> bool:
    """Whether it is an event of the index: it says how many attributes there are, but has none."""
    counted = "EventTag" in record or "attribute_count" in record
    return counted and not any(key in record for key in CONTENT)
