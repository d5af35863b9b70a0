"""What an alert of Wazuh's tells beside its rule: its decoders and modules each have own names."""

from __future__ import annotations

from collections.abc import Iterator

from periscope.feeds.flat import Flat, Places, text_at
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
NOBODY = frozenset(("any", "localhost", "none", "-", "null"))
PLACES = Places(
    ("host", ("agent.ip", *HOSTS)),
    ("url", URLS),
    ("user-account", USERS),
    ("file-name", FILES),
    ("process", PROCESSES),
    ("registry-key", (WINDOWS + "targetObject",)),
    ("hash", HASHES),
    ("hashes", (WINDOWS + "hashes",)),
    ("vulnerability", VULNERABILITIES),
)


def indicators(flat: Flat) -> Iterator[Indicator | None]:
    """Yield what an alert's data names, whichever module it is from."""
    for word, value in PLACES.in_record(flat):
        if not isinstance(value, str):
            continue
        if word == "host":
            yield host(value)
        elif word == "hash":
            yield hashed(value)
        elif word == "hashes":
            yield from hashes_in(value)
        elif word == "url":
            found = classified(value)
            yield found if found and found["type"] == "url" else None
        elif value.lower() not in NOBODY:
            is_key = value.startswith("HKEY_") and word == "file-name"
            yield indicator("registry-key" if is_key else word, value)


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
