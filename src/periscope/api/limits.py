"""What a key that is limited may send and see: by source, severity and TLP."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec

from periscope.access import NO_LIMITS, Limits
from periscope.api.gate import Caller
from periscope.errors import Forbidden, ThreatUnknown
from periscope.exporting import Permit
from periscope.feeds.markings import tlp_word
from periscope.models import Report, Severity, Unreadable
from periscope.threat import Threat


def refuse_limited(caller: Caller) -> None:
    """Refuse a key that is limited what counts or mixes all threats.

    Raises:
        Forbidden: it is limited.
    """
    if caller.identity.limits:
        raise Forbidden("this is about all threats, and your key is limited to some of them")


def sees(limits: Limits, threat: Threat) -> bool:
    """Say whether a threat is within the limits, as it stands."""
    return limits.permit(threat.source, threat.severity, tlp_word(threat.metadata.get("tlp")))


def permit_of(limits: Limits) -> Permit | None:
    """Return what says whether a threat is within the limits of a key; None without any."""
    return (lambda threat: sees(limits, threat)) if limits else None


def unknown() -> ThreatUnknown:
    """Return the one answer to what is not there and to what is beyond the caller's limits."""
    return ThreatUnknown("there is no threat of this id")


async def seen_of(caller: Caller, ids: Sequence[str]) -> list[Threat]:
    """Return the threats of these ids that are there and within the caller's limits."""
    found = await caller.periscope.get_threats(ids)
    limits = caller.identity.limits
    return [one for one in found if sees(limits, one)] if limits else found


async def check_visible(caller: Caller, threat_id: str) -> None:
    """Refuse a threat that a limited key does not see, exactly as one that is not there.

    A key without limits is let through without a look: what is not there is then the act's to say.

    Raises:
        ThreatUnknown: it is not there, or beyond the limits.
    """
    if caller.identity.limits and not await seen_of(caller, [threat_id]):
        raise unknown()


class Screen:
    """Lets reports in as far as a key may send them; the others are rejected, one by one.

    `source`, where it is given, takes the place of what reports say. A key that is limited to one
    source sends as that one.
    """

    def __init__(self, limits: Limits, source: str | None) -> None:
        self._limits = limits
        if source is None and len(limits.sources) == 1:
            source = limits.sources[0]
        self.source = source
        self._is_open = limits == NO_LIMITS and source is None

    def all(self, items: Iterable[Any]) -> Iterable[Any]:
        """Give the items, with a refusal in place of each that may not be sent."""
        return items if self._is_open else map(self._one, items)

    async def each(self, items: AsyncIterable[Any]) -> AsyncIterator[Any]:
        """Give the items, as `all` does."""
        async for item in items:
            yield item if self._is_open else self._one(item)

    def _one(self, item: Any) -> Any:
        if isinstance(item, Unreadable):
            return item
        fields = msgspec.structs.asdict(item) if isinstance(item, Report) else item
        if not isinstance(fields, dict):
            return item  # no report: its reason is the engine's to say
        if self.source is not None:
            fields = {**fields, "source": self.source}
        reason = self._against(fields)
        return fields if reason is None else Unreadable(reason, _text(fields.get("threat_id")))

    def _against(self, fields: dict[str, Any]) -> str | None:
        limits = self._limits
        if limits.sources and fields.get("source") not in limits.sources:
            return "source: your key is limited to other sources"
        if limits.severities and _severity(fields.get("severity")) not in limits.severities:
            return "severity: your key is limited to other severities"
        metadata = fields.get("metadata")
        tlp = metadata.get("tlp") if isinstance(metadata, dict) else None
        if limits.tlp and tlp_word(tlp) not in limits.tlp:
            return "tlp: your key is limited to other markings"
        return None


def _severity(given: Any) -> Severity | None:
    try:
        return Severity(given)
    except ValueError:
        return None


def _text(given: Any) -> str | None:
    return given[:512] if isinstance(given, str) else None
