"""Directories of their own for every test, and no server left behind."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from periscope.errors import PeriscopeError
from periscope.server import stop_server


@pytest.fixture(autouse=True)
def runtime_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory whose path is short, as pytest's own is not."""
    directory = Path(tempfile.mkdtemp(prefix="psrv-", dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def data_dir(tmp_path: Path, runtime_dir: Path) -> Iterator[Path]:
    """A data directory that is not there yet; a server that a test left is stopped."""
    directory = tmp_path / "data"
    yield directory
    with suppress(PeriscopeError):
        asyncio.run(stop_server(directory, force=True, timeout_s=2))
