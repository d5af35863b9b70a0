"""The browser that the tests drive: found on this machine, or installed by `make test`.

`python -m tests.browser.chromium` finds it, else installs Debian's package, else the build that
Playwright downloads; it says what it does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--no-sandbox",  # as root, in a container, there is none to be had
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PACKAGES = ("chromium", "fonts-dejavu-core", "fonts-liberation")


def found() -> str | None:
    """Return the browser's program; None if there is none."""
    for name in NAMES:
        if (path := shutil.which(name)) is not None:
            return path
    return _downloaded()


def main() -> int:
    """Install a browser where there is none. Exit 1: that cannot be done here."""
    if (path := found()) is not None:
        _say(f"browser for the tests: {path}")
        return 0
    _say("browser for the tests: none is here; installing chromium")
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get"):
        quiet = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
        _run([*as_root, *quiet, "update"])
        _run([*as_root, *quiet, "install", "-y", "--no-install-recommends", *PACKAGES])
    if found() is None:
        _run([sys.executable, "-m", "playwright", "install", "chromium"])
    if found() is None:
        _say("browser for the tests: could not be installed; tests/browser will fail or skip")
        return 1
    _say(f"browser for the tests: {found()}")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _run(command: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(command, check=False, env=environment, stdout=subprocess.DEVNULL)
    except OSError as exc:
        _say(f"{command[0]}: {exc.strerror}")


def _downloaded() -> str | None:
    place = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright")
    programs = sorted(place.glob("chromium-*/chrome-linux*/chrome"))
    return str(programs[-1]) if programs else None


if __name__ == "__main__":
    sys.exit(main())
