"""Threats as JSON, spliced from what is stored: the report's own bytes are never decoded.

What comes out is the same document as `documents.threat` makes of the same record; a test compares
the two. A body is `{"content":...,"severity":"...","metadata":{...}` and then, where they are
known, `"observed_at_ms"` and `"source"` (`intake.py`). The header alone knows the severity: the
highest of the last words of all sources.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import exp
from typing import TYPE_CHECKING, Any

import msgspec

from periscope.documents import moment
from periscope.errors import StoreDamaged
from periscope.header import (
    FLAG_LATCHED,
    FLAG_PROTECTED,
    HEADER_BYTES,
    NO_SOURCE,
    SNOOZED,
    unpack,
)
from periscope.models import DECISIONS, SEVERITIES, STATUSES
from periscope.scoring import decayed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from periscope.policy import Policy
    from periscope.threat import Record, RecordPage

_SEVERITY = b'","severity":"'
_METADATA = b'","metadata":'
_SEVERITIES = [one.value for one in SEVERITIES]
_STATUSES = [one.value for one in STATUSES]
_OUTCOMES = ["null", *(f'"{one.value}"' for one in DECISIONS)]
_HOMES = ["null", "1", "2", "3"]
_BOOLS = ("false", "true")
_MS = timedelta(milliseconds=1)
_LONG_TERM = 3
_quote = msgspec.json.encode


class Splicer:
    """Makes documents of records under one policy; keep it as long as that is in force."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._targets = [target // _MS for target in policy.targets]
        self._constant_ms = policy.recency_constant_ms
        self._static = [
            [
                [
                    _static(policy, rank, acts, raised)
                    for raised in range(policy.escalations_cap + 1)
                ]
                for acts in range(policy.interactions_cap + 1)
            ]
            for rank in range(len(SEVERITIES))
        ]

    def page(self, page: RecordPage) -> bytes:
        """Return a page as `documents.page` says it."""
        items = self.items(page.items, page.as_of_ms)
        return framed(items, page.next_cursor, page.total, page.as_of_ms)

    def items(self, records: Iterable[Record], as_of_ms: int) -> list[bytes]:
        """Return one document for each record, as of one moment.

        Raises:
            StoreDamaged: a record cannot be read; says of which threat.
        """
        return [self.threat(threat_id, record, as_of_ms) for threat_id, record in records]

    def threat(self, threat_id: bytes, record: bytes, as_of_ms: int) -> bytes:
        """Return the document of one record as of a moment."""
        try:
            v = unpack(record)
            content_end = record.index(_SEVERITY, HEADER_BYTES)
            metadata = record.index(_METADATA, content_end)
            head = self._head(v, as_of_ms)
        except (ValueError, LookupError):
            raise StoreDamaged(
                f"the record of threat {threat_id.decode(errors='replace')!r} cannot be read"
            ) from None
        # Behind the metadata stands what is known of the two; the others are said here.
        observed_ms = _observed_ms(record, v)
        observed = _moment_of(observed_ms) if observed_ms else _nothing("observed_at")
        source = b'"source":"",' if v[28] == NO_SOURCE else b""
        return b'{"threat_id":%s,%s,%s%s%s",%s' % (
            _quote(threat_id.decode()),
            head.encode(),
            observed,
            source,
            record[HEADER_BYTES + 1 : content_end],
            record[metadata + 2 :],
        )

    def _head(self, v: tuple[Any, ...], at: int) -> str:
        """Return all that the header says, as the fields of `documents.threat`."""
        policy, level, rank, status = self._policy, v[1], v[24], v[3]
        first, last = v[15] | v[16] << 32, v[17] | v[18] << 32
        entered, consolidated = v[19] | v[20] << 32, v[21] | v[22] << 32
        snoozed = 0
        if status == SNOOZED:  # `entered` is when that ends: decision 22
            snoozed, entered = entered, 0
        protected = v[5] & FLAG_PROTECTED
        confidence = v[23]
        if level == _LONG_TERM and not protected:
            confidence = decayed(policy, confidence, at - entered)
        withdrawn = 3 <= v[6] <= 5
        validated = v[9] >= policy.validated_escalations and not withdrawn
        kind = "validated" if validated else "false_positive" if v[10] > v[9] else "pattern"
        due = first + self._targets[rank]
        waiting = level == 1 and status == 0 and not v[2] and not v[8]
        return (
            f'"severity":"{_SEVERITIES[rank]}","score":{self._score(v, max(0, at - last))!r},'
            f'"level":{level},"status":"{_STATUSES[status]}","home":{_HOMES[v[2]]},'
            f'"outcome":{_OUTCOMES[v[6]]},"memory_type":"{kind}","interactions":{v[8]},'
            f'"escalations":{v[9]},"dismissals":{v[10]},"views":{v[11]},"analysts":{v[13]},'
            f'"sightings":{v[12]},"consolidations":{v[14]},"confidence":{confidence!r},'
            f'"entry_confidence":{v[23]!r},"validated":{_BOOLS[validated]},'
            f'"withdrawn":{_BOOLS[withdrawn]},"latched":{_BOOLS[v[5] & FLAG_LATCHED != 0]},'
            f'"protected":{_BOOLS[protected != 0]},"overdue":{_BOOLS[waiting and at > due]},'
            f'"revision":{v[7]},{_time("first_seen", first)},{_time("last_activity", last)},'
            f"{_time('entered', entered)},{_time('snoozed_until', snoozed)},"
            f"{_time('consolidated', consolidated)},{_time('due', due)},{_time('as_of', at)}"
        )

    def _score(self, v: tuple[Any, ...], age_ms: int) -> float:
        """Return the score as `scoring.score` does, to the last bit: the same sums in its order."""
        policy = self._policy
        acts = min(v[8], policy.interactions_cap)
        raised = min(v[9], policy.escalations_cap)
        recency = policy.recency_weight * exp(-age_ms / self._constant_ms)
        static: float = self._static[v[24]][acts][raised]
        return static + recency


