"""The host of a URL, and the names that a host is part of; what is in doubt is no host.

A URL comes from a stranger, and "known-good" hides it: where two programs could read two hosts out
of it, it has none here.
"""

from __future__ import annotations

import re
from unicodedata import normalize

MAX_HOST = 253
_AUTHORITY = re.compile(
    r"(?:[a-z][a-z0-9+.-]{0,63}:)?//(?:[^/?#\\@\s]*@)?([^/?#\\@:\s\[\]]+)(?::\d{0,5})?(?:[/?#]|\Z)",
    re.IGNORECASE,
)
_BARE = re.compile(r"([^/?#\\@:\s\[\]]+)(?::\d{1,5})?(?:[/?#]|\Z)")
_NAME = re.compile(r"[^\x00-\x20\x7f!\"#$%&'()*+,/:;<=>?@\[\\\]^`{|}~]+\Z")


def host_of(url: str) -> str:
    """The host of a URL (with or without its scheme), folded; '' if there is none for sure."""
    found = _AUTHORITY.match(url) or _BARE.match(url)
    return normal_host(found[1]) if found else ""


def normal_host(name: str) -> str:
    """A host name as lists are compared with: in lower case, without dots around it; or ''."""
    host = name.lower().strip(".")
    if len(host) > MAX_HOST or not _NAME.match(host):
        return ""
    # Some programs read a full-width slash, or `a/c` in one character, as the plain ones.
    return host if host.isascii() or _NAME.match(normalize("NFKC", host)) else ""
