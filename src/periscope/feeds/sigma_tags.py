"""Techniques of MITRE ATT&CK among Sigma's tags."""

from __future__ import annotations

import re
from collections.abc import Iterable

TECHNIQUE = re.compile(r"(?:attack\.)?(t\d{4}(?:\.\d{3})?)", re.IGNORECASE)


def techniques(tags: Iterable[object]) -> list[str]:
    """Return the ids of techniques (`T1552.004`) that tags name, in their order."""
    found = [TECHNIQUE.fullmatch(tag.strip()) for tag in tags if isinstance(tag, str)]
    return [match[1].upper() for match in found if match]
