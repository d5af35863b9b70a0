"""How far a walk through a TAXII collection has come, and what the next request asks for.

Nothing may be skipped, whatever a server says of itself, and `added_after` asks for what was added
strictly later. So a walk that is complete moves on to the time of the last object it saw, but not
closer than `SETTLED` to when it began: whatever was added at the same microsecond, or committed
late, is met again by the next walk (as duplicates). Both times are the server's own.

While a walk is under way the place to begin anew (`after`) does not move: that the pages so far
were in order says nothing of those to come. What is kept to go on from is the server's `next`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from periscope.polling.taxii_page import Page, moment, stamp

SETTLED = timedelta(minutes=5)
INSTANT = timedelta(microseconds=1)
MAX_KEPT_NEXT_CHARS = 600
"""A longer `next` is used, but not kept for another run: positions are bounded."""


@dataclass(frozen=True)
class Walk:
    """Where a collection's reading stands. `after` alone: no walk is under way."""

    after: datetime | None = None
    next: str | None = None
    since: datetime | None = None
    """The filter of the next page: with `next` the same as before, without it that page's place."""
    began: datetime | None = None
    high: datetime | None = None
    ordered: bool = True
    """Has every page come in order, with the times that show it?"""
    pages: int = 0
    """Pages with objects that it met; beyond two they are not counted."""

    @classmethod
    def load(cls, stored: object, start: datetime | None) -> Self:
        """Take up what `stored()` gave; from `start` where that is nothing, or damaged."""
        if not isinstance(stored, dict):
            return cls(after=start)
        times = {key: moment(_text(stored.get(key))) for key in ("after", "since", "began", "high")}
        return cls(
            **times,
            next=_text(stored.get("next")),
            ordered=stored.get("ordered") is not False,
            pages=pages if (pages := stored.get("pages")) in (1, 2) else 0,
        )

    def stored(self) -> dict[str, Any]:
        """Return it as JSON."""
        times = {"after": self.after, "since": self.since, "began": self.began, "high": self.high}
        found: dict[str, Any] = {key: stamp(time) for key, time in times.items() if time}
        if self.next and len(self.next) <= MAX_KEPT_NEXT_CHARS:
            found["next"] = self.next
        if self.under_way:
            found |= {"ordered": self.ordered, "pages": self.pages}
        return found

    @property
    def under_way(self) -> bool:
        """Is it between two pages?"""
        return self.next is not None or self.since is not None

    def anew(self) -> Walk:
        """Begin from the last place before which everything has been read."""
        return Walk(after=self.after)

    def query(self) -> dict[str, str]:
        """Return what to ask for besides the number of objects."""
        asked = {}
        if self._filter is not None:
            asked["added_after"] = stamp(self._filter)
        if self.next is not None:
            asked["next"] = self.next
        return asked

    @property
    def _filter(self) -> datetime | None:
        return self.since if self.under_way else self.after

    def on(self, page: Page) -> Walk:
        """Return where it stands after a page that another one follows."""
        walk = self._having(page)
        since = self._filter
        if page.next is None:
            since = None if page.last is None else page.last - INSTANT
        return replace(walk, next=page.next, since=since)

    def complete(self, page: Page) -> Walk:
        """Return where it stands after its last page: what the next walk begins from."""
        walk = self._having(page)
        if not walk.pages:
            return Walk(after=walk.after)
        return Walk(after=_later(walk.after, walk._safe(walk.high)))

    def given_up(self) -> Walk:
        """Return what the next walk begins from, where a server does not let this one go on.

        If its pages came in order, and there were two at least to show it, what it withholds is of
        the last instant or later. Otherwise it may be anything since the walk began.
        """
        if not self.ordered or self.high is None or self.pages < 2:
            return self
        return Walk(after=_later(self.after, self._safe(self.high - INSTANT)))

    def _having(self, page: Page) -> Walk:
        began = self.began if self.under_way else page.date
        if not page.objects:
            return replace(self, began=began)
        high = _later(self.high, page.last)
        return replace(
            self,
            began=began,
            high=high,
            ordered=self.ordered and self._follows(page),
            pages=min(self.pages + 1, 2),
        )

    def _follows(self, page: Page) -> bool:
        if page.first is None or page.last is None or page.first > page.last:
            return False
        return self.high is None or self.high <= page.first

    def _safe(self, reached: datetime | None) -> datetime | None:
        """Return up to when nothing can still turn up, if all up to `reached` has been seen."""
        if self.began is not None:
            settled = self.began - SETTLED
            return settled if reached is None else min(reached, settled)
        return None if reached is None else reached - SETTLED


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return max(one, other)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
