"""STIX 2.1 and 2.0: bundles, TAXII 2.1 envelopes, arrays, single objects, or an object a line.

https://docs.oasis-open.org/cti/stix/v2.1/. An object may name an author or a marking that comes
later in the file, so there are two passes: the first learns those, the second gives reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from periscope.errors import FeedError
from periscope.feeds.finding import is_true
from periscope.feeds.format import FAMILY, Item, Sample, Skip
from periscope.feeds.inputs import Input
from periscope.feeds.json_records import FAILURES, JsonFormat, Map, first_records, is_lines
from periscope.feeds.json_split import SPACE, split_json
from periscope.feeds.lines import BOM, split_lines
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord, kind, quote
from periscope.feeds.stix_context import DEEPEST_BUNDLE, Context
from periscope.feeds.stix_finding import alert_in, is_done, observed
from periscope.feeds.stix_finding import finding as alert_finding
from periscope.feeds.stix_object import finding, moment
from periscope.models import Report

SOURCE = "stix"
ID = re.compile(r"[a-z0-9][a-z0-9_-]*--[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
ID_IN_TEXT = re.compile(rb'"id"\s*:\s*"' + ID.pattern.encode() + rb'"')
LONGEST_TYPE = 64
UNVERSIONED = ("marking-definition", "bundle")
ENVELOPE = {"more", "next"}


class Stix(JsonFormat):
    """One report for each object of a type that is a threat (severity.toml), and each alert."""

    name = "stix"
    title = "STIX 2.1 and 2.0, TAXII 2.1 envelopes"
    one_report_is = "an object of a type that is a threat; an alert in observed-data"
    rank = FAMILY
    members = (b"objects",)
    marks = (
        ID_IN_TEXT,
        re.compile(rb'"(?:spec_version|created_by_ref|objects|pattern|modified)"\s*:'),
    )
    example = (
        b'{"type": "bundle", "id": "bundle--0b6c1b3c-5d5e-4b6b-8f0a-2f1f3c4d5e6f", "objects": ['
        b'{"type": "indicator", "spec_version": "2.1", '
        b'"id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", '
        b'"created": "2024-01-31T08:00:00.000Z", "modified": "2024-01-31T08:00:00.000Z", '
        b'"name": "Beacon address", "pattern": "[ipv4-addr:value = \'203.0.113.7\']", '
        b'"pattern_type": "stix", "valid_from": "2024-01-31T08:00:00Z"}]}\n'
    )
    mapping = (
        ("threat_id", "`id`; of an alert in `observed-data`, `stix:` and its `alert_id`"),
        ("content", "`description`, else `name`, else `pattern`"),
        ("severity", "by a word, CVSS, score, CAPEC severity or type; an alert's `severity`"),
        (
            "source",
            "name of the `identity` in `created_by_ref`, wherever in the file it stands; "
            "else `stix`",
        ),
        ("observed_at", "`modified`; an alert's `time_observed`"),
        ("metadata.title", "`name`, else `pattern`"),
        ("metadata.type", "`type`; `alert` for an alert"),
        (
            "metadata.tags",
            "`labels`, `indicator_types`, `malware_types`, `tool_types`, `threat_actor_types`, "
            "`report_types`, `infrastructure_types`, `incident_types`, names of kill chain phases, "
            "external ids of ATT&CK, CAPEC, CWE, CVE; names of malware, actors and the like (of "
            "techniques their ATT&CK ids) to which it refers",
        ),
        (
            "metadata.tlp",
            "the strictest TLP 1 or TLP 2 marking in `object_marking_refs`, `granular_markings` "
            "and `labels`, by its fixed id or as the file defines it",
        ),
        (
            "metadata.references",
            "links of `external_references`, or their ids where there is no link",
        ),
        (
            "metadata.indicators",
            "values that the `pattern` looks for; CVE ids; what the observables and indicators "
            "hold to which it refers; what was observed beside an alert",
        ),
        (
            "metadata.first_observed, .last_observed",
            "`first_seen`, `last_seen`; `first_observed`, `last_observed` of an alert",
        ),
        ("metadata.industry", "sectors that it targets or refers to, else those of its author"),
        ("metadata.valid_from, .valid_until, .published", "the same"),
        (
            "metadata.confidence, .pattern, .pattern_type, .aliases, .x_mitre_platforms",
            "the same; the first 4,096 characters of a pattern",
        ),
        ("metadata.src_ip, .dst_ip, .src_host, .dst_host, .finding_type", "of an alert"),
        ("metadata.raw", "the object, or the alert"),
    )

    def recognises(self, sample: Sample) -> bool:
        """Whether one of the first objects is a bundle or has a type and the id that goes with it.

        A TAXII page without objects is one, too.
        """
        return super().recognises(sample) or (sample.complete and _is_empty(sample.data))

    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether it is a bundle, or has a type and the id that goes with it."""
        return _is_stix(record)

    def inside(self, record: dict[str, Any]) -> list[Any] | None:
        """Return the objects of a bundle that stands where an object should."""
        return _inside(record)

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map objects by themselves, whatever others say of them."""
        return _Mapper(options, Context(), skip).report

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the reports of the objects; revoked, deprecated and other objects are skipped."""
        source.make_repeatable()
        lines = _is_lines(Sample(*source.sample()))
        report = _Mapper(options, _learned(source, options, lines=lines), skip).report
        yield from self.items(source, options, report, lines=lines)


