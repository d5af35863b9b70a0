"""Security advisories and VEX documents in CSAF 2.0 and 2.1.

https://docs.oasis-open.org/csaf/csaf/v2.0/csaf-v2.0.html: one document is one advisory. The index
of a publisher (a ROLIE feed) and its `provider-metadata.json` name advisories and hold none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from periscope.errors import FeedError
from periscope.feeds.finding import (
    Finding,
    dict_of,
    dicts_of,
    own_id,
    required,
    severity_of,
    text_of,
)
from periscope.feeds.format import FAMILY, Item, Sample, Skip
from periscope.feeds.indicators import Indicator, indicator
from periscope.feeds.inputs import Input
from periscope.feeds.json_records import JsonFormat, Map
from periscope.feeds.markings import tlp_word
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.models import Report, Severity

WITHDRAWN = {"csaf_withdrawn": "withdrawn", "csaf_superseded": "superseded"}
NO_REMEDY = ("none_available", "no_fix_planned")
TOLD = ("summary", "description", "general", "details")
MOST_PRODUCTS = 100
LONGEST_NAME = 256
MOST_NODES = 20_000
"""Branches of a product tree that are looked into."""
CVSS = ("cvss_v4", "cvss_v3", "cvss_v2")
AFFECTED = (
    *("first_affected", "known_affected", "last_affected", "under_investigation"),
    *("recommended", "first_fixed", "fixed"),
)
INDEXES = (
    (re.compile(rb'"canonical_url"\s*:'), re.compile(rb'"(?:metadata|aggregator)_version"\s*:')),
    (
        re.compile(rb'"(?:feed|service)"\s*:\s*\{'),
        re.compile(rb"urn:ietf:params:rolie|csaf_json_schema"),
    ),
)
REFUSED = (
    "this is what a publisher or aggregator says of its advisories (provider-metadata.json), and "
    "no advisory; fetch the advisories it leads to",
    "this is an index of advisories (a ROLIE feed), not an advisory; fetch the documents whose "
    "links it lists",
)


class Csaf(JsonFormat):
    """One report a document; a new version of it is a sighting."""

    name = "csaf"
    title = "CSAF 2.0 and 2.1 advisories and VEX"
    one_report_is = "a document that is not withdrawn and affects a product"
    rank = FAMILY
    marks = (re.compile(rb'"csaf_version"\s*:'), re.compile(rb'"document"\s*:'))
    example = (
        b'{"document": {"category": "csaf_security_advisory", "csaf_version": "2.0", "title": '
        b'"Example Gateway: command injection", "publisher": {"category": "vendor", "name": '
        b'"Example Inc.", "namespace": "https://example.com"}, "distribution": {"tlp": {"label": '
        b'"WHITE"}}, "tracking": {"id": "EX-INC-7", "status": "final", "version": "1.0.0", '
        b'"initial_release_date": "2024-01-31T08:00:00Z", "current_release_date": '
        b'"2024-01-31T08:00:00Z"}}, "vulnerabilities": [{"cve": "CVE-2024-0001", "scores": '
        b'[{"cvss_v3": {"version": "3.1", "baseScore": 9.8, "baseSeverity": "CRITICAL"}}]}]}\n'
    )
    mapping = (
        ("threat_id", "`csaf:` and `document.tracking.id`"),
        (
            "content",
            "`document.notes` of the categories summary, description, general and details, else "
            "those of `vulnerabilities`, else the title",
        ),
        (
            "severity",
            "the highest CVSS base score in `vulnerabilities` (of each score or metric version 4 "
            "before 3 before 2), by CVSS bands; else `document.aggregate_severity.text`; else "
            "`threats` of the category impact",
        ),
        ("source", "`document.publisher.name`"),
        ("observed_at", "`document.tracking.current_release_date`"),
        ("metadata.title", "`document.title`"),
        ("metadata.type", "`vex` for the category `csaf_vex`, else `advisory`"),
        ("metadata.tags", "`cwe` and `cwes` of vulnerabilities, `document.category`"),
        ("metadata.tlp", "`document.distribution.tlp.label`"),
        (
            "metadata.references",
            "links of `document.references`, of vulnerabilities and of their `remediations`",
        ),
        ("metadata.indicators", "`cve` of `vulnerabilities`"),
        (
            "metadata.first_observed, .last_observed",
            "`tracking.initial_release_date`, `.current_release_date`",
        ),
        ("metadata.version, .status", "of `document.tracking`"),
        ("metadata.cvss", "the highest base score"),
        ("metadata.products, .vendors", "names in `product_tree`, the first 100"),
        ("metadata.remediation", "`details` of the first remediation that is one"),
    )

    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether it has a document with tracking and the version of CSAF."""
        document = record.get("document")
        return isinstance(document, dict) and "csaf_version" in document

    def recognises(self, sample: Sample) -> bool:
        """Whether it is an advisory, or an index of advisories, which is refused with a reason."""
        return super().recognises(sample) or _index(sample) is not None

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the reports of the documents; an index of documents is refused."""
        reason = _index(Sample(*source.sample()))
        if reason:
            raise FeedError(reason)
        return super().read(source, options, skip)

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map documents; those withdrawn or that affect no product are skipped."""

        def report(record: Any) -> Report | None:
            found = required(record, "a CSAF document")
            document = dict_of(found, "document")
            own = text_of(dict_of(document, "tracking"), "id")
            if not own:
                raise BadRecord("no document.tracking.id: this is no CSAF document")
            reason = _unwanted(found, document)
            if reason:
                skip(reason)
                return None
            return _report(found, document, own_id("csaf", own), options)

        return report


