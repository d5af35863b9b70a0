"""MISP events: alone, in lists, as the answers of its searches, and as the files of its feeds.

https://www.misp-standard.org/rfc/misp-standard-core.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from periscope.errors import FeedError
from periscope.feeds.format import FAMILY, Item, Sample, Skip
from periscope.feeds.inputs import Input
from periscope.feeds.json_records import JsonFormat, Map, first_records
from periscope.feeds.lines import BOM
from periscope.feeds.misp_event import attribute_finding, event_finding
from periscope.feeds.misp_refusals import refused, refused_start
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord, kind
from periscope.models import Report

OWN = ("threat_level_id", "Attribute", "Object", "Orgc", "orgc_id", "analysis", "attribute_count")
"""Beside `info` and `uuid`, one of these makes an object an event of MISP's."""


class Misp(JsonFormat):
    """One report for each event; for each attribute where a search of attributes answers."""

    name = "misp"
    title = "MISP events, searches and feed events"
    one_report_is = "an event; an attribute, in the answer to a search of attributes"
    rank = FAMILY
    example = (
        b'{"Event": {"uuid": "5f2b9c1e-3a44-4d0e-9d15-0a8c1d2e3f40", "info": "Phishing kit", '
        b'"date": "2024-01-31", "timestamp": "1706688000", "threat_level_id": "2", '
        b'"analysis": "2", "Orgc": {"name": "Example CERT"}, "Tag": [{"name": "tlp:green"}], '
        b'"Attribute": [{"type": "domain|ip", "category": "Network activity", "to_ids": true, '
        b'"value": "login.example.com|203.0.113.9", "comment": "landing page"}]}}\n'
    )
    mapping = (
        ("threat_id", "`misp:` and `uuid`; without one, of `Orgc.name`, `info` and `date`"),
        ("content", "`info`, how many attributes of which types, the first 60, `EventReport`s"),
        ("severity", "`threat_level_id`"),
        ("source", "`Orgc.name`, else `Org.name`, else `misp`"),
        ("observed_at", "`timestamp`, else `publish_timestamp`, else `date`"),
        ("metadata.title", "`info`"),
        ("metadata.type", "`report`; `indicator` for an attribute"),
        (
            "metadata.tags",
            "names of the tags of the event and of its attributes, names of galaxy clusters, "
            "ids of ATT&CK's techniques",
        ),
        ("metadata.tlp", 'the strictest of the tags (`tlp:green`, `cert-fr:TLP="clear"`)'),
        ("metadata.references", "attributes of type `link`"),
        (
            "metadata.indicators",
            "attributes that are `to_ids` (all, if none is) and CVEs, of the event and its "
            "objects, both parts of types such as `domain|ip`; none that are `deleted`",
        ),
        (
            "metadata.first_observed, .last_observed",
            "earliest `first_seen` and latest `last_seen` of the attributes; else `date`",
        ),
        ("metadata.industry", "galaxy clusters of type `sector`"),
        ("metadata.analysis", "`initial`, `ongoing` or `completed`"),
        ("metadata.published", "`publish_timestamp`"),
        ("metadata.distribution, .extends", "`distribution`, `extends_uuid`"),
        ("metadata.attributes", "how many attributes there are"),
        ("metadata.raw", "the event's own fields, without the lists in it"),
    )
    members = (b"response",)
    marks = (
        re.compile(rb'"(?:threat_level_id|to_ids|proposal_email_lock|extends_uuid)"\s*:'),
        re.compile(rb'"(?:info|value)"\s*:'),
        re.compile(rb'"uuid"\s*:'),
    )

    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether it is or holds an event or attribute, or is something else of MISP's."""
        if refused(record) is not None:
            return True
        ones = _inside(record)
        return any(map(_is_own, [record] if ones is None else ones[:1]))

    def inside(self, record: dict[str, Any]) -> list[Any] | None:
        """Return the events or attributes in an answer of MISP's, or in any other wrapper."""
        if "info" in record:
            return None
        found = _inside(record)
        return super().inside(record) if found is None else found

    def recognises(self, sample: Sample) -> bool:
        """Whether it begins with an event, or with something else of MISP's."""
        text = sample.data.removeprefix(BOM)
        return super().recognises(sample) or (
            not sample.complete and refused_start(text) is not None
        )

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Return what maps an event or attribute."""

        def report(record: Any) -> Report:
            return _report(record, options)

        return report

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the reports of the events.

        Raises:
            FeedError: at once where it is something else of MISP's than events.

        """
        sample = Sample(*source.sample())
        if why := _refused(sample):
            raise FeedError(why)
        return super().read(source, options, skip)


def _refused(sample: Sample) -> str | None:
    first = next(islice(first_records(sample, Misp.members), 1), None)
    if first is None and not sample.complete:
        return refused_start(sample.data.removeprefix(BOM))
    return refused(first) if isinstance(first, dict) else None


def _is_own(record: object) -> bool:
    if not isinstance(record, dict):
        return False
    if isinstance(record.get("info"), str):
        return isinstance(record.get("uuid"), str) and any(key in record for key in OWN)
    return _is_attribute(record) and "to_ids" in record


def _is_attribute(record: dict[str, Any]) -> bool:
    return isinstance(record.get("type"), str) and "value" in record


def _inside(record: object) -> list[Any] | None:
    """Return the events or attributes for which a record is a wrapper; None for one itself."""
    if not isinstance(record, dict) or "info" in record:
        return None
    answer = record.get("response")
    if answer is not None:
        ones = answer if isinstance(answer, list) else [answer]
        return [part for one in ones for part in (_unwrapped(one) or [one])]
    return _unwrapped(record)


def _unwrapped(record: object) -> list[Any] | None:
    if not isinstance(record, dict) or "info" in record:
        return None
    event, found = record.get("Event"), record.get("Attribute")
    if isinstance(found, dict):
        return [{**found, "Event": event} if isinstance(event, dict) else found]
    if isinstance(found, list) and "type" not in record:
        return found
    if isinstance(event, list):
        return event
    return [event] if isinstance(event, dict) and "type" not in record else None


def _report(record: object, options: ReadOptions) -> Report:
    if not isinstance(record, dict):
        raise BadRecord(f"{kind(record)} instead of a MISP event")
    if why := refused(record):
        raise BadRecord(why)
    if isinstance(record.get("info"), str) and record["info"].strip():
        return event_finding(record, options).report(options)
    if _is_attribute(record):
        return attribute_finding(record, options).report(options)
    raise BadRecord("no info, so this is no MISP event")
