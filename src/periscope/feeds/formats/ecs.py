"""Elastic: alerts of Elastic Security (Kibana), old signals, and ECS events that are alerts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from periscope.feeds.ecs_details import KEPT, attacks, indicators
from periscope.feeds.finding import Finding, required, severity_of
from periscope.feeds.fingerprint import fingerprint_id
from periscope.feeds.flat import Flat, flattened, some, text_at, values_at
from periscope.feeds.format import PRODUCT, Skip
from periscope.feeds.json_records import JsonFormat, Map
from periscope.feeds.moments import moment_ms
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.models import Report, Severity

KINDS = ("alert", "signal")
IDENTITY = (
    *("event.module", "event.dataset", "rule.id", "rule.name", "host.id", "host.name"),
    *("source.ip", "destination.ip", "user.name", "file.path", "file.hash.sha256"),
    *("process.executable", "url.domain", "vulnerability.id"),
)
"""Fields whose values make an alert the same as another, where it has no id that lasts."""
TITLES = (
    *("kibana.alert.rule.name", "signal.rule.name", "rule.name", "rule.description"),
    *("threat.indicator.description", "vulnerability.id", "message", "event.action"),
)
TEXTS = (
    *("kibana.alert.reason", "signal.reason", "event.reason", "message"),
    *("kibana.alert.rule.description", "signal.rule.description", "vulnerability.description"),
)
ENDPOINT_SCALE = (21, 47, 73, 99)
"""The numbers by which Elastic's own agents and integrations say low, medium, high, critical."""
BY_PRIORITY = ("suricata", "snort")
"""Modules whose `event.severity` is a priority: 1 is worst."""
LONGEST_ID = 100
STARTS = ("kibana.alert.start", "event.start", "kibana.alert.original_time", "signal.original_time")
ENDS = ("kibana.alert.last_detected", "event.end", "@timestamp")


class Ecs(JsonFormat):
    """One report an alert; what Kibana calls an alert keeps its id there."""

    name = "ecs"
    title = "Elastic Security alerts and ECS events"
    one_report_is = "an alert, or an event whose `event.kind` is `alert` or `signal`"
    rank = PRODUCT
    members = (b"hits.hits", b"alerts", b"data")
    marks = (
        re.compile(rb'"@timestamp"\s*:'),
        re.compile(rb'"(?:kibana\.alert\.[a-z_.]+|ecs(?:\.version)?|kibana)"\s*:'),
    )
    example = (
        b'{"_index": ".internal.alerts-security.alerts-default-000001", "_id": "5f3a2c1e8d4b", '
        b'"_source": {"@timestamp": "2024-05-17T07:30:11.251Z", "event": {"kind": "signal", '
        b'"category": ["process"]}, "kibana.alert.uuid": "5f3a2c1e8d4b", "kibana.alert.rule.name": '
        b'"Encoded command line", "kibana.alert.severity": "high", "kibana.alert.risk_score": 73, '
        b'"kibana.alert.status": "active", "kibana.alert.workflow_status": "open", '
        b'"kibana.alert.reason": "process event by root on web-1 created high alert", '
        b'"kibana.alert.rule.threat": [{"framework": "MITRE ATT&CK", "tactic": {"id": "TA0002", '
        b'"name": "Execution"}, "technique": [{"id": "T1059", "name": "Command and Scripting '
        b'Interpreter"}]}], "host": {"name": "web-1"}, "user": {"name": "root"}, "process": '
        b'{"name": "sh", "executable": "/bin/sh"}, "source": {"ip": "203.0.113.7"}}}\n'
    )
    mapping = (
        (
            "threat_id",
            "`ecs:` and `kibana.alert.uuid`; for old signals the document's `_id`; else a "
            "fingerprint of those of "
            + ", ".join(f"`{path}`" for path in IDENTITY)
            + " that are there (without a rule also of the title)",
        ),
        ("content", ", ".join(f"`{path}`" for path in TEXTS)),
        (
            "severity",
            "`kibana.alert.severity` or `signal.rule.severity`, else `vulnerability.severity`, the "
            "risk score, `event.severity` where its scale is known; see the table",
        ),
        ("source", "`observer.name`, else `agent.name`, `host.name`, `event.module`, `ecs`"),
        ("observed_at", "`@timestamp`"),
        ("metadata.title", "the first of " + ", ".join(f"`{path}`" for path in TITLES)),
        ("metadata.type", "`alert`"),
        (
            "metadata.tags",
            "the rule's tags, `event.category`, ids and names of `threat` (ATT&CK), `tags`",
        ),
        ("metadata.references", "the rule's references, `event.reference`, `kibana.alert.url`"),
        (
            "metadata.indicators",
            "of `source`, `destination`, `client`, `server`, `url`, `dns`, `tls`, `file`, "
            "`process`, `dll`, `registry`, `user`, `email`, `vulnerability`, `threat`",
        ),
        ("metadata.first_observed", "the first of " + ", ".join(f"`{path}`" for path in STARTS)),
        ("metadata.last_observed", "the first of " + ", ".join(f"`{path}`" for path in ENDS)),
        *((f"metadata.{name}", ", ".join(f"`{path}`" for path in paths)) for name, paths in KEPT),
        ("metadata.raw", "the first 1,024 bytes of the document"),
    )

    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether it is an alert of Kibana's, or an event with ECS's own fields."""
        if "kibana.alert.uuid" in record or "kibana.alert.rule.name" in record:
            return True
        kibana, signal = record.get("kibana"), record.get("signal")
        if isinstance(kibana, dict) and any(key.startswith("alert") for key in kibana):
            return True
        if isinstance(signal, dict) and "rule" in signal:
            return True
        if "@timestamp" not in record:
            return False
        event = record.get("event")
        inner = isinstance(event, dict) and ("kind" in event or "dataset" in event)
        return inner or "event.kind" in record or "event.dataset" in record

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map alerts; other events are skipped by kind, alerts that are over by their state."""

        def report(record: Any) -> Report | None:
            document = required(record, "a document")
            flat = flattened(document)
            if reason := _no_alert(flat):
                skip(reason)
                return None
            return _finding(document, flat, options).report(options)

        return report


