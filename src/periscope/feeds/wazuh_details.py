"""What an alert of Wazuh's tells beside its rule: its decoders and modules each have own names."""

from __future__ import annotations

from collections.abc import Iterator

from periscope.feeds.flat import Flat, text_at, values_at
from periscope.feeds.indicators import Indicator, classified, hashed, hashes_in, host, indicator

WINDOWS = "data.win.eventdata."
HOSTS = (
    *("data.srcip", "data.src_ip", "data.dstip", "data.dest_ip", "data.dst_ip", "data.ip"),
    *("data.remote_ip", "data.hostname", "data.domain", "data.dns.rrname", "data.tls.sni"),
    *("data.http.hostname", "data.query", "data.aws.source_ip_address", "data.aws.sourceIPAddress"),
    *("data.aws.service.action.networkConnectionAction.remoteIpDetails.ipAddressV4",),
    *("data.office365.ClientIP", "data.office365.ActorIpAddress", "data.gcp.sourceIP"),
    *("data.github.actor_ip", "data.osquery.columns.remote_address"),
    *("data.dns.query.rrname", "data.azure.callerIpAddress", "data.ms-graph.ipAddress"),
    *(WINDOWS + key for key in ("ipAddress", "sourceIp", "destinationIp", "queryName")),
    *(WINDOWS + key for key in ("destinationHostname", "workstationName")),
)
URLS = ("data.url", "data.virustotal.permalink", "data.http.url")
USERS = (
    *("data.srcuser", "data.dstuser", "data.user", "data.uid_name", "data.office365.UserId"),
    *("data.aws.userIdentity.userName", "data.github.actor", "syscheck.audit.user.name"),
    *(WINDOWS + key for key in ("targetUserName", "subjectUserName", "user")),
)
FILES = (
    *("syscheck.path", "data.file", "data.virustotal.source.file", "data.YARA.file_path"),
    *("data.audit.file.name", "data.yara.file_path", "data.parameters.alert.syscheck.path"),
    *(WINDOWS + key for key in ("targetFilename", "imageLoaded")),
)
HASHES = (
    *("syscheck.md5_after", "syscheck.sha1_after", "syscheck.sha256_after", "data.md5"),
    *("data.sha1", "data.sha256", "data.virustotal.source.md5", "data.virustotal.source.sha1"),
)
PROCESSES = (
    *("data.audit.exe", "syscheck.audit.process.name", "data.process.name", "data.command"),
    *(WINDOWS + key for key in ("image", "commandLine", "parentImage", "newProcessName")),
)
VULNERABILITIES = ("data.vulnerability.cve", "rule.cve", "data.cve")
OUR_OWN_HOSTS = frozenset(("any", "localhost", "none", "-", "null"))


def indicators(flat: Flat) -> Iterator[Indicator | None]:
    """Yield what an alert's data names, whichever module it is from."""
    yield host(text_at(flat, "agent.ip"))
    for value in values_at(flat, *HOSTS):
        yield host(value)
    for value in values_at(flat, *URLS):
        found = classified(value)
        yield found if found and found["type"] == "url" else None
    yield from _named(flat)
    for value in values_at(flat, *HASHES):
        yield hashed(value)
    yield from hashes_in(flat.get(WINDOWS + "hashes"))
    for value in values_at(flat, *VULNERABILITIES):
        yield indicator("vulnerability", value)


def _named(flat: Flat) -> Iterator[Indicator | None]:
    for kind, paths in (("user-account", USERS), ("file-name", FILES), ("process", PROCESSES)):
        for value in values_at(flat, *paths):
            known = isinstance(value, str) and value.lower() not in OUR_OWN_HOSTS
            yield indicator(kind, value) if known else None
    is_key = flat.get("syscheck.path", "")
    registry = [flat.get(WINDOWS + "targetObject")]
    if isinstance(is_key, str) and is_key.startswith("HKEY_"):
        registry.append(is_key)
    for value in registry:
        yield indicator("registry-key", value)


def described(flat: Flat) -> str:
    """Return the lines about what happened: the log as it was, or what a module found."""
    parts = (
        text_at(flat, "full_log")[:8192],
        text_at(flat, "data.win.system.message")[:8192],
        text_at(flat, "data.vulnerability.title", "data.vulnerability.rationale")[:2048],
        text_at(flat, "data.sca.check.description", "data.sca.check.title")[:2048],
        text_at(flat, "data.aws.description", "data.title")[:2048],
    )
    return "\n\n".join(dict.fromkeys(part for part in parts if part))
