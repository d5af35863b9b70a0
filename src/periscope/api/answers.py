"""Answers as bytes, and what the answer of a read says of its own version."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response
from xxhash import xxh3_128_hexdigest

JSON = "application/json"


def json_answer(document: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    """Answer a document: bytes as they are, anything else as JSON."""
    body = document if isinstance(document, bytes) else msgspec.json.encode(document)
    return Response(body, status_code=status, headers=headers, media_type=JSON)


def tag_of(*parts: bytes) -> str:
    """Return a weak entity tag: equal as long as what it was made of is."""
    return f'W/"{xxh3_128_hexdigest(b"".join(parts))}"'


def unchanged(request: Request[Any, Any, Any], tag: str) -> Any:
    """Answer 304 if the caller has this version already; None if they do not.

    Of a threat or a page that is the state and the order: scores fall with time all the same, which
    whoever has the last activity can work out.
    """
    given = request.headers.get("if-none-match", "")
    if tag in (one.strip() for one in given.split(",")):
        return Response(None, status_code=304, headers={"ETag": tag})
    return None
