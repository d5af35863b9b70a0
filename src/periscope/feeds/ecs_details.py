"""What an event in the Elastic Common Schema tells: attacks, indicators, what is worth keeping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from periscope.feeds.finding import dicts_of, list_of
from periscope.feeds.flat import Flat, Places, flattened, values_at
from periscope.feeds.indicators import Indicator, classified, hashed, host, indicator

HOSTS = (
    *("source.ip", "destination.ip", "client.ip", "server.ip", "source.domain"),
    *("destination.domain", "source.address", "destination.address", "network.forwarded_ip"),
    *("url.domain", "dns.question.name", "dns.resolved_ip", "tls.client.server_name"),
    *("threat.indicator.ip", "threat.indicator.domain", "threat.indicator.url.domain"),
)
URLS = ("url.full", "url.original", "threat.indicator.url.full", "threat.indicator.url.original")
HASHED = tuple(
    f"{what}.hash.{kind}"
    for what in ("file", "process", "dll", "threat.indicator.file")
    for kind in ("md5", "sha1", "sha256", "sha512")
)
FILES = ("file.path", "file.name", "dll.path", "email.attachments.file.name")
PROCESSES = ("process.executable", "process.name", "process.command_line")
USERS = ("user.name", "source.user.name", "destination.user.name", "user.target.name")
MAIL = ("email.from.address", "email.sender.address", "email.to.address", "user.email")
PLACES = Places(
    ("host", HOSTS),
    ("url", URLS),
    ("hash", HASHED),
    ("file-name", FILES),
    ("process", PROCESSES),
    ("user-account", USERS),
    ("registry-key", ("registry.path",)),
    ("vulnerability", ("vulnerability.id",)),
    ("asn", ("threat.indicator.as.number",)),
    ("mail", MAIL),
)
KEPT = (
    ("rule_id", ("kibana.alert.rule.rule_id", "signal.rule.rule_id", "rule.id", "rule.uuid")),
    ("risk_score", ("kibana.alert.risk_score", "signal.rule.risk_score", "event.risk_score")),
    ("workflow_status", ("kibana.alert.workflow_status", "signal.status")),
    ("module", ("event.module", "kibana.alert.original_event.module")),
    ("dataset", ("event.dataset", "kibana.alert.original_event.dataset")),
    ("action", ("event.action", "kibana.alert.original_event.action")),
    ("outcome", ("event.outcome",)),
    ("host", ("host.name", "host.hostname")),
    ("user", ("user.name",)),
    ("process", ("process.executable", "process.name")),
    ("command", ("process.command_line",)),
    ("file", ("file.path", "file.name")),
    ("src_ip", ("source.ip",)),
    ("src_port", ("source.port",)),
    ("dest_ip", ("destination.ip",)),
    ("dest_port", ("destination.port",)),
    ("proto", ("network.transport",)),
    ("community_id", ("network.community_id",)),
    ("space", ("kibana.space_ids",)),
)
ATTACKS = ("kibana.alert.rule.threat", "signal.rule.threat", "threat")
ATTACK_KEYS = ("technique", "technique.subtechnique", "tactic", "group", "software")
ATTACK_FIELDS = tuple(
    f"{path}.{key}{end}" for path in ATTACKS for key in ATTACK_KEYS for end in ("", ".id", ".name")
)
OWN = frozenset(("-", "SYSTEM", "unknown"))


def attacks(flat: Flat) -> Iterator[Any]:
    """Yield ids and names of tactics and techniques, in lists of objects and in plain fields."""
    for path in ATTACKS:
        for one in dicts_of(flat.get(path)):
            yield from _of_attack(one)
    for value in values_at(flat, *ATTACK_FIELDS):
        if isinstance(value, dict):
            yield from _named(value)
        else:
            yield value


def _of_attack(one: dict[str, Any]) -> Iterator[Any]:
    for part in (*dicts_of(one.get("tactic")), *dicts_of(one.get("technique"))):
        yield from _named(part)


def _named(part: dict[str, Any]) -> Iterator[Any]:
    for one in (part, *dicts_of(part.get("subtechnique"))):
        yield from list_of(one.get("id"))
        yield from list_of(one.get("name"))


def indicators(flat: Flat) -> Iterator[Indicator | None]:
    """Yield both ends first, then all else that can be looked for."""
    for word, value in PLACES.in_record(flat):
        if not isinstance(value, str) or value in OWN:
            continue
        if word == "host":
            yield host(value)
        elif word == "hash":
            yield hashed(value)
        elif word == "url":
            found = classified(value)
            yield found if found and found["type"] == "url" else None
        elif word == "mail":
            yield indicator("email-addr", value) if "@" in value else None
        else:
            yield indicator(word, value)
    for one in dicts_of(flat.get("threat.enrichments")):
        inner = one.get("indicator")
        if isinstance(inner, dict):
            yield from _matched(flattened(inner))


def _matched(inner: Flat) -> Iterator[Indicator | None]:
    """Yield what a list of indicators said that an alert of the kind "indicator match" matched."""
    for value in values_at(inner, "ip", "domain", "url.full", "url.domain", "email.address"):
        yield classified(value)
    for kind in ("md5", "sha1", "sha256"):
        yield hashed(inner.get(f"file.hash.{kind}"))
