"""Falco: events of its rules as JSON, through falcosidekick, and events of Sysdig Secure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from periscope.feeds.finding import (
    Finding,
    dict_of,
    is_true,
    list_of,
    required,
    severity_of,
    text_of,
)
from periscope.feeds.fingerprint import fingerprint_id
from periscope.feeds.flat import some, text_at, values_at
from periscope.feeds.format import PRODUCT, Skip
from periscope.feeds.indicators import Indicator, address, hashed, host, indicator
from periscope.feeds.json_records import JsonFormat, Map
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.models import Report

IDENTITY = (
    *("k8s.ns.name", "k8s.pod.name", "container.name", "proc.name", "user.name"),
    *("ka.user.name", "ka.verb", "ka.target.namespace", "ka.target.resource", "ka.target.name"),
    *("ct.user", "ct.name", "ct.srcip", "ct.region", "okta.actor.name", "github.user"),
    *("github.repo", "gcp.user", "gcp.methodName"),
)
"""Fields whose values make an event the same as another: none that changes with each process."""
HOSTS = (
    *("fd.rip", "fd.sip", "fd.cip", "fd.lip", "fd.sip.name", "fd.rip.name", "ct.srcip"),
    *("ka.sourceips", "okta.client.ip", "gcp.callerIP"),
)
USERS = ("user.name", "user.loginname", "ka.user.name", "ct.user", "okta.actor.alternateId")
PROCESSES = ("proc.exepath", "proc.name", "proc.pname", "proc.cmdline")
KEPT = (
    ("container", ("container.name", "container.id")),
    ("container_id", ("container.id",)),
    ("image", ("container.image.repository", "container.image")),
    ("namespace", ("k8s.ns.name", "ka.target.namespace", "kubernetes.namespace.name")),
    ("pod", ("k8s.pod.name", "kubernetes.pod.name")),
    ("cluster", ("k8s.cluster.name", "kubernetes.cluster.name")),
    ("process", ("proc.name",)),
    ("command", ("proc.cmdline",)),
    ("parent", ("proc.pname", "proc.pcmdline")),
    ("user", ("user.name", "ka.user.name", "ct.user")),
    ("file", ("fd.name",)),
)
NOTHING = frozenset(("", "<NA>", "<na>", "N/A", "null", "none", "0.0.0.0", "::"))  # noqa: S104
LEADING_TIME = re.compile(r"\A\d\d:\d\d:\d\d\.\d{1,9}: (?:[A-Z][a-z]+ )?")
MITRE = re.compile(r"\AMITRE_(TA?\d{2,5}(?:\.\d{3})?)(?:_(.+))?\Z")


class Falco(JsonFormat):
    """One report an event; the same rule about the same process and pod is the same threat."""

    name = "falco"
    title = "Falco and Sysdig Secure"
    one_report_is = "an event of a rule or policy"
    rank = PRODUCT
    members = (b"data", b"hits.hits", b"logEvents")
    marks = (
        re.compile(rb'"(?:priority|ruleName)"\s*:\s*"'),
        re.compile(rb'"(?:output_fields|ruleTags)"\s*:\s*[{\[]'),
    )
    example = (
        b'{"uuid": "5f3a2c1e-8d4b-4b6e-9c0a-000000000001", "hostname": "node-1", "output": '
        b'"09:30:11.251547000: Error File below /etc opened for writing (user=root command=vi '
        b'/etc/passwd file=/etc/passwd)", "priority": "Error", "rule": "Write below etc", '
        b'"source": "syscall", "tags": ["filesystem", "mitre_persistence", "T1098"], "time": '
        b'"2024-05-17T07:30:11.251547000Z", "output_fields": {"evt.time": 1715931011251547000, '
        b'"fd.name": "/etc/passwd", "proc.cmdline": "vi /etc/passwd", "proc.name": "vi", '
        b'"user.name": "root", "container.id": "host"}}\n'
    )
    mapping = (
        (
            "threat_id",
            "`falco:` and a fingerprint of the rule (Sysdig: and the policy), `source`, the host, "
            "and those of "
            + ", ".join(f"`{path}`" for path in IDENTITY)
            + " that are there; `uuid` and `id` are of one firing only",
        ),
        ("content", "`output` without its time (Sysdig: `content.output`, `description`)"),
        ("severity", "`priority`; Sysdig: `severity`, 0 to 7; see the table"),
        ("source", "`hostname` (Sysdig: the host among `labels`), else `falco`"),
        ("observed_at", "`time` (Sysdig: `timestamp`)"),
        ("metadata.title", "`rule` (Sysdig: `content.ruleName`, else `name`)"),
        ("metadata.type", "`alert`"),
        ("metadata.tags", "`tags`; Sysdig: `content.ruleTags`, MITRE's ids by themselves"),
        (
            "metadata.indicators",
            "addresses and names of connections, users, files, processes, hashes",
        ),
        ("metadata.last_observed", "as `observed_at`"),
        ("metadata.priority, .rule_source", "`priority` or `severity`, `source`"),
        ("metadata.policy, .event_id", "Sysdig's `name`, and the event's `uuid` or `id`"),
        (
            "metadata.container, .container_id, .image, .namespace, .pod, .cluster, .process, "
            ".command, .parent, .user, .file",
            "from `output_fields`, `content.fields` and `labels`",
        ),
        ("metadata.raw", "the first 1,024 bytes of the event"),
    )

    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether it is an event of Falco's or of Sysdig's."""
        if isinstance(record.get("rule"), str) and isinstance(record.get("priority"), str):
            return "output" in record or "output_fields" in record
        return _is_sysdig(record)

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map events; those that Sysdig calls false positives are skipped."""

        def report(record: Any) -> Report | None:
            event = required(record, "an event")
            if _is_sysdig(event):
                if is_true(dict_of(event, "content").get("falsePositive")):
                    skip("false positive")
                    return None
                return _of_sysdig(event, options).report(options)
            if not text_of(event, "rule") or "priority" not in event:
                raise BadRecord("no rule and priority: this is no event of Falco's")
            return _of_falco(event, options).report(options)

        return report


def _is_sysdig(record: dict[str, Any]) -> bool:
    content = record.get("content")
    if not isinstance(content, dict) or "timestamp" not in record or "severity" not in record:
        return False
    return "ruleName" in content or "policyId" in content or "falsePositive" in content


def _of_falco(event: dict[str, Any], options: ReadOptions) -> Finding:
    fields = _known(dict_of(event, "output_fields"))
    rule, where = text_of(event, "rule"), text_of(event, "hostname")
    threat_id = fingerprint_id("falco", [rule, text_of(event, "source"), where, _seen(fields)])
    moment = event.get("time") or fields.get("evt.time")
    return Finding(
        threat_id=threat_id,
        title=rule,
        content=LEADING_TIME.sub("", text_of(event, "output")) or rule,
        severity=_severity(options, "priority", event.get("priority"), threat_id),
        source=where or "falco",
        type="alert",
        observed_at=moment,
        last_observed=moment,
        tags=list_of(event.get("tags")),
        indicators=_indicators(fields),
        raw=event,
        more={
            "priority": text_of(event, "priority"),
            "rule_source": text_of(event, "source"),
            "event_id": text_of(event, "uuid"),
            **some(fields, KEPT),
        },
    )


def _of_sysdig(event: dict[str, Any], options: ReadOptions) -> Finding:
    content, labels = dict_of(event, "content"), dict_of(event, "labels")
    fields = _known({**labels, **dict_of(content, "fields")})
    rule = text_of(content, "ruleName", "internalRuleName") or text_of(event, "name")
    where = text_at(labels, "host.hostName", "host.hostname") or text_of(event, "hostname")
    known = [rule, text_of(event, "name"), where or text_of(event, "machineId"), _seen(fields)]
    threat_id = fingerprint_id("falco", known)
    text = text_of(content, "output"), text_of(event, "description")
    return Finding(
        threat_id=threat_id,
        title=rule or "Sysdig event",
        content="\n\n".join(part for part in text if part),
        severity=_severity(options, "severity", event.get("severity"), threat_id),
        source=where or "falco",
        type="alert",
        observed_at=event["timestamp"],
        last_observed=event["timestamp"],
        tags=_sysdig_tags(content.get("ruleTags", event.get("ruleTags"))),
        indicators=[*_ends(event), *_indicators(fields)],
        raw=event,
        more={
            "priority": text_of(event, "severity"),
            "rule_source": text_of(event, "source"),
            "policy": text_of(event, "name"),
            "event_id": text_of(event, "id"),
            **some(fields, KEPT),
        },
    )


def _severity(options: ReadOptions, field: str, stated: object, threat_id: str) -> Any:
    try:
        return severity_of(options, "falco", ((field, stated),))
    except BadRecord as exc:
        raise BadRecord(str(exc), threat_id) from None


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value: Falco writes `<NA>` where there is none."""
    return {
        key: value
        for key, value in fields.items()
        if value is not None and not (isinstance(value, str) and value.strip() in NOTHING)
    }


