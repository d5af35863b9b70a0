"""STIX 2.1 and 2.0: a bundle, a bare array of objects (as TAXII pages have), or single objects.

https://docs.oasis-open.org/cti/stix/v2.1/. An object may name an author or a marking that comes
later in the file, so there are two passes: the first learns those, the second gives reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from periscope.errors import FeedError
from periscope.feeds.format import FAMILY, Item, Sample, Skip
from periscope.feeds.inputs import Input
from periscope.feeds.json_records import mapped
from periscope.feeds.json_split import decode, split_json
from periscope.feeds.markings import Context
from periscope.feeds.moments import moment_ms
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord, kind, quote
from periscope.feeds.stix_object import metadata, severity
from periscope.models import Report

MEMBER = b"objects"
SOURCE = "stix"
ID = re.compile(r"[a-z0-9][a-z0-9-]*--[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
ID_IN_TEXT = re.compile(rb'"id"\s*:\s*"' + ID.pattern.encode() + rb'"')
LONGEST_TYPE = 64
UNVERSIONED = ("marking-definition", "bundle")


class Stix:
    """One report for each object of a type that is a threat (the types in severity.toml)."""

    name = "stix"
    title = "STIX 2.1 and 2.0, TAXII 2.1 envelopes"
    one_report_is = "an object of a type that is a threat"
    rank = FAMILY
    example = (
        b'{"type": "bundle", "id": "bundle--0b6c1b3c-5d5e-4b6b-8f0a-2f1f3c4d5e6f", "objects": ['
        b'{"type": "indicator", "spec_version": "2.1", '
        b'"id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", '
        b'"created": "2024-01-31T08:00:00.000Z", "modified": "2024-01-31T08:00:00.000Z", '
        b'"name": "Beacon address", "pattern": "[ipv4-addr:value = \'203.0.113.7\']", '
        b'"pattern_type": "stix", "valid_from": "2024-01-31T08:00:00Z"}]}\n'
    )
    mapping = (
        ("threat_id", "`id`"),
        ("content", "`description`, else `name`, else `pattern`"),
        ("severity", "by score, CAPEC severity or type"),
        (
            "source",
            "name of the `identity` in `created_by_ref`, wherever in the file it stands; "
            "else `stix`",
        ),
        ("observed_at", "`modified`"),
        ("metadata.title", "`name`, else `pattern`"),
        ("metadata.type", "`type`"),
        (
            "metadata.tags",
            "`labels`, `indicator_types`, `malware_types`, `tool_types`, `threat_actor_types`, "
            "`report_types`, names of kill chain phases, and external ids of ATT&CK, CAPEC, CWE, "
            "CVE",
        ),
        (
            "metadata.tlp",
            "the strictest TLP 1 or TLP 2 marking in `object_marking_refs`, by its fixed id or "
            "as the file defines it",
        ),
        (
            "metadata.references",
            "links of `external_references`, or their ids where there is no link",
        ),
        ("metadata.first_observed, .last_observed", "`first_seen`, `last_seen`"),
        ("metadata.valid_from, .valid_until, .published", "the same"),
        (
            "metadata.confidence, .pattern, .pattern_type, .aliases, .x_mitre_platforms",
            "the same",
        ),
    )

    def recognises(self, sample: Sample) -> bool:
        """Whether the first object is a bundle or has a type and the id that goes with it."""
        if sample.data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"["):
            return False
        pieces = split_json(iter((sample.data,)), len(sample.data), (MEMBER,))
        try:
            first = next(islice(pieces, 1), None)
            record = decode(first) if first else None
        except FeedError:
            first = record = None
        if first is None:
            return ID_IN_TEXT.search(sample.data) is not None and b'"type"' in sample.data
        return _is_stix(record)

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the reports of the objects; revoked, deprecated and other objects are skipped."""
        source.make_repeatable()
        context = _learn(source, options)
        pieces = split_json(source.chunks(), options.max_record_bytes, (MEMBER,))
        mapper = _Mapper(options, context, skip)
        yield from mapped(pieces, mapper.report)


