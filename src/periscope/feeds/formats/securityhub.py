"""Findings of AWS Security Hub in its own format (ASFF), whatever product they come from.

https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format-syntax.html.
The newer Security Hub writes OCSF, which is the format `ocsf`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

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
from periscope.feeds.fingerprint import fingerprint_id
from periscope.feeds.format import PRODUCT, Skip
from periscope.feeds.harvest import KINDS, harvest
from periscope.feeds.indicators import Indicator, indicator
from periscope.feeds.json_records import JsonFormat, Map
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.models import Report, Severity

MOST_RESOURCES = 50
CLOSED = {
    ("RecordState",): {"ARCHIVED": "archived"},
    ("Workflow", "Status"): {"RESOLVED": "resolved", "SUPPRESSED": "suppressed"},
    ("WorkflowState",): {"RESOLVED": "resolved"},
    ("Compliance", "Status"): {"PASSED": "passed"},
    ("VerificationState",): {
        "FALSE_POSITIVE": "false positive",
        "BENIGN_POSITIVE": "benign positive",
    },
}
"""Fields that say that a finding asks for nothing, and the reason under which it is skipped."""

KEYS = {
    "SourceIpV4": "address",
    "SourceIpV6": "address",
    "DestinationIpV4": "address",
    "DestinationIpV6": "address",
    "SourceDomain": "domain",
    "DestinationDomain": "domain",
    "SourceMac": "mac",
    "IpAddressV4": "address",
    "IpAddressV6": "address",
    "IpV4Addresses": "address",
    "IpV6Addresses": "address",
    "PublicIp": "address",
    "PrivateIpAddress": "address",
    "Ip": "address",
    "Domain": "domain",
    "FileName": "file",
    "FilePath": "file",
    "Hash": "hash",
    "UserName": "user",
    "AccessKeyId": "other",
}
PLACES = ("Network", "NetworkPath", "Action", "Threats", "Detection", "Resources")
"""Where in a finding those keys may stand."""
THREAT_INTEL = {
    "IPV4_ADDRESS": "address",
    "IPV6_ADDRESS": "address",
    "DOMAIN": "domain",
    "EMAIL_ADDRESS": "email",
    "HASH_MD5": "hash",
    "HASH_SHA1": "hash",
    "HASH_SHA256": "hash",
    "HASH_SHA512": "hash",
    "MUTEX": "mutex",
    "PROCESS": "process",
    "URL": "url",
}


class SecurityHub(JsonFormat):
    """One report a finding that is active, not passed, and neither resolved nor suppressed."""

    name = "securityhub"
    title = "AWS Security Hub findings (ASFF)"
    one_report_is = "a finding that is active and open"
    rank = PRODUCT
    members = (b"Findings", b"findings")
    marks = (re.compile(rb'"ProductArn"\s*:\s*"arn:'), re.compile(rb'"(?:GeneratorId|Types)"\s*:'))
    example = (
        b'{"Findings": [{"SchemaVersion": "2018-10-08", "Id": "arn:aws:securityhub:eu-west-1:'
        b'111122223333:security-control/S3.8/finding/5f0c2a1e-7d43-4b7e-9c55-0d6a1b2c3d4e", '
        b'"ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/securityhub", '
        b'"GeneratorId": "security-control/S3.8", '
        b'"AwsAccountId": "111122223333", "Types": ["Software and Configuration Checks"], '
        b'"UpdatedAt": "2024-05-05T13:13:02Z", "Severity": {"Label": "HIGH", "Normalized": 70}, '
        b'"Title": "S3 buckets should block public access", "Description": "Block it.", '
        b'"Resources": [{"Type": "AwsS3Bucket", "Id": "arn:aws:s3:::example"}], "Compliance": '
        b'{"Status": "FAILED"}, "Workflow": {"Status": "NEW"}, "RecordState": "ACTIVE"}]}\n'
    )
    mapping = (
        ("threat_id", "`securityhub:` and `Id`"),
        (
            "threat_id",
            "without one: a fingerprint of `ProductArn`, `GeneratorId`, `AwsAccountId`, `Title` "
            "and ids of `Resources`",
        ),
        ("content", "`Description` and the text of `Remediation.Recommendation`"),
        (
            "severity",
            "`Severity.Label`, else `.Normalized`, else the same in `FindingProviderFields`, else "
            "`Severity.Product` up to 10",
        ),
        ("source", "`ProductName`, else the end of `ProductArn`"),
        ("observed_at", "`UpdatedAt`, else `LastObservedAt`, else `CreatedAt`"),
        ("metadata.title", "`Title`"),
        ("metadata.type", "`finding`"),
        (
            "metadata.tags",
            "`Types`, `Compliance.SecurityControlId`, names of `Malware` and `Threats`",
        ),
        (
            "metadata.references",
            "`SourceUrl`, `Remediation.Recommendation.Url`, those of vulnerabilities and of "
            "threat intelligence",
        ),
        (
            "metadata.indicators",
            "`ThreatIntelIndicators`, ids of `Vulnerabilities`, both ends in `Network` and "
            "`Action`, `Malware`, `Process`, `Threats`, and addresses of `Resources`",
        ),
        ("metadata.first_observed, .last_observed", "`FirstObservedAt`, `LastObservedAt`"),
        ("metadata.account, .region, .company", "`AwsAccountId`, `Region`, `CompanyName`"),
        ("metadata.resources, .generator", "types and ids of `Resources`; `GeneratorId`"),
        ("metadata.compliance, .workflow", "`Compliance.Status`, `Workflow.Status`"),
    )

    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether it has the product and the account, generator or resources of a finding."""
        arn = record.get("ProductArn")
        return (
            isinstance(arn, str)
            and arn.startswith("arn:")
            and ("GeneratorId" in record or "Resources" in record or "AwsAccountId" in record)
        )

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map findings; those that ask for nothing are skipped by reason."""

        def report(record: Any) -> Report | None:
            found = required(record, "a Security Hub finding")
            if not self.is_one(found):
                raise BadRecord("no ProductArn: this is no Security Hub finding")
            reason = _closed(found)
            if reason:
                skip(reason)
                return None
            return _report(found, options)

        return report


def _closed(found: dict[str, Any]) -> str | None:
    for path, reasons in CLOSED.items():
        word = text_of(dict_of(found, *path[:-1]), path[-1]).upper()
        if word in reasons:
            return reasons[word]
    return None


def _report(found: dict[str, Any], options: ReadOptions) -> Report:
    threat_id = _threat_id(found)
    try:
        severity = _severity(found, options)
    except BadRecord as exc:
        raise BadRecord(str(exc), threat_id) from None
    title = text_of(found, "Title") or text_of(found, "GeneratorId")
    advice = text_of(dict_of(found, "Remediation", "Recommendation"), "Text")
    last = found.get("LastObservedAt")
    return Finding(
        threat_id=threat_id,
        title=title,
        content="\n\n".join(filter(None, (text_of(found, "Description"), advice))),
        severity=severity,
        source=_source(found),
        type="finding",
        observed_at=found.get("UpdatedAt") or last or found.get("CreatedAt"),
        first_observed=found.get("FirstObservedAt"),
        last_observed=last,
        tags=_tags(found),
        references=_references(found),
        indicators=_indicators(found),
        raw=found,
        more=_more(found),
    ).report(options)


def _threat_id(found: dict[str, Any]) -> str:
    own = text_of(found, "Id")
    if own:
        return own_id("securityhub", own)
    names = ("ProductArn", "GeneratorId", "AwsAccountId", "Title")
    resources = [text_of(one, "Id") for one in dicts_of(found.get("Resources"))]
    return fingerprint_id("securityhub", [*(text_of(found, name) for name in names), resources])


def _severity(found: dict[str, Any], options: ReadOptions) -> Severity:
    own = dict_of(found, "Severity")
    provider = dict_of(found, "FindingProviderFields", "Severity")
    product = own.get("Product")
    stated = (
        ("label", own.get("Label")),
        ("normalized", own.get("Normalized")),
        ("label", provider.get("Label")),
        ("normalized", provider.get("Normalized")),
        ("product", None if isinstance(product, int | float) and product > 10 else product),
    )
    return severity_of(options, "securityhub", stated)


def _source(found: dict[str, Any]) -> str:
    named = text_of(found, "ProductName") or text_of(
        dict_of(found, "ProductFields"), "aws/securityhub/ProductName"
    )
    return named or text_of(found, "ProductArn").rpartition("/")[2] or "securityhub"


def _tags(found: dict[str, Any]) -> Iterator[object]:
    yield from list_of(found.get("Types"))
    yield from list_of(dict_of(found, "FindingProviderFields").get("Types"))
    yield dict_of(found, "Compliance").get("SecurityControlId")
    for key in ("Malware", "Threats"):
        for one in dicts_of(found.get(key)):
            yield one.get("Name")
    if found.get("Sample") is True:
        yield "sample"


def _references(found: dict[str, Any]) -> Iterator[object]:
    yield found.get("SourceUrl")
    yield dict_of(found, "Remediation", "Recommendation").get("Url")
    for one in dicts_of(found.get("Vulnerabilities")):
        yield from list_of(one.get("ReferenceUrls"))
    for one in dicts_of(found.get("ThreatIntelIndicators")):
        yield one.get("SourceUrl")


def _indicators(found: dict[str, Any]) -> Iterator[Indicator | None]:
    for one in dicts_of(found.get("ThreatIntelIndicators")):
        kind, stated = one.get("Type"), one.get("Value")
        if isinstance(kind, str) and isinstance(stated, str):
            yield KINDS[THREAT_INTEL.get(kind, "other")](stated)
    for one in dicts_of(found.get("Vulnerabilities")):
        yield indicator("vulnerability", one.get("Id"))
    for one in (*dicts_of(found.get("Malware")), dict_of(found, "Process")):
        path = text_of(one, "Path")
        yield KINDS["file"](path) if path else None
    yield indicator("process", dict_of(found, "Process").get("Name"))
    for name in PLACES:
        inner = found.get(name)
        if inner:
            yield from harvest(inner, KEYS)


def _more(found: dict[str, Any]) -> dict[str, Any]:
    resources = [
        {key.lower(): text_of(one, key)[:512] for key in ("Type", "Id", "Region") if one.get(key)}
        for one in dicts_of(found.get("Resources"))[:MOST_RESOURCES]
    ]
    return {
        "account": text_of(found, "AwsAccountId"),
        "region": text_of(found, "Region"),
        "company": text_of(found, "CompanyName"),
        "generator": text_of(found, "GeneratorId")[:512],
        "resources": resources,
        "compliance": text_of(dict_of(found, "Compliance"), "Status"),
        "workflow": text_of(dict_of(found, "Workflow"), "Status"),
    }
