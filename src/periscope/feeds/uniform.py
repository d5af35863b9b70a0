"""Values that a caller's mapping names, as keys of uniform metadata."""

from __future__ import annotations

import re
from typing import Any

from periscope.feeds.finding import (
    LONGEST_REFERENCE,
    LONGEST_TAG,
    LONGEST_TITLE,
    MOST_REFERENCES,
    MOST_TAGS,
    list_of,
    texts,
    time_text,
)
from periscope.feeds.indicators import kept
from periscope.feeds.ioc import read_indicators
from periscope.feeds.markings import tlp_word
from periscope.feeds.problems import BadRecord, quote

SEPARATOR = re.compile(r"[,;|]")


def uniform(said: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata for mapped values, by the names of `UNIFORM_FIELDS`; empty ones are none.

    Tags, references and indicators may be a list, or a text with commas, semicolons or bars.

    Raises:
        BadRecord: a time or a TLP label is none, or a value is no indicator.

    """
    found: dict[str, Any] = {
        "title": _text(said.get("title"))[:LONGEST_TITLE],
        "type": _text(said.get("type")),
        "tags": texts(_several(said.get("tags")), MOST_TAGS, LONGEST_TAG),
        "tlp": _tlp(said.get("tlp")),
        "references": texts(_several(said.get("references")), MOST_REFERENCES, LONGEST_REFERENCE),
        **_indicators(said.get("indicator"), _text(said.get("indicator_type"))),
        "first_observed": time_text("first_observed", said.get("first_observed")),
        "last_observed": time_text("last_observed", said.get("last_observed")),
        "industry": said.get("industry"),
    }
    return {key: value for key, value in found.items() if value not in (None, "", [])}


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _several(value: object) -> list[Any]:
    return SEPARATOR.split(value) if isinstance(value, str) else list_of(value)


def _tlp(value: object) -> str | None:
    if value in (None, ""):
        return None
    word = tlp_word(value)
    if word is None:
        raise BadRecord(f"tlp {quote(value)} is no TLP label; one of CLEAR, GREEN, AMBER, RED")
    return word


def _indicators(value: object, stated: str) -> dict[str, Any]:
    values = [value] if isinstance(value, str) else list_of(value)
    return kept(
        one
        for text in values
        if isinstance(text, str) and text.strip()
        for one in read_indicators(text, stated)
    )
