"""The filter heals at once here, so that no test waits for it to lose its patience."""

from __future__ import annotations

import pytest

from periscope.membership import follower


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "LONGEST_PAUSE_S", 0.01)
    monkeypatch.setattr(follower, "LONGEST_GAP_S", 0.01)
