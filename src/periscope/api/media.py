"""What a body is, by its media type or by the name of a format."""

from __future__ import annotations

from enum import Enum
from typing import Any

from litestar import Request

from periscope.api.problems import RequestRefused
from periscope.feeds import format_names

JSON_TYPES = frozenset(("application/json", "text/json"))
NDJSON_TYPES = frozenset(
    (
        *("application/x-ndjson", "application/ndjson", "application/jsonl"),
        *("application/x-jsonlines", "application/jsonlines"),
    )
)
FORMATS = {
    "application/stix+json": "stix",
    "application/taxii+json": "stix",
    "application/csaf+json": "csaf",
    "text/csv": "csv",
    "text/plain": "plain",
}
"""Media types that say by themselves which format of feeds a body has."""


class Media(Enum):
    """How a body is read."""

    JSON = "json"
    """One report or an array of them, in Periscope's own fields."""
    NDJSON = "ndjson"
    """A report a line, in Periscope's own fields."""
    FEED = "feed"
    """A document in a format of feeds."""


def media_of(request: Request[Any, Any, Any], format_name: str | None) -> tuple[Media, str | None]:
    """Return how a body is to be read, and its format if that is one of feeds.

    Raises:
        RequestRefused: there is no body, no such format, or the media type is of none.
    """
    if not _has_body(request):
        raise RequestRefused(400, "body-missing", "there is no body; send reports")
    if format_name is not None:
        if format_name != "auto" and format_name not in format_names():
            known = ", ".join(sorted(format_names()))
            raise RequestRefused(
                422, "format-unknown", f"format: one of auto, {known}", field="format"
            )
        return Media.FEED, None if format_name == "auto" else format_name
    given = request.headers.get("content-type", "application/json")
    kind = given.partition(";")[0].strip().lower()
    if kind in JSON_TYPES:
        return Media.JSON, None
    if kind in NDJSON_TYPES:
        return Media.NDJSON, None
    if kind in FORMATS:
        return Media.FEED, FORMATS[kind]
    raise RequestRefused(
        415,
        "media-type-unknown",
        f"bodies of type {kind[:80]!r} are not read here; say which format it has with ?format=",
        field="Content-Type",
        headers={"Accept-Post": "application/json, application/x-ndjson"},
    )


def _has_body(request: Request[Any, Any, Any]) -> bool:
    """Say whether there is a body; one that is said to be of some type may be empty."""
    headers = request.headers
    stated = headers.get("content-length", "0") != "0"
    return stated or "content-type" in headers or "transfer-encoding" in headers
