"""The forms of bodies that are not one JSON document, as the API is described: by media type."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from periscope.api.media import FORMATS, NDJSON_TYPES
from periscope.api.operations import Forms
from periscope.feeds import format_names
from periscope.models import Report

_ITEM = Annotated[
    Any,
    Meta(
        description="A report; anything else is rejected by its index, and costs only itself.",
        extra_json_schema={"anyOf": [{"$ref": "#/components/schemas/Report"}, {}]},
    ),
]
_LINES = Annotated[
    str,
    Meta(
        description="A report a line, as JSON; a line that is none is rejected by its index, and "
        "costs only itself. Of any length: it is read while it comes."
    ),
]
_DOCUMENT = Annotated[
    Any,
    Meta(
        description="A document in a format of feeds, as its media type says or, whatever the "
        "media type, the parameter `format`."
    ),
]

REPORTS = Forms(
    {
        "application/json": Report | list[_ITEM],
        **dict.fromkeys(sorted(NDJSON_TYPES), _LINES),
        **dict.fromkeys(sorted(FORMATS), _DOCUMENT),
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
