"""OCSF events of the category Findings, from 1.0 to 1.5, whoever writes them.

https://schema.ocsf.io/: a class is numbered, and so is its category (the thousands). Findings are
read; activity, which is what most events are, is skipped by class.
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
from periscope.feeds.format import FAMILY, Skip
from periscope.feeds.harvest import KINDS, harvest
from periscope.feeds.indicators import Indicator, classified, indicator
from periscope.feeds.json_records import JsonFormat, Map
from periscope.feeds.markings import tlp_word
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.models import Report

FINDINGS = 2
SECURITY_FINDING, VULNERABILITY, INCIDENT = 2001, 2002, 2005
TYPES = {VULNERABILITY: "vulnerability", INCIDENT: "incident"}
UNSTATED = (0, 99)
"""Numbers of every OCSF enumeration that mean "unknown" and "other"."""
PLACEHOLDER = re.compile(r"<[^<>]*>")
MOST_RESOURCES = 50

CLOSED_IDS: dict[int, dict[int, str]] = {
    SECURITY_FINDING: {3: "suppressed", 4: "resolved"},
    INCIDENT: {4: "resolved", 5: "closed"},
}
"""What a number of the status means, by class; in 2001 it is the number of `state_id`."""
OTHERWISE_CLOSED = {3: "suppressed", 4: "resolved", 5: "archived", 6: "deleted"}
CLOSED_WORDS = ("suppressed", "resolved", "archived", "deleted", "closed")
CLOSE = 3
PASSED = ("pass", "passed")
VERDICTS = {1: "false positive", 3: "disregarded", 5: "benign", 10: "duplicate"}

OBSERVABLES = {
    1: "host",
    2: "address",
    3: "mac",
    4: "user",
    5: "email",
    6: "url",
    7: "file",
    8: "hash",
    9: "process",
    12: "address",
    18: "cve",
    19: "other",
    30: "hash",
    45: "file",
    46: "registry",
}
"""Kinds of values by the `type_id` of an observable; other types name no single value."""
KEYS = {
    "ip": "address",
    "hostname": "host",
    "domain": "host",
    "mac": "mac",
    "url_string": "url",
    "email_addr": "email",
    "from": "email",
    "to": "email",
    "value": "hash",
    "path": "file",
    "cve_uid": "cve",
    "file.name": "file",
    "process.name": "process",
    "parent_process.name": "process",
    "user.name": "user",
    "reg_key": "registry",
}
PLACES = (
    *("evidences", "evidence", "src_endpoint", "dst_endpoint", "device", "actor", "process"),
    *("file", "url", "malware", "user", "email", "query"),
)
"""Members in which those keys are looked for."""


class Ocsf(JsonFormat):
    """One report a finding that is open; a finding that comes again is a sighting."""

    name = "ocsf"
    title = "OCSF findings"
    one_report_is = "an event of the category Findings that is open and not passed"
    rank = FAMILY
    members = (b"findings", b"Findings", b"records", b"Records", b"results")
    marks = (
        re.compile(rb'"class_uid"\s*:\s*"?\d{4,9}'),
        re.compile(rb'"(?:category_uid|type_uid|activity_id)"\s*:'),
    )
    example = (
        b'{"class_uid": 2004, "category_uid": 2, "activity_id": 1, "type_uid": 200401, '
        b'"time": 1714915982000, "severity_id": 4, "severity": "High", "status_id": 1, '
        b'"metadata": {"version": "1.3.0", "product": {"name": "Example EDR"}}, '
        b'"finding_info": {"uid": "5f0c2a1e-7d43-4b7e-9c55-0d6a1b2c3d4e", '
        b'"title": "Beacon to a known server", '
        b'"desc": "A process calls a server of a known kit.", "attacks": [{"tactic": {"name": '
        b'"Command and Control"}, "technique": {"uid": "T1071"}}]}, "observables": [{"type_id": 2, '
        b'"name": "dst_endpoint.ip", "value": "203.0.113.7"}]}\n'
    )
    mapping = (
        ("threat_id", "`ocsf:` and `finding_info.uid`, else `finding.uid` (1.0)"),
        (
            "threat_id",
            "without one: a fingerprint of `class_uid`, `metadata.product.name`, title, "
            "`finding_info.analytic.uid` and uids of `resources`; for incidents the first uid in "
            "`finding_info_list`",
        ),
        (
            "content",
            "`message`, `finding_info.desc`, `status_detail`, `risk_details`, `remediation.desc`, "
            "each once",
        ),
        (
            "severity",
            "`severity_id`: 1 and 2 LOW, 3 MEDIUM, 4 HIGH, 5 and 6 CRITICAL; 0 and 99 leave it to "
            "the word in `severity`",
        ),
        ("source", "`metadata.product.name`, else `.vendor_name`, else `ocsf`"),
        ("observed_at", "`time`, else `time_dt`"),
        ("metadata.title", "`finding_info.title`, else `finding.title`, `message`, `class_name`"),
        ("metadata.type", "`vulnerability` (2002), `incident` (2005), else `finding`"),
        (
            "metadata.tags",
            "ids of techniques and names of tactics in `attacks`, `finding_info.types`, "
            "`metadata.labels`, `malware` names, CWE ids, `compliance` control and standards",
        ),
        ("metadata.tlp", "the first of `osint`"),
        (
            "metadata.references",
            "links: `finding_info.src_url`, `remediation.references`, those of vulnerabilities",
        ),
        (
            "metadata.indicators",
            "`observables` by `type_id`, CVE ids of `vulnerabilities`, `osint`, and addresses, "
            "names, hashes, files, users and links in `evidences`, endpoints, `device`, `actor`, "
            "`process`, `file`, `url`, `malware`",
        ),
        (
            "metadata.first_observed, .last_observed",
            "`finding_info.first_seen_time`, `.last_seen_time`",
        ),
        ("metadata.class, .product, .vendor", "`class_name`, `metadata.product`"),
        ("metadata.account, .region, .provider", "`cloud`"),
        ("metadata.resources, .rule", "uids, names and types; `finding_info.analytic`"),
        ("metadata.confidence, .risk", "`confidence` or its score; `risk_level`"),
        ("metadata.compliance", "`compliance.status`, else `status_code`"),
    )

    def is_one(self, record: dict[str, Any]) -> bool:
        """Whether it has the number of a class and another mark of OCSF."""
        return _class_of(record) > 0 and any(
            key in record
            for key in ("category_uid", "type_uid", "activity_id", "severity_id", "metadata")
        )

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map findings; activity is skipped by class, what is closed or passed by reason."""

        def report(record: Any) -> Report | None:
            found = required(record, "an OCSF event")
            number = _class_of(found)
            if not number:
                raise BadRecord("no class_uid: this is no OCSF event")
            reason = _activity(number) or _closed(found, number)
            if reason:
                skip(reason)
                return None
            return _report(found, number, options)

        return report


