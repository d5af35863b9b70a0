"""Wazuh: alerts.json, archives.json, hits of its index, and bodies of its integrations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from periscope.feeds.finding import Finding, dict_of, required, severity_of
from periscope.feeds.fingerprint import fingerprint_id
from periscope.feeds.flat import Flat, flattened, some, text_at, values_at
from periscope.feeds.format import PRODUCT, Skip
from periscope.feeds.json_records import JsonFormat, Map
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.feeds.wazuh_details import described, indicators
from periscope.models import Report

IDENTITY = (
    *("agent.id", "agent.name", "rule.id", "syscheck.path", "data.srcip", "data.src_ip"),
    *("data.dstip", "data.dest_ip", "data.dstuser", "data.srcuser", "data.vulnerability.cve"),
    *("data.vulnerability.package.name", "data.sca.check.id", "data.alert.signature_id"),
    *("data.virustotal.source.file", "data.win.eventdata.targetUserName", "data.url"),
    *("data.win.eventdata.image", "data.win.eventdata.ipAddress", "data.aws.eventName"),
    *("data.aws.source_ip_address", "data.office365.Operation", "data.office365.UserId"),
)
"""Paths whose values make an alert the same as another; an alert has few of them."""
TAGS = (
    *("rule.groups", "rule.mitre.id", "rule.mitre.tactic", "rule.mitre.technique"),
    *("data.vulnerability.cve", "rule.cve"),
)
COMPLIANCE = ("pci_dss", "gdpr", "hipaa", "nist_800_53", "tsc", "gpg13", "cis", "cis_csc")
KEPT = (
    ("rule_id", ("rule.id",)),
    ("agent_id", ("agent.id",)),
    ("agent", ("agent.name",)),
    ("agent_ip", ("agent.ip",)),
    ("manager", ("manager.name",)),
    ("cluster", ("cluster.name",)),
    ("node", ("cluster.node",)),
    ("decoder", ("decoder.name",)),
    ("location", ("location",)),
    ("program", ("predecoder.program_name",)),
    ("event_id", ("data.win.system.eventID",)),
    ("syscheck_event", ("syscheck.event",)),
    ("alert_id", ("id",)),
)
CLOSED = {
    "data.vulnerability.status": ("solved", "obsolete"),
    "data.sca.check.result": ("passed", "not applicable"),
}
"""Where an alert says that there is nothing (any more): path, and the words in lower case."""


class Wazuh(JsonFormat):
    """One report an alert; the same rule about the same thing on the same agent is one threat."""

    name = "wazuh"
    title = "Wazuh alerts"
    one_report_is = "an alert: an event with a rule"
    rank = PRODUCT
    members = (b"hits.hits", b"data.affected_items")
    marks = (re.compile(rb'"rule"\s*:\s*{'), re.compile(rb'"(?:manager|decoder)"\s*:\s*{'))
    example = (
        b'{"timestamp": "2024-05-17T09:30:11.251+0200", "rule": {"level": 10, "description": '
        b'"sshd: brute force trying to get access to the system.", "id": "5712", "firedtimes": 4, '
        b'"groups": ["syslog", "sshd", "authentication_failures"], "mitre": {"id": ["T1110"], '
        b'"tactic": ["Credential Access"], "technique": ["Brute Force"]}, "pci_dss": ["11.4"]}, '
        b'"agent": {"id": "003", "name": "web-1", "ip": "192.0.2.10"}, "manager": {"name": '
        b'"siem-1"}, "id": "1715931011.251", "decoder": {"name": "sshd"}, "full_log": "Failed '
        b'password for root from 203.0.113.7 port 40022 ssh2", "data": {"srcip": "203.0.113.7", '
        b'"dstuser": "root"}, "location": "/var/log/auth.log"}\n'
    )
    mapping = (
        (
            "threat_id",
            "`wazuh:` and a fingerprint of the cluster's or manager's name, and of those of "
            + ", ".join(f"`{path}`" for path in IDENTITY)
            + " that are there; the `id` of an alert is not unique",
        ),
        ("content", "`rule.description`, `full_log`, what a module says"),
        ("severity", "`rule.level`, 0 to 15; see the table"),
        ("source", "`agent.name`, else `manager.name`, else `wazuh`"),
        ("observed_at", "`timestamp`, else `@timestamp`"),
        ("metadata.title", "`rule.description`, else `Rule` and its id"),
        ("metadata.type", "`alert`; `vulnerability` where `data.vulnerability` is there"),
        ("metadata.tags", "`rule.groups`, `rule.mitre`, CVE ids, and `pci_dss:11.4` and its like"),
        ("metadata.references", "`data.vulnerability.reference(s)`, `data.virustotal.permalink`"),
        (
            "metadata.indicators",
            "addresses, names, URLs, users, files, hashes, processes, registry keys and CVE ids "
            "of `data`, `syscheck` and `agent.ip`",
        ),
        ("metadata.last_observed", "`timestamp`"),
        ("metadata.rule_id, .level, .fired", "`rule.id`, `rule.level`, `rule.firedtimes`"),
        (
            "metadata.agent, .agent_id, .agent_ip, .manager, .cluster, .node",
            "names and numbers of who saw it",
        ),
        (
            "metadata.decoder, .location, .program, .event_id, .syscheck_event, .alert_id",
            "where it is from",
        ),
        ("metadata.raw", "the first 1,024 bytes of the alert"),
    )

    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether it is an alert, or an archived event without a rule."""
        rule, agent = record.get("rule"), record.get("agent")
        dotted = "rule.level" in record and "agent.id" in record
        if not isinstance(agent, dict) and not isinstance(record.get("manager"), dict):
            return dotted
        if isinstance(rule, dict):
            return "level" in rule and ("id" in rule or "description" in rule)
        return isinstance(record.get("decoder"), dict) and "location" in record

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map alerts; events without a rule, and what is solved or passed, are skipped."""

        def report(record: Any) -> Report | None:
            alert = required(record, "an alert")
            flat = flattened(alert)
            if reason := _no_alert(flat):
                skip(reason)
                return None
            return _finding(alert, flat, options).report(options)

        return report


def _no_alert(flat: Flat) -> str | None:
    """Return why an event is no alert to look at; None if it is one.

    Raises:
        BadRecord: it has nothing of Wazuh's in it.

    """
    if "rule.level" not in flat and "rule.id" not in flat:
        if flat.keys().isdisjoint(("decoder.name", "full_log", "location")):
            raise BadRecord("no rule: this is no alert of Wazuh's")
        return "no rule"
    for path, words in CLOSED.items():
        word = flat.get(path)
        if isinstance(word, str) and word.strip().lower() in words:
            return word.strip().lower()
    return None


def _finding(alert: dict[str, Any], flat: Flat, options: ReadOptions) -> Finding:
    threat_id = _identity(flat)
    title = text_at(flat, "rule.description") or f"Rule {text_at(flat, 'rule.id')}"
    more: dict[str, Any] = some(flat, KEPT)
    more |= {"level": flat.get("rule.level"), "fired": flat.get("rule.firedtimes")}
    moment = flat.get("timestamp") or flat.get("@timestamp")
    try:
        severity = severity_of(options, "wazuh", (("level", flat.get("rule.level")),))
    except BadRecord as exc:
        raise BadRecord(str(exc), threat_id) from None
    return Finding(
        threat_id=threat_id,
        title=title,
        content=f"{title}\n\n{described(flat)}".strip(),
        severity=severity,
        source=text_at(flat, "agent.name", "manager.name") or "wazuh",
        type="vulnerability" if dict_of(alert, "data", "vulnerability") else "alert",
        observed_at=moment,
        last_observed=moment,
        tags=_tags(flat),
        references=values_at(
            flat,
            *("data.vulnerability.reference", "data.vulnerability.references"),
            *("data.virustotal.permalink", "rule.info"),
        ),
        indicators=indicators(flat),
        raw=alert,
        more={key: value for key, value in more.items() if isinstance(value, str | int)},
    )


def _identity(flat: Flat) -> str:
    where = text_at(flat, "cluster.name") if flat.get("cluster.name") != "wazuh" else ""
    seen = [(path, flat[path]) for path in IDENTITY if path in flat]
    return fingerprint_id("wazuh", [where or text_at(flat, "manager.name"), seen])


def _tags(flat: Flat) -> Iterator[object]:
    yield from values_at(flat, *TAGS)
    for name in COMPLIANCE:
        for value in values_at(flat, f"rule.{name}"):
            yield f"{name}:{value}" if isinstance(value, str) else None
