"""What STIX objects say about each other, remembered in bounds while a file is read first.

Names and sectors of identities, TLP of markings, names of malware and actors, who points to whom,
and what observables and patterns hold: an object may refer to any of them before or after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from periscope.feeds.finding import dicts_of, list_of, texts
from periscope.feeds.indicators import Indicator
from periscope.feeds.markings import PREDEFINED, strictest, tlp_tag, tlp_word
from periscope.feeds.stix_observables import STANDARD, object_indicators, pattern_indicators

MAX_KEPT = 50_000
"""Things remembered while reading one file: about 25 MB at worst, beside `MAX_PART_BYTES`."""
MAX_NAME_CHARS = 256
MAX_SOURCE_CHARS = 64
"""Characters of a report's source, which may take 256 bytes."""
MAX_PART_BYTES = 8 * 1024 * 1024
"""Bytes of patterns and observables remembered, for the reports that refer to them."""
LARGEST_PART = 16 * 1024
MOST_REFS = 1_000
MOST_LINKS = 100
DEEPEST_BUNDLE = 3
NAMED = frozenset(
    ("malware", "tool", "threat-actor", "intrusion-set", "campaign", "attack-pattern", "incident")
)
LINKS = frozenset(("indicates", "targets", "attributed-to", "consists-of", "based-on"))
ATTACK = "mitre-"
FAILURES = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Kind(msgspec.Struct, gc=False):
    type: Any = None
    id: Any = None


class _Bundle(msgspec.Struct):
    objects: list[msgspec.Raw] = []


class _Head(msgspec.Struct, gc=False):
    name: Any = None
    identity_class: Any = None
    sectors: Any = None
    definition: Any = None
    extensions: Any = None
    external_references: Any = None
    relationship_type: Any = None
    source_ref: Any = None
    target_ref: Any = None
    pattern: Any = None


