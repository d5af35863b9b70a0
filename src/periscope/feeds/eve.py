"""An event of Suricata as its EVE log has it, typed, so that most lines are decoded straight to it.

https://docs.suricata.io/en/latest/output/eve/eve-json-format.html: other versions and shippers
write other types here and there; `lenient` makes an event of any object.
"""

from __future__ import annotations

from typing import Any

import msgspec

Object = dict[str, Any]


class Alert(msgspec.Struct, gc=False):
    """What fired."""

    signature_id: int | None = None
    gid: int | None = None
    rev: int | None = None
    signature: str = ""
    category: str = ""
    action: str = ""
    severity: int | None = None
    metadata: Object | None = None
    references: list[Any] | None = None
    xff: str | None = None


class Event(msgspec.Struct, gc=False):
    """One event of any type; only those of type `alert` are looked at closely."""

    event_type: str = ""
    timestamp: str | None = None
    src_ip: str = ""
    src_port: int | None = None
    dest_ip: str = ""
    dest_port: int | None = None
    proto: str = ""
    app_proto: str = ""
    alert: Alert | None = None
    host: str = ""
    in_iface: str = ""
    flow_id: int | None = None
    community_id: str = ""
    direction: str = ""
    xff: str | None = None
    flow: Object | None = None
    http: Object | None = None
    dns: Object | None = None
    tls: Object | None = None
    smtp: Object | None = None
    email: Object | None = None
    ssh: Object | None = None
    smb: Object | None = None
    fileinfo: Object | None = None
    files: list[Any] | None = None
    payload_printable: str = ""
    firewall_name: str = ""
    tenant_id: int | str | None = None
    line: Any = msgspec.field(default=None, name=".")
    """The event as it came, for its excerpt: set by whoever decodes it."""


decode = msgspec.json.Decoder(Event).decode
_ALERT_TEXTS = ("signature", "category", "action")
_ALERT_NUMBERS = ("signature_id", "gid", "rev")
_TEXTS = (
    *("event_type", "src_ip", "dest_ip", "proto", "app_proto", "host", "in_iface"),
    *("community_id", "direction", "payload_printable", "firewall_name"),
)
_NUMBERS = ("src_port", "dest_port", "flow_id")
_OBJECTS = ("flow", "http", "dns", "tls", "smtp", "email", "ssh", "smb", "fileinfo")


def lenient(record: Object) -> Event:
    """Return an event of an object whose values may be anything; what does not fit is left out.

    Numbers may be text. A severity or a time that is of another kind stays as it is, so that what
    reads it says what is wrong with it.
    """
    stated = record.get("alert")
    event = Event(
        **{key: _text(record.get(key)) for key in _TEXTS},
        **{key: _number(record.get(key)) for key in _NUMBERS},
        **{key: v for key in _OBJECTS if isinstance(v := record.get(key), dict)},
    )
    event.line = record
    event.timestamp = record.get("timestamp", record.get("@timestamp"))
    event.files = v if isinstance(v := record.get("files"), list) else None
    event.dns = _object(record.get("dns"))
    event.host = event.host or _text(_of(record.get("host"), "name"))
    event.xff = _text(record.get("xff"))
    event.tenant_id = _text(record.get("tenant_id")) or None
    event.alert = _alert(stated) if isinstance(stated, dict) else None
    return event


def _alert(stated: Object) -> Alert:
    metadata, references = stated.get("metadata"), stated.get("references")
    return Alert(
        **{key: _text(stated.get(key)) for key in _ALERT_TEXTS},
        **{key: _number(stated.get(key)) for key in _ALERT_NUMBERS},
        severity=stated.get("severity"),
        metadata=metadata if isinstance(metadata, dict) else None,
        references=references if isinstance(references, list) else None,
        xff=_text(stated.get("xff")),
    )


def _object(value: object) -> Object | None:
    """Return an object; of a list of them, as some versions write DNS, one that holds the list."""
    if isinstance(value, list):
        return {"query": value}
    return value if isinstance(value, dict) else None


def _of(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, dict) else None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(value) if type(value) in (int, float) else ""


def _number(value: object) -> int | None:
    if type(value) is float and value == value // 1 and abs(value) < 2**53:
        return int(value)
    if type(value) is str and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return value if type(value) is int else None