def _seen(fields: dict[str, Any]) -> list[object]:
    found: list[object] = [(key, fields[key]) for key in IDENTITY if key in fields]
    unnamed = "k8s.pod.name" not in fields and "container.name" not in fields
    return [*found, fields.get("container.id")] if unnamed else found


def _ends(event: dict[str, Any]) -> Iterator[Indicator | None]:
    for key in ("clientIpv4", "serverIpv4", "clientIpv6", "serverIpv6"):
        yield host(event.get(key))


def _indicators(fields: dict[str, Any]) -> Iterator[Indicator | None]:
    for value in values_at(fields, *HOSTS):
        yield host(value)
    yield from _of_file(fields.get("fd.name"))
    for value in values_at(fields, *USERS):
        yield indicator("user-account", value)
    for value in values_at(fields, *PROCESSES):
        yield indicator("process", value)
    for value in values_at(fields, "proc.hash.sha256", "proc.hash.md5", "proc.exe_hash"):
        yield hashed(value)


def _of_file(name: object) -> Iterator[Indicator | None]:
    """Yield the file, or the ends of the connection: `fd.name` is either."""
    if not isinstance(name, str):
        return
    left, arrow, right = name.partition("->")
    if arrow:
        yield _end(left)
        yield _end(right)
    elif name.startswith("/") or name[1:3] == ":\\":
        yield indicator("file-name", name)


def _end(text: str) -> Indicator | None:
    """Return the address of `192.0.2.1:80`, `[2001:db8::1]:80` or `2001:db8::1:80`."""
    return address(text.rpartition(":")[0].strip("[]"))


def _sysdig_tags(tags: object) -> Iterator[object]:
    for tag in list_of(tags):
        found = MITRE.match(tag) if isinstance(tag, str) else None
        yield tag
        if found:
            yield found[1]
