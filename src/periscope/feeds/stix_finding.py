"""Vendors' alerts inside STIX observed-data: an `x-ibm-finding` beside what was observed.

Connectors that translate a product's alerts into STIX write them so, each time with a new random id
of the observed-data: the alert's own id is what stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from periscope.feeds.finding import Finding, dicts_of, list_of, severity_of, text_of
from periscope.feeds.fingerprint import fingerprint_id
from periscope.feeds.indicators import Indicator, indicator
from periscope.feeds.options import ReadOptions
from periscope.feeds.stix_context import Context
from periscope.feeds.stix_object import industry, references, tags, text, when
from periscope.feeds.stix_observables import object_indicators

Object = dict[str, Any]

FINDINGS = ("x-ibm-finding", "x_ibm_finding")
TAGGINGS = ("x-ibm-ttp-tagging", "x_ibm_ttp_tagging")
DONE = ("closed", "resolved", "dismissed", "fixed")
STATES = ("x_alert_status", "status", "x_status", "state")
ENDS = {
    "src_ip": "src_ip_ref",
    "dst_ip": "dst_ip_ref",
    "src_host": "src_host_ref",
    "dst_host": "dst_host_ref",
}
CVES = "x_cve_references"
LONGEST_PART = 256
MOST_PARTS = 1_000


def observed(found: Object, context: Context) -> dict[str, Object]:
    """Return the observables of an observed-data by their keys or ids, wherever they stand."""
    own = found.get("objects")
    if isinstance(own, dict):
        return {key: one for key, one in list(own.items())[:MOST_PARTS] if isinstance(one, dict)}
    return context.parts(context.related(found))


def alert_in(parts: dict[str, Object]) -> Object | None:
    """Return the alert among observables; None where they are telemetry only."""
    return next((one for one in parts.values() if one.get("type") in FINDINGS), None)


def is_done(alert: Object) -> bool:
    """Whether its product says that the alert is closed."""
    return any(text(alert.get(key)).strip().lower() in DONE for key in STATES)


def finding(
    found: Object, alert: Object, parts: dict[str, Object], context: Context, options: ReadOptions
) -> Finding:
    """Return what an alert states, with what was observed beside it as indicators.

    Raises:
        BadRecord: its severity is not in the table, or one of its times is none.

    """
    author = found.get("created_by_ref")
    source = context.names.get(author, "") if isinstance(author, str) else ""
    title = text_of(alert, "name", "x_threat_name") or text_of(alert, "alert_id") or found["id"]
    ends = {name: _value(parts, alert.get(key)) for name, key in ENDS.items()}
    own = text_of(alert, "alert_id")
    values = (source, title, list_of(alert.get("rule_names")), *ends.values())
    return Finding(
        threat_id=f"stix:{own[:LONGEST_PART]}" if own else fingerprint_id("stix", values),
        title=title,
        content=_content(alert, title),
        severity=severity_of(options, "stix", [("severity", alert.get("severity"))]),
        source=source or "stix",
        type="alert",
        observed_at=alert.get("time_observed") or found.get("last_observed"),
        tags=_tags(found, alert, parts),
        tlp=context.strictest(found),
        references=references(found),
        indicators=_indicators(alert, parts),
        first_observed=when(found, "first_observed"),
        last_observed=when(found, "last_observed"),
        industry=industry(found, context, []),
        raw=alert,
        more={**ends, "finding_type": text_of(alert, "finding_type")[:LONGEST_PART]},
    )


def _content(alert: Object, title: str) -> str:
    says = (text_of(alert, key) for key in ("description", "x_message", "x_cause", "x_solution"))
    return "\n".join(one for one in says if one) or title


def _tags(found: Object, alert: Object, parts: dict[str, Object]) -> Iterator[object]:
    yield from tags(found)
    yield text_of(alert, "x_alert_type_id")
    yield from list_of(alert.get("rule_names"))
    for part in parts.values():
        if part.get("type") in TAGGINGS:
            extensions = part.get("extensions")
            for one in dicts_of(list(extensions.values())) if isinstance(extensions, dict) else ():
                yield one.get("technique_id")
                yield one.get("tactic_name")
            yield from tags(part)


def _indicators(alert: Object, parts: dict[str, Object]) -> Iterator[Indicator | None]:
    for part in parts.values():
        yield from object_indicators(part)
    for number in list_of(alert.get(CVES)):
        if isinstance(number, str):
            yield indicator("vulnerability", f"CVE-{number.upper().removeprefix('CVE-')}")


def _value(parts: dict[str, Object], ref: object) -> str:
    part = parts.get(ref) if isinstance(ref, str) else None
    return "" if part is None else text_of(part, "value", "hostname", "name")[:LONGEST_PART]
