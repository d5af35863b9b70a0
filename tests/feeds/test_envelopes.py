"""What is wrapped around records: arrays inside objects while streaming, and `opened`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from periscope.feeds.envelopes import MOST_LAYERS, opened
from periscope.feeds.json_split import Piece, split_json

DOCUMENTS: list[tuple[Any, list[Any]]] = [
    ({"hits": {"hits": [1, {"a": [2]}], "total": 2}}, [1, {"a": [2]}]),
    ({"took": 1, "hits": {"total": {"hits": [9]}, "hits": [1]}, "x": {"hits": [8]}}, [1]),
    ({"hits": {"hits": []}}, []),
    ({"hits": [1, 2]}, [{"hits": [1, 2]}]),
    ({"other": {"hits": [1]}}, [{"other": {"hits": [1]}}]),
    ({"a": {"hits": {"hits": [1]}}}, [{"a": {"hits": {"hits": [1]}}}]),
    ({"alerts": [1], "hits": {"hits": [2]}, "more": {"alerts": [3]}}, [1, 2]),
    ([{"hits": {"hits": [1]}}], [{"hits": {"hits": [1]}}]),
]


@pytest.mark.parametrize(("document", "expected"), DOCUMENTS)
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_members_of_members(
    document: Any, expected: list[Any], indent: int | None, size: int
) -> None:
    data = json.dumps(document, indent=indent).encode()
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    pieces: list[Piece] = list(split_json(chunks, 10_000, (b"alerts", b"hits.hits")))
    found = [json.loads(piece.raw) for piece in pieces if not piece.envelope]
    assert found == expected
    assert all(piece.problem is None for piece in pieces)


def is_one(record: dict[str, Any]) -> bool:
    return "mine" in record


def nested(layers: int) -> dict[str, Any]:
    record: dict[str, Any] = {"mine": 1}
    for _ in range(layers):
        record = {"detail": record}
    return record


ONE = {"mine": 1}
TEXT = json.dumps(ONE)


@pytest.mark.parametrize(
    ("wrapper", "expected"),
    [
        ({"detail": {"findings": [ONE]}}, [ONE]),
        ({"hits": {"hits": [{"_source": ONE}, "x", {"no": 1}]}}, [ONE, "x", {"no": 1}]),
        ({"_id": "x", "_source": ONE}, [{"_id": "x", **ONE}]),
        ({"Records": [{"body": json.dumps({"Message": TEXT})}]}, [ONE]),
        ({"Records": [{"body": TEXT}, {"body": "not JSON"}]}, [ONE, {"body": "not JSON"}]),
        ({"Message": json.dumps([ONE, 7])}, [ONE, 7]),
        ({"value": [], "results": [{"x": 1}], "message": TEXT}, [ONE]),
        ({"data": {"alerts": [ONE]}}, [ONE]),
        ({"data": TEXT}, [ONE]),
        ({"specversion": "1.0", "data": ONE}, [ONE]),
    ],
)
def test_what_is_wrapped_is_found_with_what_stands_beside_it(
    wrapper: dict[str, Any], expected: list[Any]
) -> None:
    assert opened(wrapper, is_one) == expected


@pytest.mark.parametrize(
    "record",
    [ONE, {"hits": [1]}, {"other": ONE}, {"data": ONE}, {"message": "{not JSON"}, {"Records": {}}],
)
def test_what_is_no_wrapper_stays_as_it_is(record: dict[str, Any]) -> None:
    assert opened(record, is_one) is None


def test_layers_are_bounded() -> None:
    assert opened(nested(MOST_LAYERS + 1), is_one) == [ONE]
    assert opened(nested(MOST_LAYERS + 2), is_one) is None
    wide = {"events": [{"events": [{"events": [{"x": 1}] * 10}] * 10}] * 10}
    assert opened(wide, is_one) is None


@pytest.mark.parametrize("text", ["", "{", "x", '{"a": 1e999}', "[" * 100_000, '"{"'])
def test_texts_that_hold_no_record_are_none(text: str) -> None:
    assert opened({"Message": text}, is_one) is None
