"""Entities of Microsoft's alerts: nested objects, each of a type, as indicators.

https://learn.microsoft.com/azure/sentinel/entities-reference. They come as a list, as an object of
lists by type, or as JSON in a text; in each of these an entity may hold others, and `$ref` stands
for one that was written before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from periscope.feeds.envelopes import decoded
from periscope.feeds.finding import list_of
from periscope.feeds.harvest import KINDS, MOST_NODES
from periscope.feeds.indicators import Indicator

VALUES: dict[str, tuple[tuple[str, str], ...]] = {
    "ip": (("address", "address"),),
    "url": (("url", "url"),),
    "dns": (("domainname", "domain"),),
    "file": (("name", "file"),),
    "filehash": (("value", "hash"),),
    "account": (("name", "user"),),
    "mailbox": (("mailboxprimaryaddress", "email"), ("upn", "user")),
    "mailmessage": (
        *(("sender", "email"), ("p1sender", "email"), ("p2sender", "email")),
        *(("recipient", "email"), ("senderip", "address"), ("urls", "url")),
    ),
    "registrykey": (("key", "registry"),),
    "malware": (),
}
"""Members that hold a value, by type of entity, and the kinds of `harvest.KINDS` they are.

Types and members are in lower case, as some write them with a capital, and without hyphens.
"""
NO_TIME = "0001-01-01"
Entity = dict[str, Any]


def walk(found: object) -> Iterator[tuple[str, Entity]]:
    """Yield all entities with their types, those inside others too; texts of JSON are decoded."""
    waiting: list[Any] = [decoded(found)]
    for node in waiting:  # it grows meanwhile
        if isinstance(node, dict):
            lowered = {key.lower(): value for key, value in node.items()}
            kind = lowered.get("type") or lowered.get("kind")
            if isinstance(kind, str):
                yield kind.lower().replace("-", ""), lowered
        inner = node.values() if isinstance(node, dict) else list_of(node)
        if len(waiting) < MOST_NODES:
            waiting += [one for one in inner if type(one) is dict or type(one) is list]


def stated_time(record: Entity, names: Iterable[str]) -> object:
    """Return the first of these times; Microsoft's year 1 means none."""
    for name in names:
        value = record.get(name)
        if value and not (isinstance(value, str) and value.startswith(NO_TIME)):
            return value
    return None


def indicators_of(kind: str, entity: Entity) -> Iterator[Indicator | None]:
    """Yield what can be looked for of one entity; none for types that are somebody's own things."""
    for key, sort in VALUES.get(kind, ()):
        value = entity.get(key)
        if key == "key" and isinstance(entity.get("hive"), str):
            value = f"{entity['hive']}\\{value}"
        if kind == "account" and isinstance(entity.get("upnsuffix"), str) and entity["upnsuffix"]:
            value = f"{value}@{entity['upnsuffix']}"
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, str) and one:
                yield KINDS[sort](one)
