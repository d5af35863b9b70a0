"""The parts of a STIX object as a report's severity and metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from periscope.feeds.markings import Context
from periscope.feeds.moments import rfc3339
from periscope.feeds.problems import BadRecord, quote
from periscope.feeds.severity import SeverityTable, lowered
from periscope.models import Severity

Object = dict[str, Any]

TAG_LISTS = (
    "labels",
    "indicator_types",
    "malware_types",
    "tool_types",
    "threat_actor_types",
    "report_types",
)
TAXONOMIES = ("mitre-", "capec", "cwe", "cve")
"""External ids of these sources (any name that begins so) name what a threat is: they are tags."""
TIMES = {
    "first_seen": "first_observed",
    "last_seen": "last_observed",
    "valid_from": "valid_from",
    "valid_until": "valid_until",
    "published": "published",
}
KEPT_TEXTS = ("pattern", "pattern_type")
KEPT_LISTS = ("aliases", "x_mitre_platforms")


def severity(found: Object, table: SeverityTable) -> Severity:
    """Score, else CAPEC's typical severity, else type; one step lower where confidence is low."""
    result = _by_score(found, table) or _by_capec(found, table) or table.stix_types[found["type"]]
    confidence = _number(found.get("confidence"))
    low = confidence is not None and confidence < table.stix_lower_below
    return lowered(result) if low else result


def _by_score(found: Object, table: SeverityTable) -> Severity | None:
    score = _number(found.get("x_opencti_score"))
    if score is None:
        scores = (_number(part.get("score")) for part in _extensions(found))
        score = next((one for one in scores if one is not None), None)
    return None if score is None else table.stix_score.look_up(score)


def _by_capec(found: Object, table: SeverityTable) -> Severity | None:
    word = found.get("x_capec_typical_severity")
    return table.stix_capec.get(word.strip().lower()) if isinstance(word, str) else None


def metadata(found: Object, context: Context) -> Object:
    """Return the uniform keys and what is particular to STIX; only what the object states.

    Raises:
        BadRecord: one of its times is none.

    """
    title = _text(found.get("name")) or _text(found.get("pattern"))
    result: Object = {
        "title": title,
        "type": found["type"],
        "tags": list(dict.fromkeys(_tags(found))),
        "tlp": context.strictest(found.get("object_marking_refs")),
        "references": list(dict.fromkeys(_references(found))),
        **_times(found),
        "confidence": _number(found.get("confidence")),
        **{key: _text(found.get(key)) for key in KEPT_TEXTS},
        **{key: _texts(found.get(key)) for key in KEPT_LISTS},
    }
    return {key: value for key, value in result.items() if value not in (None, "", [])}


def _tags(found: Object) -> Iterator[str]:
    for key in TAG_LISTS:
        yield from _texts(found.get(key))
    for phase in _objects(found.get("kill_chain_phases")):
        if name := _text(phase.get("phase_name")):
            yield name
    for reference in _objects(found.get("external_references")):
        external = _text(reference.get("external_id"))
        if external and _text(reference.get("source_name")).lower().startswith(TAXONOMIES):
            yield external


def _references(found: Object) -> Iterator[str]:
    for reference in _objects(found.get("external_references")):
        if link := _text(reference.get("url")) or _text(reference.get("external_id")):
            yield link


def _times(found: Object) -> Object:
    times: Object = {}
    for key, name in TIMES.items():
        value = found.get(key)
        if value is None:
            continue
        try:
            times[name] = rfc3339(str(value))
        except ValueError:
            raise BadRecord(f"{key} {quote(value)} is not a time; STIX wants RFC 3339") from None
    return times


def _extensions(found: Object) -> Iterator[Object]:
    extensions = found.get("extensions")
    if isinstance(extensions, dict):
        yield from (part for part in extensions.values() if isinstance(part, dict))


def _objects(value: object) -> list[Object]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str) and one] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