def _class_of(record: dict[str, Any]) -> int:
    """Return the number of the class, also where it is text; 0 without one."""
    found = record.get("class_uid")
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 10:
        return int(found)
    if isinstance(found, int) and not isinstance(found, bool) and 1000 <= found < 10**9:
        return found
    return 0


def _activity(number: int) -> str | None:
    """Return why a class is no threat; classes of extensions have more digits before those."""
    return None if number // 1000 % 100 == FINDINGS else f"class {number}"


def _number(record: dict[str, Any], key: str) -> int | None:
    found = record.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _closed(found: dict[str, Any], number: int) -> str | None:
    name = "state" if number == SECURITY_FINDING else "status"
    stated = _number(found, f"{name}_id")
    reasons = CLOSED_IDS.get(number, OTHERWISE_CLOSED)
    if stated in reasons:
        return reasons[stated]
    word = text_of(found, name).lower()
    if stated in (None, *UNSTATED) and word in CLOSED_WORDS:
        return word
    if _number(found, "activity_id") == CLOSE:
        return "closed"
    return VERDICTS.get(_number(found, "verdict_id") or 0) or _checked(found)


def _checked(found: dict[str, Any]) -> str | None:
    """Return why a check of a configuration is no threat: it passed."""
    compliance = dict_of(found, "compliance")
    words = (text_of(found, "status_code").lower(), text_of(compliance, "status").lower())
    passed = any(word in PASSED for word in words) or _number(compliance, "status_id") == 1
    return "passed" if passed else None


def _report(found: dict[str, Any], number: int, options: ReadOptions) -> Report:
    info = dict_of(found, "finding_info") or dict_of(found, "finding")
    if not info:
        info = next(iter(dicts_of(found.get("finding_info_list"))), {})
    product = dict_of(found, "metadata", "product")
    title = text_of(info, "title") or text_of(found, "message", "class_name", "desc")
    threat_id = _threat_id(found, info, number, title)
    try:
        severity = severity_of(options, "ocsf", _severities(found))
    except BadRecord as exc:
        raise BadRecord(str(exc), threat_id) from None
    return Finding(
        threat_id=threat_id,
        title=title or f"finding of class {number}",
        content=_content(found, info),
        severity=severity,
        source=text_of(product, "name", "vendor_name") or "ocsf",
        type=TYPES.get(number, "finding"),
        observed_at=_time(found, "time"),
        first_observed=_time(info, "first_seen_time"),
        last_observed=_time(info, "last_seen_time"),
        tags=_tags(found, info),
        tlp=next((tlp_word(one.get("tlp")) for one in dicts_of(found.get("osint"))), None),
        references=_references(found, info),
        indicators=_indicators(found),
        raw=found,
        more=_more(found, info, product),
    ).report(options)


