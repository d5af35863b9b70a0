"""Arrays are cut into the same elements, whether at one go or bracket by bracket."""

from __future__ import annotations

import json
import time

from hypothesis import example, given
from hypothesis import strategies as st

from periscope.feeds.json_elements import LEVELS, elements
from periscope.feeds.json_split import MAX_DEPTH, split_json
from periscope.feeds.problems import Broken
from tests.support.patience import PATIENCE

LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.text('a"\\[]{},: \u00e9', max_size=5)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)
SPACES = st.sampled_from([None, 1])


def cut(data: bytes, step: int, most: int = 1000) -> list[object]:
    """All pieces and the message at the end, of a text that comes a few bytes at a time."""
    found: list[object] = []
    chunks = (data[at : at + step] for at in range(0, len(data), step))
    try:
        found.extend(split_json(chunks, most, (b"objects",)))
    except Broken as exc:
        found.append(str(exc))
    return found


@given(st.lists(VALUES, max_size=6), SPACES, st.integers(1, 30), st.integers(0, 3))
@example([[[]]], 1, 1, 0)  # at the limit but for the space behind it
def test_cut_the_same(ones: list[object], indent: int | None, step: int, less: int) -> None:
    text = json.dumps({"objects": ones, "more": False}, indent=indent).encode()
    data = text[: len(text) - less]
    assert cut(data, len(data)) == cut(data, 1) == cut(data, step)
    array = json.dumps(ones, indent=indent).encode()
    assert cut(array, len(array), 9) == cut(array, 1, 9) == cut(array, step, 9)


def test_elements_deeper_than_what_is_matched_at_one_go() -> None:
    for depth in (LEVELS - 1, LEVELS, LEVELS + 1, LEVELS + 2, MAX_DEPTH):
        one = b"[" * depth + b"]" * depth
        data = b'[{"a": 1}, ' + one + b", " + one + b', {"b": 2}, {"c": 3}]'
        assert cut(data, len(data)) == cut(data, 7)
        assert len(cut(data, len(data))) == 5


def test_wrong_brackets_are_left_to_the_slow_way() -> None:
    for data in (b"[{]}, 1]", b"[{,}, {]", b'[{"a": 1},, {}]', b"[[}, 1, 2]", b"[{}} , 3]"):
        assert cut(data, len(data)) == cut(data, 1), data


def test_elements_that_never_end_take_time_in_proportion() -> None:
    for part in (b'[{"a":', b"[{", b'{"a":[', b'"', b"\\", b'{"a": "b", ', b"[[1, 2], "):
        chunk = part * (64 * 1024 // len(part))
        began = time.process_time()
        list(elements(chunk, 0, 1_000_000))
        assert time.process_time() - began < PATIENCE, part
