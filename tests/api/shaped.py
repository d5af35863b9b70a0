"""Answers against their shapes: every field that is there is declared, and the other way round."""

from __future__ import annotations

from typing import Any, TypeVar, get_args, get_origin

import msgspec

T = TypeVar("T")


def shaped(answer: Any, kind: type[T], status: int = 200) -> T:
    """The answer, decoded strictly into its shape; not a field more and not one less."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    found = msgspec.json.decode(answer.content, type=kind)
    compare(msgspec.json.decode(answer.content), kind)
    return found


def compare(told: Any, kind: Any) -> None:
    """Compare the fields of a document with those of a shape, however deep."""
    if get_origin(kind) is list:
        for item in told:
            compare(item, get_args(kind)[0])
    elif get_origin(kind) is dict:
        for item in told.values():
            compare(item, get_args(kind)[1])
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        assert set(told) == set(fields), kind
        for name, inner in fields.items():
            compare(told[name], inner)
    elif told is not None and (inner := structs_in(kind)):
        compare(told, inner[0])


def structs_in(kind: Any) -> list[Any]:
    """The shapes that a union is of."""
    return [
        one
        for one in get_args(kind)
        if get_origin(one) in (list, dict)
        or (isinstance(one, type) and issubclass(one, msgspec.Struct))
    ]


async def remarks(served: Any, action: str) -> list[tuple[str, dict[str, Any]]]:
    """Who did this according to the audit trail, and what it says besides, oldest first."""
    entries = await served.tenant.periscope.get_recent_audit()
    return [
        (one.analyst_id, msgspec.json.decode(one.detail)) for one in entries if one.action == action
    ]
