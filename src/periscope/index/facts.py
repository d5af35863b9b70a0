"""What is known of a threat for finding it: read from its record, the same for all who ask."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from periscope.index.words import BOUND, words
from periscope.noise.fields import indicators_of, tags_of_report, tlp_of_report
from periscope.threat import Threat

MOST_SHARED = 100  # indicators of one threat that are compared with those of others


class Facts(NamedTuple):
    """What a report says, in the spelling that is compared."""

    source: str
    tlp: str  # '' for none
    tags: dict[str, str]  # without regard to case: as they are written
    indicators: frozenset[tuple[str, str]]  # (type, value), without regard to case
    words: str


def facts_of(threat: Threat) -> Facts:
    """All that the index keeps of what a threat's report says."""
    report = _report(threat)
    pairs = indicators(report)
    return Facts(
        threat.source,
        tlp(report),
        tags(report),
        pairs,
        text_of(threat, pairs),
    )


def tags_of(threat: Threat) -> dict[str, str]:
    """Its tags, by what they are compared by."""
    return tags(_report(threat))


def tlp_of(threat: Threat) -> str:
    """Its TLP marking, '' for none."""
    return tlp(_report(threat))


def indicators_in(threat: Threat) -> frozenset[tuple[str, str]]:
    """Its indicators, as they are compared."""
    return indicators(_report(threat))


def text_of(threat: Threat, pairs: frozenset[tuple[str, str]]) -> str:
    """The words of its title, content, id and indicators."""
    title = threat.metadata.get("title")
    texts = [title if isinstance(title, str) else "", threat.content, threat.threat_id]
    texts += sorted(value for _, value in pairs)
    return words(BOUND.join(text for text in texts if text))


def tags(report: Mapping[str, Any]) -> dict[str, str]:
    """Tags are compared without regard to case."""
    return {text.casefold(): text for text in tags_of_report(report)}


def tlp(report: Mapping[str, Any]) -> str:
    """The marking in the words of TLP 2; '' for none."""
    return next(iter(tlp_of_report(report)), "")


def indicators(report: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """(type, value) of each; values are compared without regard to case."""
    return frozenset((kind, value.lower()) for kind, value in indicators_of(report))


def number_of(text: bytes) -> int:
    """A text as a number of 64 bits, by which it is found; what it leads to is compared anew."""
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little", signed=True)


def _report(threat: Threat) -> dict[str, Any]:
    return {"metadata": threat.metadata}
