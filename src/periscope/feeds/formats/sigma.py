"""Sigma rules: YAML, one or several documents in a file.

https://sigmahq.io/sigma-specification/. YAML is read without aliases, tags or types: every scalar
is text, and depth and size are counted before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from periscope.feeds.finding import Finding, dict_of, severity_of, text_of
from periscope.feeds.fingerprint import field_of, fingerprint_id
from periscope.feeds.format import FAMILY, Item, Sample, Skip
from periscope.feeds.inputs import Input
from periscope.feeds.json_records import unreadable
from periscope.feeds.lines import keep_ends
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord, kind, quote
from periscope.feeds.sigma_tags import techniques
from periscope.models import Report

MAX_DOCUMENT_BYTES = 256 * 1024
MAX_DEPTH = 32
MARKS = tuple(
    re.compile(mark, re.MULTILINE)
    for mark in (
        rb"^title\s*:",
        rb"^(?:detection|correlation)\s*:",
        rb"^(?:logsource|correlation)\s*:",
    )
)
SEPARATOR = re.compile(rb"(?:---|\.\.\.)(?:\s.*)?\s*")
RETIRED = ("deprecated", "unsupported")


class Document(NamedTuple):
    """A YAML document as it stands, and the line on which it begins; None for one too large."""

    line: int
    text: bytes | None


class Sigma:
    """One report for each rule that is in use."""

    name = "sigma"
    title = "Sigma rules"
    one_report_is = "a rule, a YAML document"
    rank = FAMILY
    example = (
        b"title: Certificate exported\nid: 3ffd6f51-e6c1-47b7-94b4-c1e61d4117c5\nstatus: test\n"
        b"description: Somebody exports a certificate with its key.\nlevel: medium\n"
        b"tags:\n    - attack.t1552.004\nlogsource:\n    product: windows\n"
        b"    category: process_creation\ndetection:\n    selection:\n"
        b"        CommandLine|contains: exportPFX\n    condition: selection\n"
    )
    mapping = (
        ("threat_id", "`sigma:` and `id`; without one a fingerprint of `title` and `logsource`"),
        ("content", "`description`"),
        ("severity", "`level`"),
        ("source", "`author`, else `sigma`"),
        ("observed_at", "`modified`, else `date`"),
        ("metadata.title", "`title`"),
        ("metadata.type", "`detection-rule`"),
        ("metadata.tags", "`tags`; techniques of ATT&CK also as ids (`T1552.004`)"),
        ("metadata.references", "`references`"),
        ("metadata.status, .logsource, .falsepositives", "the same"),
        ("metadata.raw", "the document"),
    )

    def recognises(self, sample: Sample) -> bool:
        """Whether it has the keys that every rule has, at the left margin."""
        return all(mark.search(sample.data) for mark in MARKS)

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Yield the rules' reports; deprecated and unsupported ones are skipped."""
        for document in split_documents(source):
            item: Item | None
            try:
                item = _item(document, options, skip)
            except BadRecord as exc:
                item = unreadable(f"document at line {document.line:,}", exc, document.text)
            if item is not None:
                yield item


def split_documents(source: Input) -> Iterator[Document]:
    """Cut a stream of YAML at its separators; blank documents and comments alone are none."""
    held: list[bytes] = []
    first, size = 1, 0
    for number, line in enumerate(keep_ends(source.chunks(), MAX_DOCUMENT_BYTES), 1):
        if line is not None and SEPARATOR.fullmatch(line):
            yield from _document(first, held, size)
            held, first, size = [], number + 1, 0
            continue
        size += MAX_DOCUMENT_BYTES + 1 if line is None else len(line)
        if size <= MAX_DOCUMENT_BYTES and line is not None:
            held.append(line)
    yield from _document(first, held, size)


def _document(first: int, held: list[bytes], size: int) -> Iterator[Document]:
    if size > MAX_DOCUMENT_BYTES:
        yield Document(first, None)
    elif any(line.strip() and not line.lstrip().startswith(b"#") for line in held):
        yield Document(first, b"".join(held))


def _item(document: Document, options: ReadOptions, skip: Skip) -> Report | None:
    if document.text is None:
        raise BadRecord(f"larger than {MAX_DOCUMENT_BYTES:,} bytes; no rule is")
    rule = load(document.text)
    if not isinstance(rule, dict):
        raise BadRecord(f"{kind(rule)} instead of a rule")
    reason = _unwanted(rule)
    if reason is not None:
        skip(reason)
        return None
    return _report(rule, document.text, options)


def load(text: bytes) -> Any:
    """Read one YAML document, every scalar as text.

    Raises:
        BadRecord: it is not YAML, has aliases or a tag, is too deep, or is not UTF-8.

    """
    try:
        decoded = text.decode("utf-8-sig")
        _check_events(decoded)
        return yaml.load(decoded, Loader=yaml.CBaseLoader)  # noqa: S506 - it makes texts only
    except UnicodeDecodeError:
        raise BadRecord("not valid UTF-8; convert the file to UTF-8") from None
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise BadRecord(f"not YAML: {' '.join(str(exc).split())[:200]}") from None


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CBaseLoader):
        if isinstance(event, yaml.AliasEvent):
            raise BadRecord("holds a YAML alias, which rules do not need; write it out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise BadRecord(f"nested deeper than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _unwanted(rule: dict[str, Any]) -> str | None:
    status = text_of(rule, "status").lower()
    if status in RETIRED:
        return status
    if "filter" in rule and "detection" not in rule:
        return "filter"
    part = "title" not in rule and ("detection" in rule or "logsource" in rule)
    return "part of a collection" if part else None


def _report(rule: dict[str, Any], text: bytes, options: ReadOptions) -> Report:
    title = text_of(rule, "title")
    if not title:
        raise BadRecord("no title, so this is no Sigma rule")
    own = text_of(rule, "id")
    logsource = dict_of(rule, "logsource")
    tags = _texts(rule.get("tags"))
    return Finding(
        threat_id=f"sigma:{own.lower()}" if own else fingerprint_id("sigma", (title, logsource)),
        title=title,
        severity=severity_of(options, "sigma", [("level", field_of(rule, "level"))]),
        source=text_of(rule, "author") or "sigma",
        type="detection-rule",
        content=text_of(rule, "description"),
        observed_at=_day(rule, "modified") or _day(rule, "date"),
        tags=[*tags, *techniques(tags)],
        references=_texts(rule.get("references")),
        first_observed=_day(rule, "date"),
        more={
            "status": text_of(rule, "status"),
            "logsource": {key: value for key, value in logsource.items() if isinstance(value, str)},
            "falsepositives": _texts(rule.get("falsepositives"))[:20],
        },
        raw=text,
    ).report(options)


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _day(rule: dict[str, Any], key: str) -> str | None:
    value = text_of(rule, key)
    if not value:
        return None
    if not re.fullmatch(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}", value):
        raise BadRecord(f"{key} {quote(value)} is no date; it should read like 2025-08-25")
    year, month, day = re.split("[-/]", value)
    return f"{year}-{month:0>2}-{day:0>2}"
