"""Temporary and runtime directories of the test's own, so that it can see what is left in them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the bench makes its directories; the path is short, since a socket's must be."""
    directory = Path(tempfile.mkdtemp(prefix="psb-", dir="/tmp"))
    sockets = directory / "run"
    sockets.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(sockets))
    # What the user has set must not lead the bench to the user's own server.
    monkeypatch.setenv("PERISCOPE_URL", "redis://nowhere.invalid")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)
