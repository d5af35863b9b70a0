"""Findings of AWS GuardDuty, as the API, EventBridge and the export to S3 write them.

https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-format.html: the API's command
line begins names with a capital, EventBridge and S3 do not; both are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from periscope.feeds.finding import (
    Finding,
    is_true,
    own_id,
    required,
    severity_of,
    text_of,
)
from periscope.feeds.fingerprint import fingerprint_id
from periscope.feeds.format import PRODUCT, Skip
from periscope.feeds.harvest import harvest
from periscope.feeds.indicators import Indicator
from periscope.feeds.json_records import JsonFormat, Map
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.models import Report

TYPE = re.compile(r"[A-Za-z]{3,64}:[A-Za-z0-9]{2,64}/[!-~]{2,200}")
TYPE_IN_TEXT = re.compile(
    rb'"[Tt]ype"\s*:\s*"(?:Backdoor|Behavior|CryptoCurrency|DefenseEvasion|Discovery|Execution|'
    rb"CredentialAccess|Exfiltration|Impact|InitialAccess|Object|PenTest|Persistence|Policy|"
    rb'PrivilegeEscalation|Recon|Stealth|Trojan|UnauthorizedAccess|AttackSequence):[^"]+"'
)
SERVICE_IN_TEXT = re.compile(rb'"[Ss]ervice"\s*:\s*\{')
MOST_RESOURCES = 50


@cache
def small(name: str) -> str:
    """Return a name as EventBridge and S3 spell it."""
    return name[0].lower() + name[1:]


KEYS = {
    spelling: kind
    for name, kind in {
        "IpAddressV4": "address",
        "IpAddressV6": "address",
        "Ip": "address",
        "IpAddress": "address",
        "SourceIPs": "address",
        "SourceIps": "address",
        "PrivateIpAddress": "address",
        "PublicIp": "address",
        "Ipv6Addresses": "address",
        "Domain": "domain",
        "DomainWithSuffix": "domain",
        "Hash": "hash",
        "ExecutableSha256": "hash",
        "Sha256": "hash",
        "FileName": "file",
        "FilePath": "file",
        "ExecutablePath": "file",
        "UserName": "user",
        "Username": "user",
        "User": "user",
        "AccessKeyId": "other",
    }.items()
    for spelling in (name, small(name))
}
RESOURCE_IDS = (
    *("InstanceId", "AccessKeyId", "FunctionArn", "FunctionName", "DbInstanceArn"),
    *("DbInstanceIdentifier", "VolumeArn", "Arn", "Name"),
)


class GuardDuty(JsonFormat):
    """One report a finding that is not archived; a finding that comes again is a sighting."""

    name = "guardduty"
    title = "AWS GuardDuty findings"
    one_report_is = "a finding that is not archived"
    rank = PRODUCT
    members = (b"Findings", b"findings")
    marks = (TYPE_IN_TEXT, SERVICE_IN_TEXT)
    example = (
        b'{"schemaVersion": "2.0", "accountId": "111122223333", "region": "eu-west-1", '
        b'"id": "0ab1c2d3e4f5061728394a5b6c7d8e9f", '
        b'"type": "UnauthorizedAccess:EC2/SSHBruteForce", '
        b'"resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": '
        b'"i-0123456789abcdef0"}}, "service": {"serviceName": "guardduty", "action": '
        b'{"actionType": "NETWORK_CONNECTION", "networkConnectionAction": '
        b'{"connectionDirection": "INBOUND", "remoteIpDetails": '
        b'{"ipAddressV4": "203.0.113.7"}}}, "eventFirstSeen": '
        b'"2024-05-05T05:59:51Z", "eventLastSeen": "2024-05-05T13:08:11Z", "archived": false, '
        b'"count": 43}, "severity": 5, "createdAt": "2024-05-05T06:12:49Z", "updatedAt": '
        b'"2024-05-05T13:13:02Z", "title": "203.0.113.7 is performing SSH brute force attacks."}\n'
    )
    mapping = (
        ("threat_id", "`guardduty:` and `Id`, else the end of `Arn`"),
        ("threat_id", "without both: a fingerprint of `AccountId`, `Region`, `Type`, `Title`"),
        ("content", "`Description`, else `Title`"),
        ("severity", "`Severity`: 1 to 3.9 LOW, 4 to 6.9 MEDIUM, 7 to 8.9 HIGH, 9 to 10 CRITICAL"),
        ("source", "`Service.ServiceName`, which is `guardduty`"),
        ("observed_at", "`UpdatedAt`, else `Service.EventLastSeen`, else `CreatedAt`"),
        ("metadata.title", "`Title`, else `Type`"),
        ("metadata.type", "`finding`"),
        ("metadata.tags", "`Type`, its purpose, `sample` for samples, names of threats found"),
        (
            "metadata.indicators",
            "addresses of both ends, domains, hashes, files, users and access keys in `Service` "
            "and `Resource`",
        ),
        ("metadata.first_observed, .last_observed", "`Service.EventFirstSeen`, `.EventLastSeen`"),
        ("metadata.account, .region, .count, .action", "the same; `action` is the action's type"),
        ("metadata.resource_type, .resources", "`Resource.ResourceType`, ids and names in it"),
        ("metadata.resource_role, .direction", "`TARGET` or `ACTOR`; `INBOUND` or `OUTBOUND`"),
        ("metadata.remote", "country, network and owner of the other end"),
    )

    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether it has the type, resource and service of a finding."""
        kind = record.get("Type") or record.get("type")
        return (
            isinstance(kind, str)
            and ("Service" in record or "service" in record)
            and ("Resource" in record or "resource" in record)
            and TYPE.fullmatch(kind) is not None
        )

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map findings; archived ones are skipped."""

        def report(record: Any) -> Report | None:
            found = required(record, "a GuardDuty finding")
            if not self.is_one(found):
                raise BadRecord("no Type, Service and Resource: this is no GuardDuty finding")
            service = part(found, "Service")
            if is_true(value(service, "Archived")):
                skip("archived")
                return None
            return _report(found, service, options)

        return report


def value(record: dict[str, Any], name: str) -> Any:
    """Return what stands under a name, with a capital or without."""
    found = record.get(name)
    return record.get(small(name)) if found is None else found


def part(record: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the object under a path of names, with capitals or without; empty if none."""
    for name in names:
        inner = value(record, name)
        record = inner if isinstance(inner, dict) else {}
    return record