def _is_stix(record: object) -> bool:
    if not isinstance(record, dict):
        return False
    named, found = record.get("type"), record.get("id")
    if named == "bundle":
        return isinstance(found, str) or "objects" in record
    own = isinstance(found, str) and isinstance(named, str) and found.startswith(f"{named}--")
    return own and ID.fullmatch(str(found)) is not None


def _is_empty(data: bytes) -> bool:
    """Whether it is a bundle or page without objects."""
    try:
        found = msgspec.json.decode(data.removeprefix(BOM))
    except FAILURES:
        return False
    if not isinstance(found, dict) or found.get("objects") != []:
        return False
    return found.get("type") == "bundle" or found.keys() <= {*ENVELOPE, "objects"}


def _is_lines(sample: Sample) -> bool:
    """Whether each line is an object or a small bundle; one bundle on a line is cut up instead."""
    if not is_lines(sample):
        return False
    lines = sample.data.removeprefix(BOM).lstrip(SPACE).split(b"\n", 2)
    first, second = (next(first_records(Sample(one, True), ()), None) for one in lines[:2])
    if not isinstance(first, dict) or not _is_stix(first):
        return False
    return first.get("type") != "bundle" or isinstance(second, dict)


def _learned(source: Input, options: ReadOptions, *, lines: bool) -> Context:
    """What objects say of each other, from a first pass."""
    context = Context()
    limit = options.max_record_bytes
    try:
        if lines:
            for line in split_lines(source.chunks(), limit):
                context.learn(line or b"")
            return context
        for piece in split_json(source.chunks(), limit, Stix.members):
            context.learn(piece.raw)
    except FeedError:
        pass  # the second pass comes to the same place and reports it
    return context


def _inside(record: object, depth: int = 0) -> list[Any] | None:
    """Return the objects of a bundle that stands where an object should; None for an object."""
    if not isinstance(record, dict) or record.get("type") != "bundle":
        return None
    objects = record.get("objects")
    if not isinstance(objects, list):
        return None
    if depth == DEEPEST_BUNDLE:
        raise BadRecord(f"bundles inside each other, more than {DEEPEST_BUNDLE}; take them apart")
    found: list[Any] = []
    for one in objects:
        inner = _inside(one, depth + 1)
        found += [one] if inner is None else inner
    return found


class _Mapper:
    def __init__(self, options: ReadOptions, context: Context, skip: Skip) -> None:
        self._options = options
        self._context = context
        self._skip = skip
        self._types = options.severity_map.stix_types

    def report(self, found: object) -> Report | None:
        """Return the report of an object; None where it is skipped and counted.

        Raises:
            BadRecord: it is not a valid object of its type.

        """
        if not isinstance(found, dict):
            raise BadRecord(f"{kind(found)} instead of a STIX object")
        if found.keys() <= ENVELOPE:
            self._skip("page without objects")
            return None
        type_name, threat_id = _identified(found)
        try:
            _check_version(found, type_name)
            if type_name == "observed-data" and not is_true(found.get("revoked")):
                return self._observed(found)
            reason = self._unwanted(found, type_name)
            if reason is None:
                made = finding(
                    found, self._context, self._source(found), self._options.severity_map
                )
                return made.report(self._options)
        except BadRecord as exc:
            raise BadRecord(str(exc), exc.threat_id or threat_id) from None
        self._skip(reason)
        return None

    def _observed(self, found: dict[str, Any]) -> Report | None:
        parts = observed(found, self._context)
        alert = alert_in(parts)
        if alert is None or is_done(alert):
            self._skip("observed-data" if alert is None else "closed alert")
            return None
        made = alert_finding(found, alert, parts, self._context, self._options)
        return made.report(self._options)

    def _unwanted(self, found: dict[str, Any], type_name: str) -> str | None:
        if type_name == "bundle":
            return _empty_bundle(found)
        if type_name not in self._types:
            return type_name[:LONGEST_TYPE]
        if is_true(found.get("revoked")):
            return "revoked"
        return "deprecated" if is_true(found.get("x_mitre_deprecated")) else None

    def _source(self, found: dict[str, Any]) -> str:
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


def _check_version(found: dict[str, Any], type_name: str) -> None:
    """Check the version's times; the kinds of object that have no versions have none."""
    if type_name in UNVERSIONED or not ("created" in found or "modified" in found):
        return
    created, modified = moment(found, "created"), moment(found, "modified")
    if created is None or modified is None:
        raise BadRecord("created or modified is missing; STIX requires both")
    if modified < created:
        raise BadRecord("modified lies before created; one of the two times is wrong")


def _empty_bundle(found: dict[str, Any]) -> str:
    if found.get("objects") is not None:
        raise BadRecord(f"objects is {kind(found['objects'])}; a bundle holds a list")
    return "bundle without objects"


def _if_text(value: object) -> str | None:
    return value if isinstance(value, str) else None