def _no_alert(flat: Flat) -> str | None:
    """Return why a document is no alert to look at; None if it is one.

    Raises:
        BadRecord: it has nothing of an event in it.

    """
    if (
        "kibana.alert.rule.name" in flat
        or "kibana.alert.uuid" in flat
        or "signal.rule.name" in flat
    ):
        status = text_at(flat, "kibana.alert.workflow_status", "signal.status").lower()
        if status == "closed":
            return "closed"
        state = text_at(flat, "kibana.alert.status").lower()
        if state in ("recovered", "untracked"):
            return state
        building = text_at(flat, "kibana.alert.building_block_type")
        return "building block" if building else None
    if "@timestamp" not in flat:
        raise BadRecord("no @timestamp and no alert: this is no document of Elastic's")
    kind = text_at(flat, "event.kind").lower()
    return None if kind in KINDS else kind or "no kind"


def _finding(document: dict[str, Any], flat: Flat, options: ReadOptions) -> Finding:
    title = text_at(flat, *TITLES).partition("\n")[0] or "Elastic alert"
    threat_id = _identity(flat, title)
    try:
        severity = _severity(flat, options)
    except BadRecord as exc:
        raise BadRecord(str(exc), threat_id) from None
    texts = (text_at(flat, path)[:8192] for path in TEXTS)
    return Finding(
        threat_id=threat_id,
        title=title,
        content="\n\n".join(dict.fromkeys(text for text in (title, *texts) if text)),
        severity=severity,
        source=text_at(flat, "observer.name", "agent.name", "host.name", "event.module") or "ecs",
        type="alert",
        observed_at=text_at(flat, "@timestamp"),
        first_observed=_time(flat, STARTS),
        last_observed=_time(flat, ENDS),
        tags=_tags(flat),
        references=values_at(
            flat,
            *("kibana.alert.rule.references", "signal.rule.references", "rule.reference"),
            *("event.reference", "event.url", "kibana.alert.url", "vulnerability.reference"),
        ),
        indicators=indicators(flat),
        raw=document,
        more=some(flat, KEPT),
    )


def _identity(flat: Flat, title: str) -> str:
    own = text_at(flat, "kibana.alert.uuid")
    if not own and "signal.rule.name" in flat:
        own = text_at(flat, "_id")
    if 0 < len(own) <= LONGEST_ID:
        return f"ecs:{own}"
    seen: list[object] = [(path, flat[path]) for path in IDENTITY if path in flat]
    ruled = "rule.id" in flat or "rule.name" in flat
    return fingerprint_id("ecs", seen if ruled else [*seen, title])


def _severity(flat: Flat, options: ReadOptions) -> Severity:
    stated = [
        ("severity", _one(flat, "kibana.alert.severity", "signal.rule.severity")),
        ("severity", _one(flat, "kibana.alert.rule.severity", "vulnerability.severity")),
        ("risk_score", _one(flat, "kibana.alert.risk_score", "signal.rule.risk_score")),
        ("risk_score", _one(flat, "kibana.alert.rule.risk_score")),
        _event_severity(flat),
        ("risk_score", _one(flat, "event.risk_score_norm", "event.risk_score")),
    ]
    return severity_of(options, "ecs", stated)


def _event_severity(flat: Flat) -> tuple[str, object]:
    """Return the severity that a sensor gave, where its scale is known: each has its own."""
    number = _one(flat, "event.severity")
    module = text_at(flat, "event.module").lower()
    if not module:
        module = text_at(flat, "event.dataset").partition(".")[0].lower()
    if module in BY_PRIORITY:
        return "event_priority", number
    if module in ("endpoint", "endgame") or number in ENDPOINT_SCALE:
        return "event_severity", number
    return "event_severity", None


def _one(flat: Flat, *paths: str) -> object:
    """Return the first value under these paths; of a list its first element."""
    return next(iter(values_at(flat, *paths)), None)


def _time(flat: Flat, paths: tuple[str, ...]) -> object:
    """Return the first of these that is a time; the document has one of its own."""
    for path in paths:
        value = _one(flat, path)
        try:
            moment_ms(value)
        except ValueError:
            continue
        return value
    return None


def _tags(flat: Flat) -> Iterator[object]:
    yield from values_at(flat, "kibana.alert.rule.tags", "signal.rule.tags")
    yield from values_at(flat, "event.category", "rule.category", "rule.ruleset")
    yield from attacks(flat)
    yield from values_at(flat, "vulnerability.id", "tags")