def text(record: dict[str, Any], name: str) -> str:
    """Return the text or number under a name, with a capital or without."""
    return text_of(record, name, small(name))


def _report(found: dict[str, Any], service: dict[str, Any], options: ReadOptions) -> Report:
    threat_id = _threat_id(found)
    try:
        severity = severity_of(options, "guardduty", (("severity", value(found, "Severity")),))
    except BadRecord as exc:
        raise BadRecord(str(exc), threat_id) from None
    resource = part(found, "Resource")
    kind = text(found, "Type")
    last = value(service, "EventLastSeen")
    return Finding(
        threat_id=threat_id,
        title=text(found, "Title") or kind,
        content=text(found, "Description"),
        severity=severity,
        source=text(service, "ServiceName") or "guardduty",
        type="finding",
        observed_at=value(found, "UpdatedAt") or last or value(found, "CreatedAt"),
        first_observed=value(service, "EventFirstSeen"),
        last_observed=last,
        tags=_tags(found, service, kind),
        indicators=_indicators(service, resource),
        raw=found,
        more=_more(found, service, resource),
    ).report(options)


def _threat_id(found: dict[str, Any]) -> str:
    own = text(found, "Id") or text(found, "Arn").rpartition("/")[2]
    if own:
        return own_id("guardduty", own)
    names = ("AccountId", "Region", "Type", "Title")
    return fingerprint_id("guardduty", [text(found, name) for name in names])


def _tags(found: dict[str, Any], service: dict[str, Any], kind: str) -> Iterator[object]:
    yield kind
    yield kind.partition(":")[0]
    info = part(service, "AdditionalInfo")
    stated = value(info, "Value")
    if is_true(value(info, "Sample")) or (isinstance(stated, str) and '"sample":true' in stated):
        yield "sample"
    for one in _each(value(part(service, "Evidence"), "ThreatIntelligenceDetails")):
        for key in ("ThreatNames", "ThreatListName"):
            named = value(one, key)
            yield from named if isinstance(named, list) else (named,)


def _indicators(service: dict[str, Any], resource: dict[str, Any]) -> Iterator[Indicator | None]:
    yield from harvest(service, KEYS)
    yield from harvest(resource, KEYS)


def _more(
    found: dict[str, Any], service: dict[str, Any], resource: dict[str, Any]
) -> dict[str, Any]:
    action = part(service, "Action")
    details = next((one for one in action.values() if isinstance(one, dict)), {})
    return {
        "account": text(found, "AccountId"),
        "region": text(found, "Region"),
        "count": value(service, "Count") if type(value(service, "Count")) is int else None,
        "action": text(action, "ActionType"),
        "direction": text(details, "ConnectionDirection"),
        "resource_type": text(resource, "ResourceType"),
        "resource_role": text(service, "ResourceRole"),
        "resources": list(dict.fromkeys(_resources(resource)))[:MOST_RESOURCES],
        "remote": _remote(part(details, "RemoteIpDetails")),
    }


def _resources(resource: dict[str, Any]) -> Iterable[str]:
    details = part(resource, "KubernetesDetails")
    for name, inner in (*resource.items(), *details.items()):
        for one in _each(inner):
            for key in RESOURCE_IDS:
                found = text(one, key)
                if found and not (key == "Name" and name.lower() == "instancedetails"):
                    yield found[:512]


def _each(inner: object) -> list[dict[str, Any]]:
    ones = inner if isinstance(inner, list) else [inner]
    return [one for one in ones if isinstance(one, dict)]


def _remote(remote: dict[str, Any]) -> dict[str, str]:
    owner = part(remote, "Organization")
    found = {
        "country": text(part(remote, "Country"), "CountryName"),
        "asn": text(owner, "Asn"),
        "organization": text(owner, "Org") or text(owner, "AsnOrg"),
    }
    return {key: word for key, word in found.items() if word}
