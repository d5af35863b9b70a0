"""An event of Suricata as its EVE log has it, typed, so that most lines are decoded straight to it.

https://docs.suricata.io/en/latest/output/eve/eve-json-format.html: other versions and shippers
write other types here and there; `lenient` makes an event of any object. Texts are bounded, so that
whoever reads an event need not cut them.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

Object = dict[str, Any]
LONGEST = 500
Short = Annotated[str, msgspec.Meta(max_length=LONGEST)]
Long = Annotated[str, msgspec.Meta(max_length=2048)]
Part = TypeVar("Part", bound=msgspec.Struct)


class Alert(msgspec.Struct, gc=False):
    """What fired."""

    signature_id: int | None = None
    gid: int | None = None
    rev: int | None = None
    signature: Short = ""
    category: Short = ""
    action: Short = ""
    severity: int | None = None
    metadata: Object | None = None
    references: list[Any] | None = None
    xff: Short = ""


class Flow(msgspec.Struct, gc=False):
    """The connection; of it, when it began."""

    start: Short = ""


class Http(msgspec.Struct, gc=False):
    """A request and its answer."""

    http_method: Short = ""
    hostname: Short = ""
    url: Long = ""
    http_port: int | None = None
    status: int | None = None
    http_user_agent: Short = ""
    http_refer: Long = ""
    xff: Short = ""


class Ja3(msgspec.Struct, gc=False):
    """The fingerprint of a client's greeting."""

    hash: Short = ""


class Tls(msgspec.Struct, gc=False):
    """A greeting, and the certificate in it."""

    sni: Short = ""
    subject: Short = ""
    issuerdn: Short = ""
    fingerprint: Short = ""
    version: Short = ""
    ja3: Ja3 | None = None


class Event(msgspec.Struct, gc=False):
    """One event of any type; only those of type `alert` are looked at closely."""

    event_type: Short = ""
    timestamp: Short | None = None
    src_ip: Short = ""
    src_port: int | None = None
    dest_ip: Short = ""
    dest_port: int | None = None
    proto: Short = ""
    app_proto: Short = ""
    alert: Alert | None = None
    host: Short = ""
    in_iface: Short = ""
    flow_id: int | None = None
    community_id: Short = ""
    direction: Short = ""
    xff: Short = ""
    flow: Flow | None = None
    http: Http | None = None
    tls: Tls | None = None
    dns: Object | None = None
    smtp: Object | None = None
    email: Object | None = None
    ssh: Object | None = None
    smb: Object | None = None
    fileinfo: Object | None = None
    files: list[Any] | None = None
    payload_printable: str = ""
    firewall_name: Short = ""
    tenant_id: int | str | None = None
    line: Any = msgspec.field(default=None, name=".")
    """The event as it came, for its excerpt: set by whoever decodes it."""


decode = msgspec.json.Decoder(Event).decode
_PARTS: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    *(("alert", Alert), ("flow", Flow), ("http", Http), ("tls", Tls)),
)
_OBJECTS = ("smtp", "email", "ssh", "smb", "fileinfo")
_NUMBERS = frozenset(
    ("src_port", "dest_port", "flow_id", "signature_id", "gid", "rev", "http_port", "status")
)
_LONG = {"url": 2048, "http_refer": 2048, "payload_printable": 1024}
_AS_IT_IS = frozenset(("timestamp", "line", "dns", "files", "tenant_id", "ja3", "severity"))
"""Fields that `lenient` looks at one by one."""


def lenient(record: Object) -> Event:
    """Return an event of an object whose values may be anything; what does not fit is left out.

    Numbers may be text. A severity or a time that is of another kind stays as it is, so that what
    reads it says what is wrong with it.
    """
    event = _part(Event, record)
    for name, kind in _PARTS:
        stated = record.get(name)
        setattr(event, name, _part(kind, stated) if isinstance(stated, dict) else None)
    for name in _OBJECTS:
        stated = record.get(name)
        setattr(event, name, stated if isinstance(stated, dict) else None)
    event.line = record
    event.timestamp = record.get("timestamp", record.get("@timestamp"))
    event.files = found if isinstance(found := record.get("files"), list) else None
    event.dns = _dns(record.get("dns"))
    event.host = event.host or _text(_of(record.get("host"), "name"), LONGEST)
    event.tenant_id = _text(record.get("tenant_id"), LONGEST) or None
    _finish(event, record)
    return event


def _finish(event: Event, record: Object) -> None:
    alert, stated = event.alert, record.get("alert")
    if alert is not None and isinstance(stated, dict):
        alert.severity = stated.get("severity")
        alert.metadata = found if isinstance(found := stated.get("metadata"), dict) else None
        alert.references = found if isinstance(found := stated.get("references"), list) else None
    if event.tls is not None:
        ja3 = _of(record.get("tls"), "ja3")
        event.tls.ja3 = _part(Ja3, ja3) if isinstance(ja3, dict) else None


def _part(kind: type[Part], stated: Object) -> Part:
    """Return a struct of the texts and numbers of an object."""
    part = kind()
    for name in kind.__struct_fields__:
        if name in _NUMBERS:
            setattr(part, name, _number(stated.get(name)))
        elif name not in _AS_IT_IS and getattr(part, name) == "":
            setattr(part, name, _text(stated.get(name), _LONG.get(name, LONGEST)))
    return part


def _dns(value: object) -> Object | None:
    """Return an object; of a list of them, as some versions write DNS, one that holds the list."""
    if isinstance(value, list):
        return {"query": value}
    return value if isinstance(value, dict) else None


def _of(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, dict) else None


def _text(value: object, most: int) -> str:
    if isinstance(value, str):
        return value[:most]
    return str(value) if type(value) in (int, float) else ""


def _number(value: object) -> int | None:
    if type(value) is float and abs(value) < 2**53 and value == value // 1:
        return int(value)
    if type(value) is str and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value if type(value) is int else None
