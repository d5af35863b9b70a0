"""Alerts of Microsoft Defender: Graph (v1 and v2), Defender for Endpoint, Defender XDR.

https://learn.microsoft.com/graph/api/resources/security-alert and its neighbours. Rows of advanced
hunting are telemetry, but for `AlertInfo`, which lists alerts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from periscope.feeds.entities import stated_time
from periscope.feeds.finding import (
    Finding,
    dict_of,
    dicts_of,
    list_of,
    own_id,
    required,
    severity_of,
    text_of,
)
from periscope.feeds.format import PRODUCT, Skip
from periscope.feeds.harvest import harvest
from periscope.feeds.indicators import Indicator
from periscope.feeds.json_records import JsonFormat, Map
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.models import Report

GRAPH = "#microsoft.graph.security."
HUNTING = "AdvancedHunting-"
OWN_KEYS = (
    *("vendorInformation", "vendorInformation_provider", "azureTenantId", "serviceSource"),
    *("alertCreationTime", "ServiceSource", "detectorId"),
)
"""Keys of which an alert of one of the APIs has at least one, beside its id, title and severity."""
CLOSED = {"resolved": "resolved", "dismissed": "dismissed", "redirected": "merged into another"}

IDS = ("id", "alertId", "AlertId", "incidentId")
TITLES = ("title", "Title", "displayName", "incidentName", "category", "Category")
UPDATED = (
    *("lastUpdateDateTime", "lastModifiedDateTime", "lastUpdateTime", "lastUpdatedTime"),
    *("Timestamp", "createdDateTime", "alertCreationTime", "creationTime", "createdTime"),
)
FIRST = ("firstActivityDateTime", "eventDateTime", "firstEventTime", "firstActivity")
LAST = ("lastActivityDateTime", "lastEventTime", "lastActivity")
SOURCES = ("serviceSource", "ServiceSource", "vendorInformation_provider", "detectionSource")
MORE = {
    "category": ("category", "Category"),
    "incident": ("incidentId",),
    "detection_source": ("detectionSource", "DetectionSource"),
    "classification": ("classification",),
    "determination": ("determination",),
    "threat": ("threatDisplayName", "threatName"),
    "threat_family": ("threatFamilyName",),
    "actor": ("actorDisplayName", "actorName"),
    "device": ("computerDnsName",),
    "tenant": ("tenantId", "aadTenantId", "azureTenantId"),
}
KEYS = {
    **dict.fromkeys(
        (
            *("ipAddress", "senderIp", "senderIP", "sourceAddress", "destinationAddress"),
            *("logonIp", "privateIpAddress", "publicIpAddress", "lastIpAddress", "ipInterfaces"),
            *("lastExternalIpAddress", "destinationServiceIp"),
        ),
        "address",
    ),
    **dict.fromkeys(("sha1", "sha256", "sha256Ac", "md5", "hashValue"), "hash"),
    **dict.fromkeys(("fileName", "path", "fileStates.name"), "file"),
    **dict.fromkeys(("url", "destinationUrl", "urls"), "url"),
    **dict.fromkeys(("userPrincipalName", "accountName", "userName"), "user"),
    **dict.fromkeys(
        ("emailAddress", "recipientEmailAddress", "primaryAddress", "sender", "recipient"), "email"
    ),
    **dict.fromkeys(("parentProcessName", "processes.name"), "process"),
    "destinationDomain": "domain",
    "registryKey": "registry",
    "cve": "cve",
}
PLACES = (
    *("evidence", "entities", "fileStates", "networkConnections", "hostStates", "userStates"),
    *("processes", "malwareStates", "vulnerabilityStates", "messageSecurityStates"),
    *("cloudAppStates", "relatedUser"),
)
"""Members in which those keys are looked for."""


class Defender(JsonFormat):
    """One report an alert that is not resolved."""

    name = "defender"
    title = "Microsoft Defender and Graph security alerts"
    one_report_is = "an alert that is not resolved, or an incident without its alerts"
    rank = PRODUCT
    members = (b"value", b"Results", b"results", b"records")
    marks = (
        re.compile(
            rb'#microsoft\.graph\.security\.|"vendorInformation|"alertCreationTime"|'
            rb'"AdvancedHunting-|"serviceSource"'
        ),
        re.compile(rb'"(?:severity|category|title)"\s*:'),
    )
    example = (
        b'{"value": [{"@odata.type": "#microsoft.graph.security.alert", '
        b'"id": "5f0c2a1e-7d43-4b7e-9c55-0d6a1b2c3d4e", '
        b'"incidentId": "28282", "status": "new", "severity": "high", "serviceSource": '
        b'"microsoftDefenderForEndpoint", "detectionSource": "antivirus", "title": "Hidden file '
        b'was run", "description": "A hidden file has been launched.", "category": '
        b'"DefenseEvasion", "mitreTechniques": ["T1564.001"], "createdDateTime": '
        b'"2024-04-27T12:19:27.7211305Z", "lastUpdateDateTime": "2024-05-02T14:19:01Z", '
        b'"evidence": [{"@odata.type": "#microsoft.graph.security.ipEvidence", "ipAddress": '
        b'"203.0.113.7"}]}]}\n'
    )
    mapping = (
        ("threat_id", "`defender:` and `id` (XDR: `alertId`; hunting: `AlertId`)"),
        ("threat_id", "of an incident: `defender:incident-` and its id"),
        ("content", "`description`"),
        ("severity", "`severity`: informational and low LOW, medium MEDIUM, high HIGH"),
        ("source", "`serviceSource`, else `vendorInformation.provider`, else `detectionSource`"),
        ("observed_at", "the time of the last update, else of creation"),
        ("metadata.title", "`title` (incidents: `displayName`, `incidentName`)"),
        ("metadata.type", "`alert` or `incident`"),
        ("metadata.tags", "`mitreTechniques`, `category`, `systemTags`, `customTags`, `tags`"),
        ("metadata.references", "`alertWebUrl`, `incidentWebUrl`, `sourceMaterials`"),
        (
            "metadata.indicators",
            "addresses, hashes, names of files, links, mail addresses, accounts, registry keys and "
            "CVE ids in `evidence`, `entities` and the `...States` of v1",
        ),
        (
            "metadata.first_observed, .last_observed",
            "`firstActivityDateTime`, `lastActivityDateTime`, and what v1 and the others call them",
        ),
        ("metadata.category, .incident, .detection_source, .tenant", "the same"),
        ("metadata.classification, .determination, .device, .actor", "the same"),
        ("metadata.threat, .threat_family, .devices", "the same; names in evidence of devices"),
    )

    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether it is an alert of one of the APIs, an incident alone, or a row of hunting."""
        stated = record.get("@odata.type")
        if isinstance(stated, str) and stated.startswith(GRAPH):
            return not _has_alerts(record) and stated.endswith((".alert", ".incident"))
        if _is_hunting(record):
            return True
        if not ("severity" in record or "Severity" in record) or _has_alerts(record):
            return False
        return _is_alert(record) or ("incidentId" in record and "incidentName" in record)

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map alerts; those resolved or false and rows of telemetry are skipped by reason."""

        def report(record: Any) -> Report | None:
            found = required(record, "a Defender alert")
            if not self.is_one(found):
                raise BadRecord("neither an alert of Defender nor of Microsoft Graph")
            reason = None
            if _is_hunting(found):
                found = dict_of(found, "properties") or found
                reason = _telemetry(found)
            reason = reason or _closed(found)
            if reason:
                skip(reason)
                return None
            return _report(found, options)

        return report


def _has_alerts(record: dict[str, Any]) -> bool:
    return bool(dicts_of(record.get("alerts")))


def _is_alert(record: dict[str, Any]) -> bool:
    named = "id" in record or "alertId" in record or "AlertId" in record
    titled = "title" in record or "Title" in record
    return named and titled and any(key in record for key in OWN_KEYS)


def _is_hunting(record: dict[str, Any]) -> bool:
    """Say whether it is a row of advanced hunting: streamed, or an answer's."""
    kind = record.get("category")
    if isinstance(kind, str) and kind.startswith(HUNTING):
        return isinstance(record.get("properties"), dict)
    return "ReportId" in record and "DeviceId" in record and "Timestamp" in record


