"""What an EVE alert tells beside its signature: the connection, and what was seen inside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from periscope.feeds.eve import Alert, Event, Object
from periscope.feeds.finding import list_of
from periscope.feeds.indicators import Indicator, address, hashed, host, indicator

MOST_OF_A_KIND = 50
LONGEST_VALUE = 512
LONGEST_PAYLOAD = 1024
PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("http", ("http_method", "hostname", "url", "status", "http_user_agent", "http_refer")),
    ("tls", ("sni", "subject", "issuerdn", "fingerprint", "version")),
)
"""Parts of an event, and their fields that are kept."""


def details(event: Event, alert: Alert, metadata: Object) -> None:
    """Put the keys particular to EVE into a report's metadata, each only where it is stated."""
    for key, value in (
        ("gid", alert.gid),
        ("signature_id", alert.signature_id),
        ("rev", alert.rev),
        ("action", alert.action),
        ("src_ip", event.src_ip),
        ("src_port", event.src_port),
        ("dest_ip", event.dest_ip),
        ("dest_port", event.dest_port),
        ("proto", event.proto),
        ("app_proto", event.app_proto),
        ("flow_id", event.flow_id),
        ("interface", event.in_iface),
        ("community_id", event.community_id),
        ("direction", event.direction),
    ):
        if value is not None and value != "":
            metadata[key] = value if type(value) is int else str(value)[:LONGEST_VALUE]
    for part, keys in PARTS:
        if stated := getattr(event, part):
            if found := _chosen(stated, keys):
                metadata[part] = found
    if event.dns and (names := list(_names(event.dns))):
        metadata["dns"] = names[:MOST_OF_A_KIND]
    if event.tls and (ja3 := _text(event.tls.get("ja3"), "hash")):
        metadata["ja3"] = ja3
    if event.ssh and (software := _software(event.ssh)):
        metadata["ssh"] = software


def content(event: Event, title: str) -> str:
    """Return the text to read: what fired, between whom, and what was seen."""
    text = f"{title}\n{connection(event)}"
    if event.http and (url := _url(event, event.http)):
        method = event.http.get("http_method")
        text += f"\nHTTP {method if type(method) is str else ''} {url}"
    if event.dns and (names := list(_names(event.dns))):
        text += f"\nDNS {', '.join(names[:10])}"
    if event.tls and (sni := _text(event.tls, "sni")):
        text += f"\nTLS {sni}"
    if event.payload_printable:
        text += f"\n\n{event.payload_printable[:LONGEST_PAYLOAD]}"
    return text


def connection(event: Event) -> str:
    """Return the connection in a line."""
    left = _end(event.src_ip, event.src_port)
    right = _end(event.dest_ip, event.dest_port)
    inside = f" ({event.app_proto})" if event.app_proto else ""
    return f"{event.proto} {left} -> {right}{inside}"


def indicators(event: Event, alert: Alert) -> list[Indicator | None]:
    """Return both ends first, then what was seen; what is none is None."""
    found: list[Indicator | None] = [address(event.src_ip), address(event.dest_ip)]
    if event.xff or alert.xff:
        found += [host(one) for one in (event.xff or alert.xff or "").split(",")[:10]]
    if event.http:
        found += _web(event, event.http)
    if event.dns:
        found += _resolved(event.dns)
    if event.tls:
        found += [host(event.tls.get("sni")), hashed(event.tls.get("fingerprint"))]
    if event.smtp or event.email:
        found += _mail(event.smtp or {}, event.email or {})
    if event.fileinfo or event.files or event.smb:
        found += _files(event)
    return found


def _end(ip: str, port: int | None) -> str:
    where = f"[{ip}]" if ":" in ip and port is not None else ip
    return where or "?" if port is None else f"{where}:{port}"


def _web(event: Event, http: Object) -> Iterator[Indicator | None]:
    yield host(http.get("hostname"))
    yield indicator("url", _url(event, http))
    if "xff" in http:
        yield host(http["xff"])


def _url(event: Event, http: Object) -> str:
    """Return the URL asked for; nothing without the name of the host in it."""
    name, path = http.get("hostname"), http.get("url")
    if type(path) is not str:
        return ""
    if path.startswith(("http://", "https://")):
        return path
    if type(name) is not str or not name or not path.startswith("/"):
        return ""
    port = http.get("http_port")
    shown = f":{port}" if type(port) is int and port != 80 and ":" not in name else ""
    return f"http://{name}{shown}{path}"


def _asked(dns: Object) -> Iterator[Object]:
    """Questions and answers, as the versions of EVE nest them."""
    for key in ("query", "queries", "answers", "answer"):
        for one in list_of(dns.get(key))[:MOST_OF_A_KIND]:
            if isinstance(one, dict):
                yield one
    yield dns


def _names(dns: Object) -> Iterator[str]:
    seen = (_text(one, "rrname") for one in _asked(dns))
    yield from dict.fromkeys(name for name in seen if name)


def _resolved(dns: Object) -> Iterator[Indicator | None]:
    grouped = dns.get("grouped")
    for one in _asked(dns):
        yield host(one.get("rrname"))
        yield host(one.get("rdata"))
    for values in grouped.values() if isinstance(grouped, dict) else ():
        yield from (host(value) for value in list_of(values)[:MOST_OF_A_KIND])


def _mail(smtp: Object, email: Object) -> Iterator[Indicator | None]:
    for value in (smtp.get("mail_from"), smtp.get("rcpt_to"), email.get("from"), email.get("to")):
        for one in list_of(value)[:MOST_OF_A_KIND]:
            yield _mailbox(one)
    for one in list_of(email.get("attachment"))[:MOST_OF_A_KIND]:
        yield indicator("file-name", one)
    for one in list_of(email.get("url"))[:MOST_OF_A_KIND]:
        yield indicator("url", one)


def _mailbox(value: object) -> Indicator | None:
    text = value.rpartition("<")[2].strip("<> ") if isinstance(value, str) else ""
    return indicator("email-addr", text) if "@" in text else None


def _files(event: Event) -> Iterator[Indicator | None]:
    for one in [event.fileinfo, *(event.files or [])[:MOST_OF_A_KIND], event.smb]:
        if isinstance(one, dict):
            name = one.get("filename")
            yield indicator("file-name", name) if _is_name(name) else None
            for key in ("md5", "sha1", "sha256"):
                if key in one:
                    yield hashed(one[key])


def _is_name(name: object) -> bool:
    """Whether a file has a name: EVE writes the path of the URL where a page has none."""
    return isinstance(name, str) and not name.endswith("/")


def _chosen(part: Object, keys: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in keys:
        value = part.get(key)
        if type(value) is str and value:
            found[key] = value[:LONGEST_VALUE]
        elif type(value) is int:
            found[key] = value
    return found


def _software(ssh: Object) -> dict[str, str]:
    ends = (("client", ssh.get("client")), ("server", ssh.get("server")))
    found = {name: _text(end, "software_version") for name, end in ends}
    return {name: software for name, software in found.items() if software}


def _text(value: object, key: str) -> str:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner[:LONGEST_VALUE] if isinstance(inner, str) else ""
