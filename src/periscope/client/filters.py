"""Filters that lists of threats, counts and histograms have in common: what they are given as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict


class MoreFilters(TypedDict, total=False):
    """What is left out, any number of each up to 20; and bounds of time in ms UTC.

    `from` is included, `until` is not.
    """

    not_source: Sequence[str]
    not_tag: Sequence[str]
    not_tlp: Sequence[str]
    not_severity: Sequence[str]
    first_seen_from: int
    first_seen_until: int
    last_activity_from: int
    last_activity_until: int