def _index(sample: Sample) -> str | None:
    """Return why it is refused, if it names advisories and holds none."""
    if b'"csaf_version"' in sample.data or sample.data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
        return None
    found = (all(mark.search(sample.data) for mark in marks) for marks in INDEXES)
    return next((text for text, one in zip(REFUSED, found, strict=True) if one), None)


def _unwanted(found: dict[str, Any], document: dict[str, Any]) -> str | None:
    category = text_of(document, "category").lower()
    if category in WITHDRAWN:
        return WITHDRAWN[category]
    flaws = dicts_of(found.get("vulnerabilities"))
    return "not affected" if flaws and all(map(_spared, flaws)) else None


def _spared(flaw: dict[str, Any]) -> bool:
    """Say whether a vulnerability is listed only to tell that no product has it."""
    status = dict_of(flaw, "product_status")
    return bool(status.get("known_not_affected")) and not any(map(status.get, AFFECTED))


def _report(
    found: dict[str, Any], document: dict[str, Any], threat_id: str, options: ReadOptions
) -> Report:
    tracking = dict_of(document, "tracking")
    flaws = dicts_of(found.get("vulnerabilities"))
    try:
        severity, score = _severity(flaws, document, options)
    except BadRecord as exc:
        raise BadRecord(str(exc), threat_id) from None
    current = tracking.get("current_release_date")
    vex = text_of(document, "category").lower() == "csaf_vex"
    return Finding(
        threat_id=threat_id,
        title=text_of(document, "title") or threat_id,
        content=_content(document, flaws),
        severity=severity,
        source=text_of(dict_of(document, "publisher"), "name") or "csaf",
        type="vex" if vex else "advisory",
        observed_at=current,
        first_observed=tracking.get("initial_release_date"),
        last_observed=current,
        tags=_tags(document, flaws),
        tlp=tlp_word(dict_of(document, "distribution", "tlp").get("label")),
        references=_references(document, flaws),
        indicators=_indicators(flaws),
        raw={"document": document},
        more={
            "version": text_of(tracking, "version"),
            "status": text_of(tracking, "status"),
            "cvss": score,
            "remediation": _remediation(flaws),
            **_products(dict_of(found, "product_tree")),
        },
    ).report(options)


