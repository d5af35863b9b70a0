"""A record becomes a `Threat` without its `__init__`: nothing may be missing, nothing too much."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from periscope import Periscope, Threat


async def test_a_threat_that_is_read_has_all_fields(periscope: Periscope) -> None:
    await periscope.add_threat("t1", "x", "HIGH", {"a": 1}, source="edr")
    read = await periscope.record_interaction("t1", "ann", "view", "r1")
    assert set(vars(read)) == {one.name for one in fields(Threat)}
    assert replace(read) == read
    assert repr(replace(read)) == repr(read)
    assert read.interaction_id == "r1"
    with pytest.raises(FrozenInstanceError):
        read.views = 7  # type: ignore[misc]
