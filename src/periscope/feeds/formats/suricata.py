"""Suricata EVE: events of a network sensor, of which the alerts are threats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from periscope.feeds import eve
from periscope.feeds.eve import Alert, Event
from periscope.feeds.eve_details import content, details, indicators, url_of
from periscope.feeds.finding import (
    LONGEST_REFERENCE,
    LONGEST_SOURCE,
    LONGEST_TAG,
    MOST_REFERENCES,
    MOST_TAGS,
    excerpt,
    list_of,
    required,
    severity_of,
    texts,
    time_ms,
)
from periscope.feeds.fingerprint import fingerprint_id
from periscope.feeds.format import PRODUCT, Skip
from periscope.feeds.indicators import cves_in, indicator, kept
from periscope.feeds.json_records import JsonFormat, Load, Map
from periscope.feeds.moments import moment_ms, ms_text
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.models import Report, Severity

RAW_BYTES = 256
"""Bytes of an event kept as `raw`, at most: they come by the million, and are mapped whole."""
TAGGED = (
    *("mitre_tactic_id", "mitre_tactic_name", "mitre_technique_id", "mitre_technique_name"),
    *("malware_family", "tag", "attack_target", "affected_product", "deployment"),
)
"""Keys of a rule's metadata whose values are tags."""
MOST_REMEMBERED = 4096


class Suricata(JsonFormat):
    """One report an alert; the same signature between the same two addresses is the same threat."""

    name = "suricata"
    title = "Suricata EVE"
    one_report_is = "an event of type `alert`"
    rank = PRODUCT
    members = (b"hits.hits", b"raw_logs.entries", b"logEvents", b"events")
    marks = (re.compile(rb'"event_type"\s*:\s*"'), re.compile(rb'"(?:flow_id|signature_id)"\s*:'))
    example = (
        b'{"timestamp": "2024-05-17T09:30:11.251547+0200", "flow_id": 1959620435402694, '
        b'"event_type": "alert", "src_ip": "203.0.113.7", "src_port": 50096, '
        b'"dest_ip": "192.0.2.10", "dest_port": 80, "proto": "TCP", "alert": {"action": "allowed", '
        b'"gid": 1, "signature_id": 2900001, "rev": 2, "signature": "EXAMPLE SCAN for a console", '
        b'"category": "Attempted Information Leak", "severity": 2}, "http": {"hostname": '
        b'"www.example.com", "url": "/console", "http_method": "GET", "status": 404}}\n'
        b'{"timestamp": "2024-05-17T09:30:12.000001+0200", "flow_id": 1959620435402694, '
        b'"event_type": "flow", "src_ip": "203.0.113.7", "dest_ip": "192.0.2.10"}\n'
    )
    mapping = (
        (
            "threat_id",
            "`suricata:` and a fingerprint of `alert.gid`, `alert.signature_id` (without one: "
            "`alert.signature`), `src_ip`, `dest_ip`, `host` and `tenant_id`",
        ),
        ("content", "`alert.signature`, the connection, what HTTP, DNS, TLS, mail and files say"),
        (
            "severity",
            "`alert.metadata.signature_severity`, else `alert.severity`; see the table",
        ),
        ("source", "`host`, else `firewall_name`, else `suricata`"),
        ("observed_at", "`timestamp`"),
        ("metadata.title", "`alert.signature`, else its category, else the ids"),
        ("metadata.type", "`alert`"),
        (
            "metadata.tags",
            "`alert.category`, CVE ids; from `alert.metadata` the MITRE ids and names, "
            "`malware_family`, `tag`, `attack_target`, `affected_product`, `deployment`",
        ),
        ("metadata.references", "`alert.references`"),
        (
            "metadata.indicators",
            "`src_ip`, `dest_ip`, `xff`; hosts and URLs of HTTP, names and addresses of DNS, "
            "`tls.sni` and fingerprint, addresses of mail, names and hashes of files; CVE ids",
        ),
        ("metadata.first_observed", "`flow.start`, else `timestamp`"),
        ("metadata.last_observed", "`timestamp`"),
        ("metadata.gid, .signature_id, .rev, .action", "the same in `alert`"),
        (
            "metadata.src_ip, .src_port, .dest_ip, .dest_port, .proto, .app_proto, .flow_id",
            "the same",
        ),
        ("metadata.interface, .community_id, .direction", "`in_iface`, and the same"),
        ("metadata.http, .dns, .tls, .ja3, .ssh", "the chief fields of these"),
        ("metadata.raw", "the first 256 bytes of the event"),
    )

    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether it is an event of any type."""
        if not isinstance(record.get("event_type"), str):
            return False
        if "timestamp" not in record and "@timestamp" not in record:
            return False
        alert = record.get("alert")
        if isinstance(alert, dict) and ("signature_id" in alert or "signature" in alert):
            return True
        return any(key in record for key in ("flow_id", "pcap_cnt", "in_iface", "stats"))

    def inside(self, record: dict[str, Any]) -> list[Any] | None:
        """Open hits, log entries, and what AWS Network Firewall wraps around an event."""
        event, name = record.get("event"), record.get("firewall_name")
        if isinstance(event, dict) and isinstance(name, str):
            return [{**event, "firewall_name": name}]
        return super().inside(record)

    def loader(self, options: ReadOptions) -> Load:
        """Decode most lines straight to an `Event`, all others to whatever they hold."""
        plain = msgspec.json.Decoder().decode
        if options.fingerprint:
            return plain
        typed = eve.decode

        def load(line: bytes) -> Any:
            try:
                event = typed(line)
            except msgspec.ValidationError:
                return plain(line)
            if not event.event_type:
                return plain(line)
            event.line = line
            return event

        return load

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map alerts; events of other types are skipped by type."""
        return Mapping(options, skip).item