def _telemetry(found: dict[str, Any]) -> str | None:
    """Return why a row of hunting is no alert: it tells an event, or only evidence of an alert."""
    listed = "AlertId" in found and "Severity" in found and "EntityType" not in found
    return None if listed else "telemetry"


def _closed(found: dict[str, Any]) -> str | None:
    if text_of(found, "classification").lower() == "falsepositive":
        return "false positive"
    return CLOSED.get(text_of(found, "status").lower())


def _report(found: dict[str, Any], options: ReadOptions) -> Report:
    incident = _is_incident(found)
    own = text_of(found, *IDS)
    if not own:
        raise BadRecord("no id, alertId or incidentId; an alert has one")
    threat_id = own_id("defender", f"incident-{own}" if incident else own)
    stated = (("severity", found.get("severity")), ("severity", found.get("Severity")))
    try:
        severity = severity_of(options, "defender", stated)
    except BadRecord as exc:
        raise BadRecord(str(exc), threat_id) from None
    return Finding(
        threat_id=threat_id,
        title=text_of(found, *TITLES) or threat_id,
        content=text_of(found, "description"),
        severity=severity,
        source=_source(found),
        type="incident" if incident else "alert",
        observed_at=stated_time(found, UPDATED),
        first_observed=stated_time(found, FIRST),
        last_observed=stated_time(found, LAST),
        tags=_tags(found),
        references=_references(found),
        indicators=_indicators(found),
        raw=found,
        more={
            **{key: text_of(found, *names)[:512] for key, names in MORE.items()},
            "devices": _devices(found),
        },
    ).report(options)


