"""Records are the same wherever the chunks of a document end, on every Python that is supported."""

from __future__ import annotations

import json
import random
from itertools import pairwise

import pytest

from periscope.feeds.json_split import split_json


@pytest.mark.parametrize("longest", [100, 5_000, 65_536, 262_144])
def test_all_records_come_out_of_chunks_of_any_size(longest: int) -> None:
    """Python 3.11.2 lost records here: its possessive groups match too little."""
    records = [{"threat_id": f't"{n}\\', "content": "x", "severity": "LOW"} for n in range(2_000)]
    text, dice = json.dumps(records).encode(), random.Random(longest)
    ends = [0]
    while ends[-1] < len(text):
        ends.append(ends[-1] + dice.randint(1, longest))
    chunks = (text[a:b] for a, b in pairwise(ends))
    assert [json.loads(piece.raw) for piece in split_json(chunks, 1 << 20)] == records
