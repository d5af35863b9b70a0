"""What an EVE alert tells beside its signature: the connection, and what was seen inside it."""

from __future__ import annotations

from collections.abc import Iterator

from periscope.feeds.eve import Alert, Event, Http, Object, Tls
from periscope.feeds.finding import list_of
from periscope.feeds.indicators import Indicator, address, hashed, host, indicator

MOST_OF_A_KIND = 50
LONGEST_VALUE = 512
LONGEST_PAYLOAD = 1024


def details(event: Event, alert: Alert, metadata: Object) -> None:
    """Put the keys particular to EVE into a report's metadata, each only where it is stated."""
    if alert.gid is not None:
        metadata["gid"] = alert.gid
    if alert.signature_id is not None:
        metadata["signature_id"] = alert.signature_id
    if alert.rev is not None:
        metadata["rev"] = alert.rev
    if alert.action:
        metadata["action"] = alert.action
    _add_connection(event, metadata)
    if event.http and (http := _http(event.http)):
        metadata["http"] = http
    if event.tls and (tls := _tls(event.tls)):
        metadata["tls"] = tls
    if event.dns and (names := list(_names(event.dns))[:MOST_OF_A_KIND]):
        metadata["dns"] = names
    if event.ssh and (software := _software(event.ssh)):
        metadata["ssh"] = software


def _add_connection(event: Event, metadata: Object) -> None:
    if event.src_ip:
        metadata["src_ip"] = event.src_ip
    if event.src_port is not None:
        metadata["src_port"] = event.src_port
    if event.dest_ip:
        metadata["dest_ip"] = event.dest_ip
    if event.dest_port is not None:
        metadata["dest_port"] = event.dest_port
    if event.proto:
        metadata["proto"] = event.proto
    if event.app_proto:
        metadata["app_proto"] = event.app_proto
    if event.flow_id is not None:
        metadata["flow_id"] = event.flow_id
    if event.in_iface:
        metadata["interface"] = event.in_iface
    if event.community_id:
        metadata["community_id"] = event.community_id
    if event.direction:
        metadata["direction"] = event.direction


def content(event: Event, title: str, url: str) -> str:
    """Return the text to read: what fired, between whom, and what was seen."""
    left, right = _end(event.src_ip, event.src_port), _end(event.dest_ip, event.dest_port)
    text = f"{title}\n{event.proto} {left} -> {right}"
    if event.app_proto:
        text += f" ({event.app_proto})"
    if event.http and url:
        text += f"\nHTTP {event.http.http_method} {url}"
    if event.tls and event.tls.sni:
        text += f"\nTLS {event.tls.sni}"
    if event.dns and (names := list(_names(event.dns))):
        text += f"\nDNS {', '.join(names[:10])}"
    if event.payload_printable:
        text += f"\n\n{event.payload_printable[:LONGEST_PAYLOAD]}"
    return text


def url_of(http: Http) -> str:
    """Return the URL asked for; nothing without the name of the host in it."""
    path, name = http.url, http.hostname
    if path[:1] != "/":
        return path if path.startswith(("http://", "https://")) else ""
    if not name:
        return ""
    port = http.http_port
    if port is None or port == 80 or ":" in name:
        return f"http://{name}{path}"
    return f"http://{name}:{port}{path}"


def indicators(event: Event, alert: Alert, url: str) -> list[Indicator | None]:
    """Return both ends first, then what was seen; what is none is None."""
    found: list[Indicator | None] = [address(event.src_ip), address(event.dest_ip)]
    if event.xff or alert.xff:
        found += [host(one) for one in (event.xff or alert.xff).split(",")[:10]]
    if event.http:
        found.append(host(event.http.hostname))
        if url:
            found.append(indicator("url", url))
        if event.http.xff:
            found += [host(one) for one in event.http.xff.split(",")[:10]]
    if event.tls:
        found += [host(event.tls.sni), hashed(event.tls.fingerprint)]
    if event.dns:
        found += _resolved(event.dns)
    if event.smtp or event.email:
        found += _mail(event.smtp or {}, event.email or {})
    if event.fileinfo or event.files or event.smb:
        found += _files(event)
    return found


def _end(ip: str, port: int | None) -> str:
    if port is None:
        return ip or "?"
    return f"[{ip}]:{port}" if ":" in ip else f"{ip or '?'}:{port}"


def _http(http: Http) -> Object:
    found = {
        "http_method": http.http_method,
        "hostname": http.hostname,
        "url": http.url[:LONGEST_VALUE],
        "status": http.status,
        "http_user_agent": http.http_user_agent,
        "http_refer": http.http_refer[:LONGEST_VALUE],
    }
    return {key: value for key, value in found.items() if value}


def _tls(tls: Tls) -> Object:
    found = {
        "sni": tls.sni,
        "subject": tls.subject,
        "issuerdn": tls.issuerdn,
        "fingerprint": tls.fingerprint,
        "version": tls.version,
        "ja3": tls.ja3.hash if tls.ja3 else "",
    }
    return {key: value for key, value in found.items() if value}


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


def _software(ssh: Object) -> dict[str, str]:
    ends = (("client", ssh.get("client")), ("server", ssh.get("server")))
    found = {name: _text(end, "software_version") for name, end in ends}
    return {name: software for name, software in found.items() if software}


def _text(value: object, key: str) -> str:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner[:LONGEST_VALUE] if isinstance(inner, str) else ""