class Context:
    """What a file states that objects refer to by id."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.tlp: dict[str, str] = dict(PREDEFINED)
        self._sectors: dict[str, list[str]] = {}
        self._labels: dict[str, str] = {}
        self._links: dict[str, list[str]] = {}
        self._parts: dict[str, bytes] = {}
        self._room = MAX_PART_BYTES
        self._kept = 0
        self._kind = msgspec.json.Decoder(_Kind).decode
        self._head = msgspec.json.Decoder(_Head).decode
        self._learners: dict[str, Callable[[str, _Head], None]] = {
            "identity": self._identity,
            "marking-definition": self._marking,
            "relationship": self._relationship,
            **dict.fromkeys(NAMED, self._named),
        }

    def learn(self, raw: bytes, depth: int = 0) -> None:
        """Remember what an object says that others refer to; pass over anything else."""
        try:
            kind = self._kind(raw)
            if kind.type == "bundle":
                self._learn_bundle(raw, depth)
            elif isinstance(kind.type, str) and isinstance(kind.id, str) and self._kept < MAX_KEPT:
                self._learn(kind.type, kind.id, raw)
        except FAILURES:
            return

    def _learn_bundle(self, raw: bytes, depth: int) -> None:
        if depth < DEEPEST_BUNDLE:
            for one in msgspec.json.decode(raw, type=_Bundle).objects:
                self.learn(bytes(one), depth + 1)

    def _learn(self, type_name: str, own: str, raw: bytes) -> None:
        learner = self._learners.get(type_name)
        if learner is not None:
            learner(own, self._head(raw))
        elif type_name == "indicator" or type_name in STANDARD or type_name[:2] in ("x-", "x_"):
            self._part(own, raw)

    def _part(self, own: str, raw: bytes) -> None:
        if len(raw) <= min(LARGEST_PART, self._room):
            self._room -= len(raw)
            self._parts[own] = raw
            self._kept += 1

    def _identity(self, own: str, head: _Head) -> None:
        sectors = texts(list_of(head.sectors), MOST_LINKS, MAX_NAME_CHARS)
        if isinstance(head.name, str):
            self.names[own] = head.name[:MAX_SOURCE_CHARS]
            self._kept += 1
            if head.identity_class == "class":
                sectors = sectors or [head.name[:MAX_NAME_CHARS]]
        if sectors:
            self._sectors[own] = sectors

    def _marking(self, own: str, head: _Head) -> None:
        if word := _stated(head):
            self.tlp.setdefault(own, word)
            self._kept += 1

    def _named(self, own: str, head: _Head) -> None:
        label = _attack_id(head) or head.name
        if isinstance(label, str):
            self._labels[own] = label[:MAX_NAME_CHARS]
            self._kept += 1

    def _relationship(self, _: str, head: _Head) -> None:
        ends = (head.source_ref, head.target_ref)
        if head.relationship_type in LINKS and all(isinstance(end, str) for end in ends):
            found = self._links.setdefault(ends[0], [])
            if len(found) < MOST_LINKS:
                found.append(ends[1])
                self._kept += 1

    def strictest(self, found: dict[str, Any]) -> str | None:
        """Return the strictest TLP of an object: its markings, granular ones too, and its labels.

        A marking of one property only counts for the whole, so that it is never passed on too far.
        """
        refs = list_of(found.get("object_marking_refs"))
        if granular := found.get("granular_markings"):
            refs = refs + [part.get("marking_ref") for part in dicts_of(granular)]
        words = [self.tlp[ref] for ref in refs if isinstance(ref, str) and ref in self.tlp]
        if "labels" in found:
            words += filter(None, map(tlp_tag, list_of(found["labels"])))
        return strictest(words) if words else None

    def related(self, found: dict[str, Any]) -> list[str]:
        """Return ids of what an object refers to: by relationships, and as a report's content."""
        refs: list[str] = self._links.get(found["id"], [])
        for key in ("object_refs", "sample_refs"):
            if key in found:
                refs = refs + [ref for ref in list_of(found[key])[:MOST_REFS] if type(ref) is str]
        return refs

    def labels(self, refs: list[str]) -> list[str]:
        """Return names of malware, actors and the like among ids; ATT&CK ids of techniques."""
        return [self._labels[ref] for ref in refs if ref in self._labels]

    def sectors(self, refs: list[str]) -> list[str]:
        """Return the sectors of the identities among ids, each once."""
        return list(dict.fromkeys(one for ref in refs for one in self._sectors.get(ref, ())))

    def parts(self, refs: list[str]) -> dict[str, dict[str, Any]]:
        """Return the remembered observables and indicators among ids."""
        found = ((ref, _decoded(self._parts[ref])) for ref in refs if ref in self._parts)
        return {ref: part for ref, part in found if part is not None}

    def indicators(self, refs: list[str]) -> Iterator[Indicator]:
        """Yield what the patterns and observables among ids hold."""
        for part in self.parts(refs).values():
            if part["type"] == "indicator":
                yield from own_pattern(part)
            else:
                yield from object_indicators(part)


def _decoded(raw: bytes) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = msgspec.json.decode(raw)
    except FAILURES:  # a value that was passed over when it was learned: its own record says so
        return None
    return found


def own_pattern(found: dict[str, Any]) -> list[Indicator]:
    """Return the indicators of an object's pattern, if it is in STIX's language."""
    pattern, language = found.get("pattern"), found.get("pattern_type", "stix")
    in_stix = isinstance(language, str) and language.lower() == "stix"
    return pattern_indicators(pattern) if in_stix and isinstance(pattern, str) else []


def _stated(head: _Head) -> str | None:
    stated: list[object] = []
    if isinstance(head.definition, dict):
        stated += [head.definition.get("tlp")]
        stated += [text for text in [head.definition.get("statement")] if tlp_tag(text)]
    if isinstance(head.extensions, dict):
        stated += [
            part.get("tlp_2_0") for part in head.extensions.values() if isinstance(part, dict)
        ]
    words = [*map(tlp_word, stated), tlp_tag(head.name)]
    return next(filter(None, words), None)


def _attack_id(head: _Head) -> str | None:
    if not head.external_references:
        return None
    for part in dicts_of(head.external_references):
        name, own = part.get("source_name"), part.get("external_id")
        technique = isinstance(own, str) and own[:1] == "T"
        if technique and isinstance(name, str) and name.startswith(ATTACK):
            return str(own)
    return None
