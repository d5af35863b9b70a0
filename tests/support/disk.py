"""A small file system that can be made larger: a disk that is full, until it no longer is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Resize = Callable[[str], bool]


@contextmanager
def small_disk(place: Path, size: str = "80m") -> Iterator[Resize]:
    """Mount a file system of this size there; yield what changes it: `resize("size=400m")`."""

    def mount(options: str) -> bool:
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0

    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root on Linux, to mount a tmpfs")
    if not mount(f"size={size}"):
        pytest.skip("cannot mount a tmpfs here")
    try:
        yield lambda options: mount(f"remount,{options}")
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
