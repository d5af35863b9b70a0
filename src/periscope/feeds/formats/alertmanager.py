"""Prometheus alerts: webhooks of Alertmanager and Grafana, and lists of both products' APIs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from periscope.feeds.finding import Finding, dict_of, required, severity_of, text_of
from periscope.feeds.fingerprint import fingerprint_id
from periscope.feeds.format import PRODUCT, Skip
from periscope.feeds.indicators import Indicator, classified, cves_in, host, indicator
from periscope.feeds.json_records import JsonFormat, Map
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.models import Report

OVER = frozenset(("resolved", "suppressed", "pending", "inactive", "normal"))
"""States in which an alert asks nothing of anybody (yet, or any more)."""
TITLES = ("summary", "title", "message", "description")
TEXTS = ("summary", "title", "message", "description", "details", "impact", "action")
ADDRESSED = (
    *("instance", "host", "hostname", "node", "ip", "src_ip", "srcip", "source_ip", "dst_ip"),
    *("dest_ip", "destination_ip", "domain", "url", "target", "address", "remote_addr"),
)
"""Labels that may hold an address, a name of a host, or a URL."""
MOVING = frozenset(("updatedAt", "endsAt", "receivers"))
"""Members that change while an alert stays the same."""
MOST_LABELS = 64
LONGEST = 256


class Alertmanager(JsonFormat):
    """One report an alert that fires; told again, it is a duplicate."""

    name = "alertmanager"
    title = "Prometheus Alertmanager"
    one_report_is = "an alert that fires"
    rank = PRODUCT
    members = (b"alerts", b"data.alerts", b"data")
    marks = (re.compile(rb'"labels"\s*:\s*{'), re.compile(rb'"(?:startsAt|activeAt)"\s*:'))
    example = (
        b'{"version": "4", "receiver": "triage", "status": "firing", "alerts": [{"status": '
        b'"firing", "labels": {"alertname": "HostOutOfDisk", "severity": "critical", "instance": '
        b'"192.0.2.10:9100", "job": "node"}, "annotations": {"summary": "Disk of 192.0.2.10 is '
        b'full", "runbook_url": "https://example.com/runbooks/disk"}, "startsAt": '
        b'"2024-05-17T07:30:11.251Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": '
        b'"https://prometheus.example.com/graph?g0.expr=up", "fingerprint": '
        b'"c6eadffa33fcdf37"}], "groupLabels": {"alertname": "HostOutOfDisk"}}\n'
    )
    mapping = (
        (
            "threat_id",
            "`alertmanager:` and `fingerprint`; without one a fingerprint of all `labels`",
        ),
        (
            "content",
            "the title, and from `annotations`: " + ", ".join(f"`{name}`" for name in TEXTS),
        ),
        ("severity", "the label `severity`, else `priority`; see the table"),
        ("source", "the label `prometheus`, else `cluster`, else `alertmanager`"),
        ("observed_at", "`startsAt` (API of Prometheus: `activeAt`)"),
        (
            "metadata.title",
            "`alertname` and, from `annotations`, the first of "
            + ", ".join(f"`{name}`" for name in TITLES),
        ),
        ("metadata.type", "`alert`"),
        ("metadata.tags", "the labels but for `alertname` and `severity`, as `job:node`"),
        (
            "metadata.references",
            "`generatorURL`, `dashboardURL`, `panelURL`, and annotations that are links",
        ),
        (
            "metadata.indicators",
            "addresses, names of hosts and URLs in labels such as `instance`; CVE ids in labels "
            "and annotations",
        ),
        ("metadata.first_observed, .last_observed", "as `observed_at`"),
        ("metadata.labels", "all labels"),
        ("metadata.value", "`valueString` or `value`"),
        ("metadata.raw", "the first 1,024 bytes, without `updatedAt`, `endsAt` and `receivers`"),
    )

    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether it is an alert with its labels."""
        if not isinstance(record.get("labels"), dict):
            return False
        if "startsAt" in record:
            return any(key in record for key in ("status", "annotations", "generatorURL"))
        return "activeAt" in record and "state" in record

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map alerts that fire; others are skipped by their state."""

        def report(record: Any) -> Report | None:
            alert = required(record, "an alert")
            if not dict_of(alert, "labels"):
                raise BadRecord("no labels: this is no alert of Prometheus's")
            state = _state(alert)
            if state in OVER:
                skip(state)
                return None
            return _finding(alert, options).report(options)

        return report


def _state(alert: dict[str, Any]) -> str:
    inner = text_of(dict_of(alert, "status"), "state")
    return (inner or text_of(alert, "status", "state")).lower()


def _finding(alert: dict[str, Any], options: ReadOptions) -> Finding:
    labels = _texts(dict_of(alert, "labels"))
    notes = _texts(dict_of(alert, "annotations"))
    threat_id = _identity(alert, labels)
    moment = text_of(alert, "startsAt", "activeAt")
    stated = (("severity", labels.get("severity")), ("priority", labels.get("priority")))
    try:
        severity = severity_of(options, "alertmanager", stated)
    except BadRecord as exc:
        raise BadRecord(str(exc), threat_id) from None
    title = _title(labels, notes)
    texts = dict.fromkeys([title, *(notes[name] for name in TEXTS if name in notes)])
    return Finding(
        threat_id=threat_id,
        title=title,
        content="\n\n".join(texts),
        severity=severity,
        source=text_of(labels, "prometheus", "cluster") or "alertmanager",
        type="alert",
        observed_at=moment,
        first_observed=moment,
        last_observed=moment,
        tags=_tags(labels),
        references=_references(alert, notes),
        indicators=_indicators(labels, notes),
        raw={key: value for key, value in alert.items() if key not in MOVING},
        more={
            "labels": {key: value[:LONGEST] for key, value in labels.items()},
            "value": text_of(alert, "valueString", "value")[:LONGEST],
        },
    )


def _identity(alert: dict[str, Any], labels: dict[str, str]) -> str:
    own = alert.get("fingerprint")
    if isinstance(own, str) and re.fullmatch(r"[0-9A-Za-z_.-]{4,128}", own):
        return f"alertmanager:{own}"
    return fingerprint_id("alertmanager", sorted(labels.items()))


def _texts(values: dict[str, Any]) -> dict[str, str]:
    """Return the members with a text, by name; numbers count as text."""
    named = ((name[:LONGEST], text_of(values, name)) for name in list(values)[:MOST_LABELS])
    return {name: text for name, text in named if text}


def _title(labels: dict[str, str], notes: dict[str, str]) -> str:
    name = labels.get("alertname", "")
    said = next((notes[key] for key in TITLES if key in notes), "").partition("\n")[0]
    if not said or name.lower() in said.lower():
        return said or name or "Prometheus alert"
    return f"{name}: {said}"


def _tags(labels: dict[str, str]) -> Iterator[str]:
    for name, value in labels.items():
        if name not in ("alertname", "severity"):
            yield f"{name}:{value}"


def _references(alert: dict[str, Any], notes: dict[str, str]) -> Iterator[str]:
    for key in ("generatorURL", "dashboardURL", "panelURL"):
        yield text_of(alert, key)
    for value in notes.values():
        if value.startswith(("http://", "https://")) and " " not in value:
            yield value


def _indicators(labels: dict[str, str], notes: dict[str, str]) -> Iterator[Indicator | None]:
    for name in ADDRESSED:
        value = labels.get(name)
        yield host(value) or classified(value)
    for name in ("user", "username", "account"):
        yield indicator("user-account", labels.get(name))
    for value in (*labels.values(), *notes.values()):
        for cve in cves_in(value):
            yield indicator("vulnerability", cve)
