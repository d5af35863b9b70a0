"""The files of the page, under one digest that changes with any of them, packed for browsers.

What is served is what stands in `static/`, but for two things that keep it small: comments,
indentation and empty lines are left out, and the styles, which are read in the order of `STYLES`,
go as one file without needless blanks. A line that begins with `//` is a comment, wherever it is.
"""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Mapping
from functools import cache, cached_property
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable

import brotli

MEDIA_TYPES = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
"""By how a name ends; files that end otherwise (licences, records) are not served."""
INDEX = "index.html"
LATER = ("js/pages/", "js/ui/chart.js", "js/live/worker.js", "vendor/uplot.js")
"""What begins so is fetched when it is needed; every other module at once, not one behind the
other."""
STYLES = tuple(f"css/{name}.css" for name in ("base", "shell", "list", "filter", "peek", "pages"))
"""These first; then all others."""
ALL_STYLES = "css/all.css"
_COMMENTS = re.compile(rb"^[ ]*//.*$|^[ ]*/\*[\s\S]*?\*/|(?<=[;,{]) // .*$", re.MULTILINE)
_INDENTED = re.compile(rb"^\s+", re.MULTILINE)
_NOT_OF_STYLES = re.compile(rb"(?<=[{};:,>]) | (?=[{};>])|;(?= ?\})")
"""What a browser reads styles as well without, where each run of blanks is one."""


class Asset:
    """A file as it is sent: `plain`, and packed."""

    def __init__(self, media_type: str, plain: bytes) -> None:
        self.media_type = media_type
        self.plain = plain
        self.br: bytes | None = None
        """Packed by brotli, once `Assets.pack` has come to it."""

    @cached_property
    def gzip(self) -> bytes:
        """Packed by gzip."""
        return gzip.compress(self.plain, 9, mtime=0)


class Assets:
    """All files by name, and the page that names them; `digest` is part of their addresses.

    `page_with_sign_on` is the page where there is a provider by whom people can sign in as well.
    """

    def __init__(self, digest: str, page: Asset, files: Mapping[str, Asset]) -> None:
        self.digest = digest
        self.page = page
        plain = page.plain.replace(b'data-sign-on="no"', b'data-sign-on="yes"')
        self.page_with_sign_on = Asset(page.media_type, plain)
        self.files = files
        self._packing = threading.Lock()

    def pack(self) -> int:
        """Pack everything as small as can be (half a second, once); return the bytes of it all."""
        with self._packing:
            for one in (self.page, *self.files.values()):
                one.br = one.br or brotli.compress(one.plain, quality=11)
        return sum(len(one.br or b"") for one in (self.page, *self.files.values()))


@cache
def read_assets() -> Assets:
    """Read the files that the package brings."""
    found = dict(_walk(files(__package__) / "static", ""))
    digest = blake2b(digest_size=8)
    for name, content in sorted(found.items()):
        digest.update(b"%s %d " % (name.encode(), len(content)) + content)
    base = f"/console/{digest.hexdigest()}"
    found = _joined({name: _lean(name, content) for name, content in found.items()})
    page = Asset("text/html", _page(found.pop(INDEX), base, found))
    served = {name: Asset(_type_of(name), content) for name, content in found.items()}
    return Assets(digest.hexdigest(), page, served)


def _page(page: bytes, base: str, names: Mapping[str, bytes]) -> bytes:
    """Return the page with the addresses of this digest, and all modules named beforehand."""
    early = sorted(name for name in names if name.endswith(".js") and not name.startswith(LATER))
    links = "".join(f'<link rel="modulepreload" href="{base}/{name}">\n' for name in early)
    text = page.decode().replace("<!-- modules -->\n", links)
    return text.replace("{base}", base).encode()


def _joined(found: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files with all styles as one."""
    styles = [name for name in found if name.endswith(".css")]
    ordered = [*STYLES, *sorted(set(styles) - set(STYLES))]
    rest = {name: content for name, content in found.items() if name not in styles}
    return {**rest, ALL_STYLES: _squeezed(b"\n".join(found[name] for name in ordered))}


def _squeezed(styles: bytes) -> bytes:
    return _NOT_OF_STYLES.sub(b"", re.sub(rb"\s+", b" ", styles))


def _lean(name: str, content: bytes) -> bytes:
    """Return a script or styles of ours without what is there for people alone."""
    if not name.startswith(("js/", "css/")):
        return content
    return _INDENTED.sub(b"", _COMMENTS.sub(b"", content))


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = list[tuple[str, bytes]]()
    for one in folder.iterdir():
        if one.is_dir():
            found += _walk(one, f"{prefix}{one.name}/")
        elif one.name.rpartition(".")[2] in MEDIA_TYPES:
            found.append((prefix + one.name, one.read_bytes()))
    return found


def _type_of(name: str) -> str:
    return MEDIA_TYPES[name.rpartition(".")[2]]