def framed(
    items: Iterable[bytes],
    next_cursor: str | None,
    total: int | None,
    as_of_ms: int,
    more: bytes = b"",
) -> bytes:
    """Return documents as a page of them; `more` are further members, with a comma before each."""
    return b'{"items":[%s],"next_cursor":%s,"total":%s,"as_of":"%s","as_of_ms":%d%s}' % (
        b",".join(items),
        _quote(next_cursor),
        _quote(total),
        moment(as_of_ms).encode(),
        as_of_ms,
        more,
    )


def exactness(position: str | None, indexed_ms: int | None) -> bytes:
    """Return what a page says of the index that found it, for `framed`."""
    return b',"position":%s,%s' % (_quote(position), _time("indexed", indexed_ms or 0).encode())


def _static(policy: Policy, rank: int, interactions: int, escalations: int) -> float:
    """Return the part of a score that time does not change."""
    return (
        policy.severity_weight * policy.severity_values[rank]
        + policy.interactions_weight * min(1, interactions / policy.interactions_cap)
    ) + policy.escalations_weight * min(1, escalations / policy.escalations_cap)


def _time(name: str, moment_ms: int) -> str:
    if not moment_ms:
        return f'"{name}":null,"{name}_ms":null'
    second, ms = divmod(moment_ms, 1000)
    return f'"{name}":"{_second(second)}.{ms:03d}Z","{name}_ms":{moment_ms}'


@lru_cache(4096)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _nothing(name: str) -> bytes:
    return b'"%s":null,"%s_ms":null,' % (name.encode(), name.encode())


def _observed_ms(record: bytes, v: tuple[Any, ...]) -> int:
    """Return when the last report was observed; 0 if it did not say.

    The header then still holds what the source said before, which it remembers to tell an older
    report by. Within a text each quotation mark has a backslash before it.
    """
    kept: int = v[25] | v[26] << 32
    if not kept:
        return 0
    end = len(record) - 1 if v[28] == NO_SOURCE else record.rfind(b',"source":"')
    return kept if record.endswith(b',"observed_at_ms":%d' % kept, 0, end) else 0


def _moment_of(observed_ms: int) -> bytes:
    second, ms = divmod(observed_ms, 1000)
    return b'"observed_at":"%s.%03dZ",' % (_second(second).encode(), ms)