def _is_stix(record: object) -> bool:
    if not isinstance(record, dict):
        return False
    named, found = record.get("type"), record.get("id")
    own = isinstance(found, str) and isinstance(named, str) and found.startswith(f"{named}--")
    return named == "bundle" or (own and ID.fullmatch(str(found)) is not None)


def _learn(source: Input, options: ReadOptions) -> Context:
    context = Context()
    try:
        for piece in split_json(source.chunks(), options.max_record_bytes, (MEMBER,)):
            context.learn(piece.raw)
    except FeedError:
        pass  # the second pass comes to the same place and reports it
    return context


class _Mapper:
    def __init__(self, options: ReadOptions, context: Context, skip: Skip) -> None:
        self._options = options
        self._context = context
        self._skip = skip

    def report(self, found: object) -> Report | None:
        """Return the report of an object; None where it is skipped and counted.

        Raises:
            BadRecord: it is not a valid object of its type.

        """
        if not isinstance(found, dict):
            raise BadRecord(f"{kind(found)} instead of a STIX object")
        type_name, threat_id = _identified(found)
        try:
            modified = _modified(found, type_name)
            reason = self._unwanted(found, type_name)
            if reason is None:
                return self._report(found, threat_id, modified)
        except BadRecord as exc:
            raise BadRecord(str(exc), threat_id) from None
        self._skip(reason)
        return None

    def _unwanted(self, found: dict[str, Any], type_name: str) -> str | None:
        if type_name == "bundle":
            return _empty_bundle(found)
        if type_name not in self._options.severity_map.stix_types:
            return type_name[:LONGEST_TYPE]
        if _is_true(found.get("revoked")):
            return "revoked"
        return "deprecated" if _is_true(found.get("x_mitre_deprecated")) else None

    def _report(self, found: dict[str, Any], threat_id: str, modified: int | None) -> Report:
        texts = (found.get(key) for key in ("description", "name", "pattern"))
        content = next((text for text in texts if isinstance(text, str) and text), threat_id)
        return Report(
            threat_id=threat_id,
            content=content,
            severity=severity(found, self._options.severity_map),
            metadata=metadata(found, self._context),
            source=self._source(found),
            observed_at=modified,
        )

    def _source(self, found: dict[str, Any]) -> str:
        if self._options.source is not None:
            return self._options.source
        author = found.get("created_by_ref")
        return self._context.names.get(author, SOURCE) if isinstance(author, str) else SOURCE


def _identified(found: dict[str, Any]) -> tuple[str, str]:
    type_name, threat_id = found.get("type"), found.get("id")
    if not isinstance(type_name, str) or not type_name:
        raise BadRecord("no type, so this is no STIX object", _if_text(threat_id))
    if not isinstance(threat_id, str) or not threat_id:
        raise BadRecord(f"{quote(type_name)} without an id; STIX requires one")
    if not threat_id.startswith(f"{type_name}--") or not ID.fullmatch(threat_id):
        raise BadRecord(f"id {quote(threat_id)} does not fit type {quote(type_name)}", threat_id)
    return type_name, threat_id


def _modified(found: dict[str, Any], type_name: str) -> int | None:
    """Return the version's time; None for the kinds of object that have no versions."""
    if type_name in UNVERSIONED or not {"created", "modified"} & found.keys():
        return None
    created, modified = moment(found, "created"), moment(found, "modified")
    if created is None or modified is None:
        raise BadRecord("created or modified is missing; STIX requires both")
    if modified < created:
        raise BadRecord("modified lies before created; one of the two times is wrong")
    return modified


def moment(found: dict[str, Any], key: str) -> int | None:
    """Return the time under a key in milliseconds; None without one.

    Raises:
        BadRecord: it is no time.

    """
    value = found.get(key)
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return moment_ms(value)
    except ValueError:
        pass
    raise BadRecord(f"{key} {quote(value)} is not a time; STIX wants RFC 3339")


def _empty_bundle(found: dict[str, Any]) -> str:
    if found.get("objects") is not None:
        raise BadRecord(f"objects is {kind(found['objects'])}; a bundle holds a list")
    return "bundle without objects"


def _is_true(value: object) -> bool:
    """Say whether it is true; some exporters write booleans as text."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def _if_text(value: object) -> str | None:
    return value if isinstance(value, str) else None
