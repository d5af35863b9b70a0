"""What Sigma rules matched, as the tools that run them over event logs write it.

Three shapes: a rule with its matching events (`rule_level`, `matches`), a match with its event
under `document`, and a line for each match (`RuleTitle`, `Level`, `Computer`).
"""

from __future__ import annotations

from typing import Any

from periscope.feeds.finding import (
    Finding,
    dict_of,
    dicts_of,
    list_of,
    required,
    severity_of,
    text_of,
    time_ms,
)
from periscope.feeds.fingerprint import fingerprint_id
from periscope.feeds.format import FAMILY, Skip
from periscope.feeds.indicators import Indicator, address, indicator
from periscope.feeds.json_records import JsonFormat, Map
from periscope.feeds.options import ReadOptions
from periscope.feeds.problems import BadRecord
from periscope.feeds.sigma_tags import techniques
from periscope.models import Report

Record = dict[str, Any]
HOSTS = ("Computer", "computer", "ComputerName", "Hostname", "host")
TIMES = ("UtcTime", "SystemTime", "TimeCreated", "@timestamp", "Timestamp", "timestamp")
ADDRESSES = ("SourceIp", "DestinationIp", "IpAddress", "SrcIP", "TgtIP", "ClientAddress")
HASHES = {"MD5": "md5", "SHA1": "sha1", "SHA256": "sha256"}
NAMES = (
    *(("Image", "process"), ("Proc", "process"), ("TargetUserName", "user-account")),
    *(("User", "user-account"), ("TargetFilename", "file-name"), ("TgtUser", "user-account")),
)
MOST_EVENTS = 50


class SigmaMatches(JsonFormat):
    """One report for a rule and a host: what matches again is the same threat."""

    name = "sigma_matches"
    title = "Matches of Sigma rules"
    one_report_is = "a match of a rule, or a rule with its matches"
    rank = FAMILY
    members = (b"detections",)
    example = (
        b'{"group": "Sigma", "kind": "individual", "name": "Certificate exported", '
        b'"timestamp": "2024-05-01T10:00:00Z", "level": "high", "status": "stable", '
        b'"id": "3ffd6f51-e6c1-47b7-94b4-c1e61d4117c5", "tags": ["attack.t1552.004"], '
        b'"document": {"kind": "evtx", "data": {"Event": {"System": {"Computer": '
        b'"ws1.example.net"}, "EventData": {"Image": "certutil.exe"}}}}}\n'
    )
    mapping = (
        ("threat_id", "fingerprint of the rule (id, else title) and the host"),
        ("content", "description and details of the match"),
        ("severity", "`level`, `rule_level`, `Level`"),
        ("source", "the host, else `sigma_matches`"),
        ("observed_at", "time of the last match"),
        ("metadata.title", "title of the rule, and the host"),
        ("metadata.type", "`alert`"),
        ("metadata.tags", "`tags`, `MitreTactics`, `MitreTags`; techniques also as ids"),
        ("metadata.references", "`references`"),
        ("metadata.indicators", "addresses, hashes, programs, users of the first events"),
        ("metadata.rule, .matches", "id of the rule, number of events"),
    )

    def is_one(self, record: Record) -> bool:
        """Whether it has the keys of one of the three shapes."""
        zipped = "rule_level" in record and isinstance(record.get("matches"), list)
        hunted = "level" in record and ("document" in record or "documents" in record)
        lined = {"RuleTitle", "Level"} <= record.keys()
        return zipped or lined or (hunted and "name" in record) or _is_event(record)

    def mapper(self, options: ReadOptions, skip: Skip) -> Map:
        """Map a match of any shape; an event without a rule is none and is skipped."""

        def report(record: Any) -> Report | None:
            if _is_event(required(record, "a match")):
                skip("event without a rule")
                return None
            return _report(record, options)

        return report


def _report(record: Record, options: ReadOptions) -> Report:
    title = text_of(record, "title", "name", "RuleTitle")
    if not title:
        raise BadRecord("no title of a rule, so this is no match of one")
    rule = text_of(record, "id", "RuleID", "RuleId") or title
    events = _events(record)
    host = next(filter(None, (text_of(event, *HOSTS) for event in (record, *events))), "")
    tags = [*list_of(record.get("tags")), *list_of(record.get("MitreTactics"))]
    tags += list_of(record.get("MitreTags"))
    stated = ((field, record.get(field)) for field in ("level", "rule_level", "Level"))
    times = sorted(filter(None, (_moment(event) for event in (record, *events))))
    return Finding(
        threat_id=fingerprint_id("sigma", (rule.lower(), host.lower())),
        title=f"{title} on {host}" if host else title,
        severity=severity_of(options, "sigma_matches", stated),
        source=host or "sigma_matches",
        type="alert",
        content=text_of(record, "description", "Details") or title,
        observed_at=times[-1] if times else None,
        tags=[*tags, *techniques(tags)],
        references=list_of(record.get("references")),
        indicators=[one for event in events[:MOST_EVENTS] for one in _indicators(event)],
        first_observed=times[0] if times else None,
        last_observed=times[-1] if times else None,
        more={"rule": rule, "matches": len(events) or None},
        raw=record,
    ).report(options)


def _is_event(record: Record) -> bool:
    return isinstance(dict_of(record, "Event").get("System"), dict)


def _moment(event: Record) -> int | None:
    text = text_of(event, *TIMES).replace(" +", "+").replace(" -", "-")  # a blank before the zone
    try:
        return time_ms("time", text)
    except BadRecord:
        return None


def _events(record: Record) -> list[Record]:
    """The events of a match, each with its fields on one level."""
    if isinstance(record.get("matches"), list):
        return dicts_of(record["matches"])
    documents = dicts_of(record.get("documents")) + dicts_of(record.get("document"))
    if documents:
        return [_flat(one) for one in documents]
    return [{**dict_of(record, "Details"), **record}]


def _flat(document: Record) -> Record:
    event = dict_of(document, "data", "Event")
    system = dict_of(event, "System")
    created = dict_of(system, "TimeCreated_attributes")
    return {**system, **created, **dict_of(event, "EventData"), **dict_of(event, "UserData")}


def _indicators(event: Record) -> list[Indicator | None]:
    found = [address(text) for text in (text_of(event, key) for key in ADDRESSES) if text]
    for part in text_of(event, "Hashes").split(","):
        name, _, value = part.partition("=")
        if name.strip() in HASHES:
            found.append(indicator(HASHES[name.strip()], value))
    found += [indicator(kind, text_of(event, key)) for key, kind in NAMES if text_of(event, key)]
    return found
