"""Takes the console's libraries from their npm packages: `make vendor` (needs npm).

Nothing is built. A bare name that a module imports becomes the file beside it, which a page needs
no import map for; the comment that names a source map goes; a script without exports gets one.
`vendored.json` says what came from where, and a test holds the files against it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

VENDOR = Path(__file__).parents[2] / "src" / "periscope" / "console" / "static" / "vendor"
PACKAGES = {
    "preact": "11.2.0",
    "htm": "3.1.1",
    "@preact/signals-core": "1.14.5",
    "@preact/signals": "2.11.4",
    "uplot": "1.6.32",
}
FILES = {
    "preact.js": ("preact", "dist/preact.mjs"),
    "preact-hooks.js": ("preact", "hooks/dist/hooks.mjs"),
    "htm.js": ("htm", "dist/htm.mjs"),
    "signals-core.js": ("@preact/signals-core", "dist/signals-core.mjs"),
    "signals.js": ("@preact/signals", "dist/signals.mjs"),
    "uplot.js": ("uplot", "dist/uPlot.iife.min.js"),
    "uplot.css": ("uplot", "dist/uPlot.min.css"),
}
"""Files of ours, and what they are made of."""
NEIGHBOURS = {
    "preact": "./preact.js",
    "preact/hooks": "./preact-hooks.js",
    "@preact/signals-core": "./signals-core.js",
}
ADDED = {"uplot.js": "export{uPlot as default};\n"}


def main() -> None:
    """Fetch the packages and write the files anew."""
    with TemporaryDirectory() as folder:
        packages = {name: _fetch(name, version, folder) for name, version in PACKAGES.items()}
    for name, (package, path) in FILES.items():
        (VENDOR / name).write_text(adapted(name, packages[package][path]))
    for name, files in packages.items():
        (VENDOR / f"LICENSE-{_plain(name)}").write_text(files["LICENSE"])
    (VENDOR / "vendored.json").write_text(json.dumps(_record(packages), indent=2) + "\n")


def adapted(name: str, text: str) -> str:
    """Return a file as the page takes it."""
    text = re.sub(r"\n?//# sourceMappingURL=\S+\n?", "\n", text)
    for bare, neighbour in NEIGHBOURS.items():
        text = text.replace(f'from"{bare}"', f'from"{neighbour}"')
    return text + ADDED.get(name, "")


def digest(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _fetch(name: str, version: str, folder: str) -> dict[str, str]:
    """Return the text files of a package by their paths in it."""
    command = ["npm", "pack", "--silent", f"{name}@{version}"]
    packed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    content = (Path(folder) / packed.stdout.strip()).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {
            one.name.partition("/")[2]: archive.extractfile(one).read().decode(errors="replace")  # type: ignore[union-attr]
            for one in archive
            if one.isfile()
        }


def _record(packages: dict[str, dict[str, str]]) -> dict[str, Any]:
    described = {name: json.loads(files["package.json"]) for name, files in packages.items()}
    return {
        "packages": [
            {
                "name": name,
                "version": PACKAGES[name],
                "license": one["license"],
                "homepage": one.get("homepage", ""),
            }
            for name, one in described.items()
        ],
        "files": {
            name: {
                "package": package,
                "path": path,
                "sha256_there": digest(packages[package][path]),
                "sha256_here": digest((VENDOR / name).read_text()),
            }
            for name, (package, path) in FILES.items()
        },
    }


def _plain(name: str) -> str:
    return name.lstrip("@").replace("/", "-")


if __name__ == "__main__":
    main()
