"""JSON schemas of what travels: types by msgspec, parameters by their handlers."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import msgspec
from litestar.typing import FieldDefinition

from periscope.api.operations import given_type

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{name}"
_CONSTRAINTS = (
    ("ge", "minimum"),
    ("gt", "exclusiveMinimum"),
    ("le", "maximum"),
    ("lt", "exclusiveMaximum"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
    ("pattern", "pattern"),
)


class Schemas:
    """Schemas of types; what has a name becomes a component that others refer to."""

    def __init__(self, types: Iterable[Any]) -> None:
        self._types = list(dict.fromkeys(types))
        found, components = msgspec.json.schema_components(self._types, ref_template=REFERENCE)
        self._found = dict(zip(self._types, found, strict=True))
        self.components = {name: _tidied(one) for name, one in sorted(components.items())}

    def of(self, form: Any) -> Schema:
        """Return the schema of a type that was named at the beginning; a schema is one already."""
        if isinstance(form, dict):
            return form
        tidied: Schema = _tidied(self._found[form])
        return tidied

    def with_some_fields(self, form: Any) -> Schema:
        """Return the schema of a page, or of one whose items have some of their fields only."""
        whole = self.of(form)
        name = whole["$ref"].rpartition("/")[2]
        page = self.components[name]
        items = page["properties"]["items"]["items"]["$ref"].rpartition("/")[2]
        some = {
            "type": "object",
            "description": f"Those fields of a {items} that were asked for.",
            "minProperties": 1,
            "maxProperties": len(self.components[items]["properties"]) - 1,
        }
        properties = {**page["properties"], "items": {"type": "array", "items": some}}
        title = f"{name}OfFields"
        self.components[title] = {**page, "title": title, "properties": properties}
        return {"anyOf": [whole, {"$ref": REFERENCE.format(name=title)}]}

    def of_parameter(self, field: FieldDefinition) -> Schema:
        """Return the schema of a parameter that is given; whether it must be is not part of it."""
        schema = dict(self.of(given_type(field)))
        for ours, theirs in _CONSTRAINTS:
            value = getattr(field.kwarg_definition, ours, None)
            if value is not None:
                schema[theirs] = value
        if field.default is not inspect.Parameter.empty and field.has_default:
            default = field.default
            if default is not None:
                schema["default"] = default
        return schema


def _tidied(schema: Any) -> Any:
    """Return a schema with docstrings as they read, and words and not title and default twice."""
    if isinstance(schema, list):
        return [_tidied(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _tidied(one) for name, one in schema.items()}
    if isinstance(found.get("description"), str):
        found["description"] = inspect.cleandoc(found["description"])
    if isinstance(found.get("enum"), list) and "type" not in found:
        kinds = {type(one) for one in found["enum"]}
        if kinds in ({str}, {int}):
            found["type"] = "string" if kinds == {str} else "integer"
    return found