def _threat_id(found: dict[str, Any], info: dict[str, Any], number: int, title: str) -> str:
    own = text_of(info, "uid")
    if own and not PLACEHOLDER.fullmatch(own):
        return own_id("ocsf", own)
    resources = [text_of(one, "uid", "name") for one in _resources(found)]
    rule = text_of(dict_of(info, "analytic"), "uid", "name")
    product = text_of(dict_of(found, "metadata", "product"), "name")
    code = text_of(dict_of(found, "metadata"), "event_code")
    return fingerprint_id("ocsf", (number, product, title, rule, code, resources))


def _severities(found: dict[str, Any]) -> Iterator[tuple[str, object]]:
    stated = found.get("severity_id")
    if stated not in (*UNSTATED, "0", "99"):
        yield "severity_id", stated
    yield "severity", found.get("severity")


def _time(record: dict[str, Any], key: str) -> object:
    found = record.get(key)
    return record.get(f"{key}_dt") if found in (None, "", 0) else found


def _content(found: dict[str, Any], info: dict[str, Any]) -> str:
    parts = (
        text_of(found, "message"),
        text_of(info, "desc") or text_of(found, "desc"),
        text_of(found, "status_detail"),
        text_of(found, "risk_details"),
        text_of(dict_of(found, "remediation"), "desc")
        or text_of(dict_of(info, "remediation"), "desc"),
    )
    return "\n\n".join(dict.fromkeys(filter(None, parts)))


def _tags(found: dict[str, Any], info: dict[str, Any]) -> Iterator[object]:
    for attack in (*dicts_of(info.get("attacks")), *dicts_of(found.get("attacks"))):
        for key in ("sub_technique", "technique"):
            yield dict_of(attack, key).get("uid")
        for tactic in (*dicts_of(attack.get("tactic")), *dicts_of(attack.get("tactics"))):
            yield tactic.get("name") or tactic.get("uid")
    yield from list_of(info.get("types"))
    yield from list_of(dict_of(found, "metadata").get("labels"))
    for one in dicts_of(found.get("malware")):
        yield one.get("name")
    for one in _vulnerabilities(found):
        for cwe in (*dicts_of(one.get("cwe")), *dicts_of(one.get("cwes"))):
            yield cwe.get("uid")
    compliance = dict_of(found, "compliance")
    yield compliance.get("control")
    yield from list_of(compliance.get("standards"))


def _vulnerabilities(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield vulnerabilities and the CVE objects in them."""
    for one in dicts_of(found.get("vulnerabilities")):
        yield one
        yield from dicts_of(one.get("cve"))


def _references(found: dict[str, Any], info: dict[str, Any]) -> Iterator[object]:
    yield _link(info.get("src_url"))
    yield _link(found.get("src_url"))
    for part in (dict_of(found, "remediation"), dict_of(info, "remediation")):
        yield from map(_link, list_of(part.get("references")))
        yield from map(_link, list_of(part.get("kb_articles")))
    for one in _vulnerabilities(found):
        yield from map(_link, list_of(one.get("references")))
        for article in dicts_of(one.get("kb_article_list")):
            yield _link(article.get("src_url"))
    yield _link(dict_of(found, "unmapped").get("related_url"))


def _link(found: object) -> object:
    """Pass over what is no link: some write commands among the references."""
    return found if isinstance(found, str) and found.startswith(("https://", "http://")) else None


def _indicators(found: dict[str, Any]) -> Iterator[Indicator | None]:
    for one in dicts_of(found.get("observables")):
        kind, stated = OBSERVABLES.get(_number(one, "type_id") or 0), one.get("value")
        if kind and isinstance(stated, str) and stated:
            yield KINDS[kind](stated)
    for one in _vulnerabilities(found):
        yield indicator("vulnerability", one.get("uid"))
    for one in dicts_of(found.get("osint")):
        yield classified(one.get("value"))
    for name in PLACES:
        inner = found.get(name)
        if isinstance(inner, dict | list) and inner:
            yield from harvest({name: inner}, KEYS)


def _resources(found: dict[str, Any]) -> list[dict[str, Any]]:
    return dicts_of(found.get("resources")) or dicts_of(found.get("resource"))


def _more(found: dict[str, Any], info: dict[str, Any], product: dict[str, Any]) -> dict[str, Any]:
    cloud = dict_of(found, "cloud")
    resources = [
        {key: text_of(one, key)[:512] for key in ("uid", "name", "type") if text_of(one, key)}
        for one in _resources(found)[:MOST_RESOURCES]
    ]
    return {
        "class": text_of(found, "class_name"),
        "product": text_of(product, "name"),
        "vendor": text_of(product, "vendor_name"),
        "account": text_of(dict_of(cloud, "account"), "uid") or text_of(cloud, "account_uid"),
        "region": text_of(cloud, "region"),
        "provider": text_of(cloud, "provider"),
        "resources": resources,
        "rule": text_of(dict_of(info, "analytic"), "name", "uid")[:512],
        "confidence": text_of(found, "confidence", "confidence_score"),
        "risk": text_of(found, "risk_level"),
        "compliance": text_of(dict_of(found, "compliance"), "status")
        or text_of(found, "status_code"),
    }