def _is_incident(found: dict[str, Any]) -> bool:
    stated = text_of(found, "@odata.type")
    return stated.endswith(".incident") or "incidentName" in found


def _source(found: dict[str, Any]) -> str:
    provider = text_of(dict_of(found, "vendorInformation"), "provider", "vendor")
    return provider or text_of(found, *SOURCES) or "defender"


def _tags(found: dict[str, Any]) -> Iterator[object]:
    yield from list_of(found.get("mitreTechniques"))
    yield from _words(found.get("AttackTechniques"))
    yield text_of(found, "category", "Category")
    for key in ("systemTags", "customTags", "tags"):
        yield from list_of(found.get(key))
    for one in dicts_of(found.get("malwareStates")):
        yield one.get("name")


def _words(value: object) -> Iterator[object]:
    """Yield the elements of a list, also of one that is written as JSON in a text."""
    yield from (
        re.findall(r'"([^"]+)"', value) or [value] if isinstance(value, str) else list_of(value)
    )


def _references(found: dict[str, Any]) -> Iterator[object]:
    yield found.get("alertWebUrl")
    yield found.get("incidentWebUrl")
    yield found.get("incidentUri")
    yield from list_of(found.get("sourceMaterials"))


def _indicators(found: dict[str, Any]) -> Iterator[Indicator]:
    for name in PLACES:
        inner = found.get(name)
        if isinstance(inner, dict | list) and inner:
            yield from harvest({name: inner}, KEYS)


def _devices(found: dict[str, Any]) -> list[str]:
    names = [
        text_of(one, "deviceDnsName", "fqdn", "netBiosName")
        for key in ("evidence", "devices", "hostStates")
        for one in dicts_of(found.get(key))
    ]
    return list(dict.fromkeys(name[:256] for name in names if name))[:50]