class Mapping:
    """What one run needs to map events: the severities and ids it has come by."""

    def __init__(self, options: ReadOptions, skip: Skip) -> None:
        self._options = options
        self._skip = skip
        self._source = options.source
        self._raw_bytes = min(options.raw_bytes, RAW_BYTES)
        self._severities: dict[tuple[object, object], Severity] = {}

    def item(self, record: Any) -> Report | None:
        """Return the report of an event; None for one that is no alert."""
        event = record if type(record) is Event else self._lenient(record)
        if event.event_type != "alert":
            self._skip(event.event_type[:64] or "no type")
            return None
        alert = event.alert
        if alert is None:
            raise BadRecord("an event of type alert without an alert")
        threat_id = identity(event, alert)
        try:
            return self._report(threat_id, event, alert)
        except BadRecord as exc:
            raise BadRecord(str(exc), threat_id) from None

    def _lenient(self, record: Any) -> Event:
        found = required(record, "an event")
        if not isinstance(found.get("event_type"), str):
            raise BadRecord("no event_type: this is no event of Suricata's")
        return eve.lenient(found)

    def _report(self, threat_id: str, event: Event, alert: Alert) -> Report:
        observed_ms = time_ms("timestamp", event.timestamp)
        title = alert.signature or alert.category or _nameless(alert)
        url = url_of(event.http) if event.http else ""
        metadata: dict[str, Any] = {"title": title, "type": "alert"}
        self._add_common(event, alert, url, metadata)
        if observed_ms is not None:
            metadata["last_observed"] = last = ms_text(observed_ms)
            metadata["first_observed"] = _began(event) or last
        details(event, alert, metadata)
        if self._raw_bytes and event.line:
            metadata["raw"] = excerpt(event.line, self._raw_bytes)
        return Report(
            threat_id,
            content(event, title, url),
            self._severity(alert),
            metadata,
            (event.host or event.firewall_name or "suricata")[:LONGEST_SOURCE]
            if self._source is None
            else self._source,
            observed_ms,
        )

    def _severity(self, alert: Alert) -> Severity:
        stated = alert.metadata.get("signature_severity") if alert.metadata else None
        finer = (stated[0] if stated else None) if type(stated) is list else stated
        if type(finer) is not str:
            finer = None
        number = alert.severity
        if type(number) is not int and number is not None:
            return self._look_up(finer, number)
        severity = self._severities.get((finer, number))
        if severity is None:
            severity = self._look_up(finer, number)
            if len(self._severities) < MOST_REMEMBERED:
                self._severities[finer, number] = severity
        return severity

    def _look_up(self, finer: object, number: object) -> Severity:
        stated = (("signature_severity", finer), ("severity", number))
        return severity_of(self._options, "suricata", stated)

    def _add_common(self, event: Event, alert: Alert, url: str, metadata: dict[str, Any]) -> None:
        found = indicators(event, alert, url)
        cves = _cves(alert)
        if cves:
            found += [indicator("vulnerability", cve) for cve in cves]
        if tags := _tags(alert, cves):
            metadata["tags"] = tags
        metadata.update(kept(found))
        if alert.references:
            references = texts(alert.references, MOST_REFERENCES, LONGEST_REFERENCE)
            metadata |= {"references": references} if references else {}


def identity(event: Event, alert: Alert) -> str:
    """Return the id: the same signature between the same two ends, as the same sensor sees it."""
    what = alert.signature_id if alert.signature_id is not None else alert.signature
    seen = (alert.gid, what, event.src_ip, event.dest_ip, event.host, event.tenant_id)
    return fingerprint_id("suricata", seen)


def _nameless(alert: Alert) -> str:
    known = "?" if alert.signature_id is None else alert.signature_id
    return f"Suricata alert {1 if alert.gid is None else alert.gid}:{known}"


def _began(event: Event) -> str | None:
    start = event.flow.start if event.flow else ""
    try:
        return ms_text(moment_ms(start)) if start else None
    except ValueError:  # the event has a time of its own
        return None


def _cves(alert: Alert) -> list[str]:
    found = cves_in(alert.signature) if "CVE" in alert.signature else []
    if not alert.metadata or "cve" not in alert.metadata:
        return found
    for value in list_of(alert.metadata["cve"]):
        if isinstance(value, str):
            named = value if value[:3].upper() == "CVE" else f"CVE-{value}"
            found += cves_in(named)
    return list(dict.fromkeys(found))


def _tags(alert: Alert, cves: list[str]) -> list[str]:
    if not alert.metadata:
        return [alert.category, *cves] if alert.category else cves
    return texts(_stated(alert, cves), MOST_TAGS, LONGEST_TAG)


def _stated(alert: Alert, cves: list[str]) -> Iterator[object]:
    yield alert.category
    yield from cves
    rule = alert.metadata or {}
    for key in TAGGED:
        if key in rule:
            yield from list_of(rule[key])