def _severity(
    flaws: list[dict[str, Any]], document: dict[str, Any], options: ReadOptions
) -> tuple[Severity, float | None]:
    """Return the worst of what the document states, and the score that says so, if one does."""
    scores = [score for flaw in flaws if not _spared(flaw) for score in _scores(flaw)]
    numbers = [score for score in scores if isinstance(score, int | float)]
    found = [severity_of(options, "csaf", (("cvss", score),)) for score in scores]
    if not found:
        text = dict_of(document, "aggregate_severity").get("text")
        if text in (None, "", "unknown"):
            text = _impact(flaws)
        found = [severity_of(options, "csaf", (("aggregate_severity", text),))]
    return max(found, key=lambda one: one.rank), max(numbers, default=None)


def _scores(flaw: dict[str, Any]) -> Iterator[Any]:
    """Yield of each score or metric what its newest CVSS says: the number, else the word."""
    contents = (dict_of(one, "content") for one in dicts_of(flaw.get("metrics")))
    for one in chain(dicts_of(flaw.get("scores")), contents):
        for version in CVSS:
            stated = dict_of(one, version)
            score = stated.get("baseScore", stated.get("baseSeverity"))
            if score is not None and not isinstance(score, bool):
                yield score
                break


def _impact(flaws: list[dict[str, Any]]) -> str | None:
    """Return the word of a publisher who rates vulnerabilities in words of its own."""
    for flaw in flaws:
        for threat in dicts_of(flaw.get("threats")):
            word = text_of(threat, "details")
            if threat.get("category") == "impact" and word.isalpha():
                return word
    return None


def _content(document: dict[str, Any], flaws: list[dict[str, Any]]) -> str:
    own = _told(document)
    return "\n\n".join(dict.fromkeys(own or chain.from_iterable(map(_told, flaws))))


def _told(part: dict[str, Any]) -> list[str]:
    notes = dicts_of(part.get("notes"))
    found = [
        text_of(note, "text")
        for category in TOLD
        for note in notes
        if note.get("category") == category and "disclaimer" not in text_of(note, "title").lower()
    ]
    return [text for text in found if text]


def _tags(document: dict[str, Any], flaws: list[dict[str, Any]]) -> Iterator[object]:
    yield document.get("category")
    for flaw in flaws:
        for cwe in chain(dicts_of(flaw.get("cwe")), dicts_of(flaw.get("cwes"))):
            yield cwe.get("id")


def _references(document: dict[str, Any], flaws: list[dict[str, Any]]) -> Iterator[object]:
    for one in dicts_of(document.get("references")):
        yield one.get("url")
    for flaw in flaws:
        for key in ("references", "remediations"):
            for one in dicts_of(flaw.get(key)):
                yield one.get("url")


def _indicators(flaws: list[dict[str, Any]]) -> Iterator[Indicator | None]:
    for flaw in flaws:
        yield indicator("vulnerability", flaw.get("cve"))


def _remediation(flaws: list[dict[str, Any]]) -> str:
    for flaw in flaws:
        for one in dicts_of(flaw.get("remediations")):
            text = text_of(one, "details")
            if text and one.get("category") not in NO_REMEDY:
                return text[:2048]
    return ""


def _products(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the names of products and vendors in a tree of branches."""
    products: dict[str, None] = {}
    vendors: dict[str, None] = {}
    waiting = [tree]
    for branch in waiting:  # it grows meanwhile
        if branch.get("category") == "vendor" and len(vendors) < MOST_PRODUCTS:
            vendors[text_of(branch, "name")[:LONGEST_NAME]] = None
        for one in (*dicts_of(branch.get("product")), *dicts_of(branch.get("full_product_names"))):
            if len(products) < MOST_PRODUCTS:
                products[text_of(one, "name")[:LONGEST_NAME]] = None
        if len(waiting) < MOST_NODES:
            waiting += dicts_of(branch.get("branches"))
    return {"products": list(filter(None, products)), "vendors": list(filter(None, vendors))}
