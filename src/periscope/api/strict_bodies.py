"""JSON bodies exactly as their shapes say: nothing is guessed, cut short or passed over.

Litestar turns what it is sent into what a handler takes as `data` loosely (`"1"` becomes 1). Here
the body is bounded in size and time as all bodies are, and decoded strictly, before it gets there.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec
from litestar import Request
from litestar.types import Empty

from periscope.api.bodies import check_values, whole
from periscope.api.media import JSON_TYPES
from periscope.api.operations import given_type
from periscope.api.problems import RequestRefused
from periscope.feeds.json_split import explained

_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_FIELD = re.compile(r"field `([^`]*)`")


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON body is of the type that its handler declares as `data`."""

    async def body(self) -> bytes:
        """Return the body, unpacked, of the size and in the time that the settings allow.

        Raises:
            RequestRefused: it is not, or there is none where there must be one.
        """
        if self._body is Empty:
            settings = self.app.state.tenants.settings
            most = settings.serve_max_body_mb << 20
            self._body = await whole(self, most, settings.serve_body_timeout_s)
        found: bytes = self._body
        field = self.route_handler.parsed_data_field
        if not found and field is not None and not field.is_optional:
            raise RequestRefused(400, "body-missing", "send what is asked for as a JSON object")
        return found

    async def json(self) -> Any:
        """Return the body as the handler's type.

        Raises:
            RequestRefused: it is no JSON, not of that type, or says itself that it is no JSON.
        """
        kind = self.headers.get("content-type", "application/json")
        if kind.partition(";")[0].strip().lower() not in JSON_TYPES:
            raise RequestRefused(
                415,
                "media-type-unknown",
                f"bodies of type {kind[:80]!r} are not read here; send application/json",
                field="Content-Type",
            )
        field = self.route_handler.parsed_data_field
        return decoded(await self.body(), Any if field is None else given_type(field))


def decoded(body: bytes, kind: Any) -> Any:
    """Return JSON as what it is to be.

    Raises:
        RequestRefused: it is no JSON, or something else; names the field. Or it is too large.
    """
    check_values(body)
    try:
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as exc:
        raise _unfit(str(exc)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        detail = f"the body is no JSON: {explained(exc, body)}"
        raise RequestRefused(400, "body-unreadable", detail) from None


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def _unfit(told: str) -> RequestRefused:
    """Return the refusal of a body by what msgspec says of it."""
    place, named = _PLACE.search(told), _FIELD.search(told)
    field = ".".join(one[1] for one in (place, named) if one is not None and one[1])[:200]
    reason = _PLACE.sub("", told)[:400]
    detail = f"{field}: {reason}" if field else reason
    return RequestRefused(422, "body-unfit", detail, field=field or None)
