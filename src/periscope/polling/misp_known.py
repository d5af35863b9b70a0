"""Which events of a MISP feed have been read, and in which version, in a few kilobytes.

A manifest names every event of a feed, 100,000 of them perhaps, and a position may have 64 KiB. A
mark ("all up to this timestamp") would be small and would skip: an event that was edited long ago
and is published today comes with an old timestamp. So events fall into buckets by their uuid, and
each bucket keeps the sum of the digests of what was read of it. A sum tells whether all of a
bucket is known, and nearly always which one event of it is not. Where it cannot tell, the bucket's
events are read again: duplicates, and nothing skipped.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple, Self

import xxhash

MAX_BUCKETS = 2_048
WORD = struct.Struct("<Q")
MODULUS = 1 << 64


class Event(NamedTuple):
    """An entry of a manifest; sorted by time."""

    time: int
    uuid: str
    version: str

    @property
    def digest(self) -> int:
        """64 bits of which event this is, in which version."""
        return xxhash.xxh3_64_intdigest(f"{self.uuid}:{self.version}".encode())


class Known:
    """The events that have been read, as a sum for each bucket."""

    def __init__(self, buckets: int) -> None:
        self._sums = [0] * buckets

    @classmethod
    def load(cls, stored: object) -> Self:
        """Take up what `stored()` gave; nothing is known where that is nothing, or damaged."""
        known = cls(1)
        try:
            raw = base64.b85decode(stored) if isinstance(stored, str) else b""
            sums = [word for (word,) in WORD.iter_unpack(raw)]
        except (ValueError, binascii.Error, struct.error):
            sums = []
        if 0 < len(sums) <= MAX_BUCKETS:
            known._sums = sums
        return known

    def stored(self) -> str:
        """Return it as text: ten characters a bucket."""
        return base64.b85encode(b"".join(map(WORD.pack, self._sums))).decode()

    def add(self, event: Event) -> None:
        """Count an event as read."""
        at = self._bucket(event)
        self._sums[at] = (self._sums[at] + event.digest) % MODULUS

    def take_back(self, event: Event) -> None:
        """Count an event as not read after all."""
        at = self._bucket(event)
        self._sums[at] = (self._sums[at] - event.digest) % MODULUS

    def _bucket(self, event: Event) -> int:
        return xxhash.xxh3_64_intdigest(event.uuid.encode()) % len(self._sums)

    def unread(self, events: Iterable[Event]) -> set[Event]:
        """Return those of a manifest's events that have not been read, or may not have been."""
        buckets: defaultdict[int, list[Event]] = defaultdict(list)
        for event in sorted(events):
            buckets[self._bucket(event)].append(event)
        return {
            event for at, bucket in buckets.items() for event in _unread(bucket, self._sums[at])
        }


def known_of(events: Iterable[Event], unread: set[Event]) -> Known:
    """Return what is known of a manifest's events, in as many buckets as they call for."""
    read = [event for event in events if event not in unread]
    buckets = 1 << max(4, (len(read) + len(unread)).bit_length() - 1)
    known = Known(min(buckets, MAX_BUCKETS))
    for event in read:
        known.add(event)
    return known


def _unread(bucket: list[Event], known: int) -> list[Event]:
    """Find which events, oldest first, a sum lacks.

    What is new is mostly the newest: then the sum is one of the first so many. Of those that failed
    or were published late, it finds one besides the newest, or two.
    """
    sums = [0]
    for event in bucket:
        sums.append((sums[-1] + event.digest) % MODULUS)
    if known in sums:
        return bucket[sums.index(known) :]
    place = {event.digest: at for at, event in enumerate(bucket)}
    for end, total in enumerate(sums):
        at = place.get((total - known) % MODULUS, end)
        if at < end:
            return [bucket[at], *bucket[end:]]
    for event in bucket:
        other = place.get((sums[-1] - known - event.digest) % MODULUS)
        if other is not None and bucket[other] != event:
            return [event, bucket[other]]
    return bucket
