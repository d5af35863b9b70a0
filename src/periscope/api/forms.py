"""The forms of bodies that are not one JSON document, as the API is described: by media type."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from periscope.api.media import FORMATS, NDJSON_TYPES
from periscope.api.operations import Forms
from periscope.feeds import format_names
from periscope.models import Report


def _list_of(shape: str) -> Any:
    """An array whose items are looked at one by one."""
    what = "Anything but the shape is rejected by its index, and costs only itself."
    any_of = [{"$ref": f"#/components/schemas/{shape}"}, {}]
    return list[Annotated[Any, Meta(description=what, extra_json_schema={"anyOf": any_of})]]


def _lines_of(shape: str) -> Forms:
    """The media types of JSON lines."""
    what = (
        f"A `{shape}` a line, as JSON; a line that is none is rejected by its index, and costs "
        "only itself."
    )
    return Forms(dict.fromkeys(sorted(NDJSON_TYPES), Annotated[str, Meta(description=what)]))


_DOCUMENT = Annotated[
    Any,
    Meta(
        description="A document in a format of feeds, as its media type says or, whatever the "
        "media type, the parameter `format`."
    ),
]

REPORTS = Forms(
    {
        "application/json": Report | _list_of("Report") | _DOCUMENT,
        **_lines_of("Report"),
        **dict.fromkeys(sorted(FORMATS), _DOCUMENT),
    }
)

INTERACTIONS = Forms(
    {
        "application/json": _list_of("InteractionBody"),
        **_lines_of("InteractionBody"),
    }
)
EXPORT = Forms(
    {
        "application/x-ndjson": Annotated[
            str, Meta(description="A threat a line, each a `ThreatDocument`.")
        ],
        "text/csv": Annotated[
            str, Meta(description="A line of names, then a threat a line; safe in a spreadsheet.")
        ],
    }
)

METRICS = Forms(
    {
        "text/plain": Annotated[str, Meta(description="The text format of Prometheus.")],
        "application/openmetrics-text": Annotated[
            str, Meta(description="OpenMetrics, to whoever accepts it.")
        ],
    }
)
EVENTS = Forms(
    {
        "text/event-stream": Annotated[
            str, Meta(description="Server-sent events, without end; comments are signs of life.")
        ],
    }
)


def format_schema() -> dict[str, Any]:
    """Return the schema of a parameter that names a format of feeds, as they are installed here."""
    return {"type": "string", "enum": ["auto", *sorted(format_names())]}


WARNINGLIST = Forms(
    {
        "application/json": Annotated[
            dict[str, Any], Meta(description="A MISP warninglist: what stands in its `list.json`.")
        ],
    }
)

WEBHOOK = Forms(
    {
        "application/json": Annotated[
            Any, Meta(description="What the sender sends, of any media type, signed.")
        ],
    }
)
NOTHING_TO_SEE = Forms(
    {"text/plain": Annotated[str, Meta(description="Nothing: `Location` says where to go.")]}
)
