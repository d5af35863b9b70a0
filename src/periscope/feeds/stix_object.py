"""A STIX object of a type that is a threat as a finding: severity, tags, indicators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, TypeVar

from periscope.feeds.finding import Finding, dicts_of, list_of, texts
from periscope.feeds.indicators import Indicator, indicator
from periscope.feeds.moments import moment_ms, rfc3339
from periscope.feeds.problems import BadRecord, quote
from periscope.feeds.severity import SeverityTable, lowered
from periscope.feeds.stix_context import Context, own_pattern
from periscope.models import Severity

Object = dict[str, Any]
Time = TypeVar("Time")

TAG_LISTS = (
    *("labels", "indicator_types", "malware_types", "tool_types", "threat_actor_types"),
    *("report_types", "infrastructure_types", "incident_types", "x_opencti_labels"),
)
TAXONOMIES = ("mitre-", "capec", "cwe", "cve")
"""External ids of these sources (any name that begins so) name what a threat is: they are tags."""
WORDS = ("severity", "x_severity", "x_opencti_cvss_base_severity", "x_opencti_base_severity")
BASE_SCORES = ("x_opencti_cvss_base_score", "x_opencti_base_score")
CVSS = "severity"
HINTS = frozenset(
    (*WORDS, *BASE_SCORES, "x_opencti_score", "x_capec_typical_severity", "extensions")
)
TIMES = ("valid_from", "valid_until", "published")
LONGEST_PATTERN = 4096
MOST_LISTED = 50
LONGEST_LISTED = 256
KEPT_LISTS = ("aliases", "x_mitre_platforms")


def finding(found: Object, context: Context, source: str, table: SeverityTable) -> Finding:
    """Return what an object states, and what the file says of it elsewhere.

    Raises:
        BadRecord: one of its times is none.

    """
    refs = context.related(found)
    title = text(found.get("name")) or text(found.get("pattern"))
    return Finding(
        threat_id=found["id"],
        title=title,
        content=text(found.get("description")) or title,
        severity=severity(found, table),
        source=source,
        type=found["type"],
        observed_at=found.get("modified"),
        tags=chain(tags(found), context.labels(refs)) if refs else tags(found),
        tlp=context.strictest(found),
        references=references(found),
        indicators=_indicators(found, context, refs),
        first_observed=when(found, "first_seen"),
        last_observed=when(found, "last_seen"),
        industry=industry(found, context, refs),
        raw=found,
        more=_more(found),
    )


def severity(found: Object, table: SeverityTable) -> Severity:
    """Word, CVSS, score, CAPEC's typical severity, else type; lowered where confidence is low."""
    result = None
    if not HINTS.isdisjoint(found):
        result = _by_word(found, table) or _by_score(found, table) or _by_capec(found, table)
    if result is None:
        result = table.stix_types[found["type"]]
    confidence = number(found.get("confidence")) if "confidence" in found else None
    low = confidence is not None and confidence < table.stix_lower_below
    return lowered(result) if low else result


def _by_word(found: Object, table: SeverityTable) -> Severity | None:
    for part in (found, *_extensions(found)):
        for key in WORDS:
            word = part.get(key)
            if isinstance(word, str) and (known := table.words.get(word.strip().lower())):
                return known
        for key in BASE_SCORES:
            score = number(part.get(key))
            if score is not None and CVSS in table.numbers:
                return table.numbers[CVSS].look_up(score)
    return None


def _by_score(found: Object, table: SeverityTable) -> Severity | None:
    score = number(found.get("x_opencti_score"))
    if score is None:
        scores = (number(part.get("score")) for part in _extensions(found))
        score = next((one for one in scores if one is not None), None)
    return None if score is None else table.stix_score.look_up(score)


def _by_capec(found: Object, table: SeverityTable) -> Severity | None:
    word = found.get("x_capec_typical_severity")
    return table.stix_capec.get(word.strip().lower()) if isinstance(word, str) else None


def tags(found: Object) -> Iterator[object]:
    """Yield labels, kinds, kill chain phases and ids of taxonomies; not all of them are texts."""
    for key in TAG_LISTS:
        if key in found:
            yield from list_of(found[key])
    if "kill_chain_phases" in found:
        yield from [phase.get("phase_name") for phase in dicts_of(found["kill_chain_phases"])]
    for reference in _external(found):
        if text(reference.get("source_name")).lower().startswith(TAXONOMIES):
            yield reference.get("external_id")


def references(found: Object) -> list[object]:
    """Return links, or ids where there is no link; not all of them are texts."""
    return [one.get("url") or one.get("external_id") for one in _external(found)]


def _external(found: Object) -> list[Object]:
    return dicts_of(found["external_references"]) if "external_references" in found else []


def industry(found: Object, context: Context, refs: list[str]) -> list[str]:
    """Return the sectors that it targets, that it refers to, or else those of its author."""
    sectors = context.sectors(refs) if refs else []
    if "sectors" in found:
        sectors = texts(list_of(found["sectors"]), MOST_LISTED, LONGEST_LISTED) or sectors
    author = found.get("created_by_ref")
    return sectors or (context.sectors([author]) if isinstance(author, str) else [])


def _indicators(found: Object, context: Context, refs: list[str]) -> Iterable[Indicator | None]:
    own = own_pattern(found) if "pattern" in found else []
    named = [found.get("name")] if found["type"] == "vulnerability" else []
    named += [one.get("external_id") for one in _external(found)]
    cves = [indicator("vulnerability", one) for one in named if _is_cve(one)] if named else []
    return chain(own, cves, context.indicators(refs)) if cves or refs else own


def _is_cve(name: object) -> bool:
    return isinstance(name, str) and name[:4].upper() == "CVE-"


def _more(found: Object) -> Object:
    more: Object = {key: when(found, key) for key in TIMES if key in found}
    if "confidence" in found:
        more["confidence"] = number(found["confidence"])
    if "pattern" in found:
        more["pattern"] = text(found["pattern"])[:LONGEST_PATTERN]
        more["pattern_type"] = text(found.get("pattern_type"))[:LONGEST_LISTED]
    for key in KEPT_LISTS:
        if key in found:
            more[key] = texts(list_of(found[key]), MOST_LISTED, LONGEST_LISTED)
    return more


def moment(found: Object, key: str) -> int | None:
    """Return the time under a key in milliseconds; None without one.

    Raises:
        BadRecord: it is no time.

    """
    value = found.get(key)
    return None if value is None else _read(moment_ms, key, value)


def when(found: Object, key: str) -> str | None:
    """Return the time under a key as RFC 3339 text; raises as `moment` does."""
    value = found.get(key)
    return None if value is None else _read(rfc3339, key, value)


def _read(meaning: Callable[[object], Time], key: str, value: object) -> Time:
    try:
        if isinstance(value, str):
            return meaning(value)
    except ValueError:
        pass
    raise BadRecord(f"{key} {quote(value)} is not a time; STIX wants RFC 3339")


def _extensions(found: Object) -> list[Object]:
    extensions = found.get("extensions")
    return dicts_of(list(extensions.values())) if isinstance(extensions, dict) else []


def text(value: object) -> str:
    """Return a text as it is, anything else as an empty one."""
    return value if isinstance(value, str) else ""


def number(value: object) -> int | float | None:
    """Return a number, also one written as text; None for anything else."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value) if len(value) < 10 else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
