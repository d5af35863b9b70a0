"""A threat's life and what was done in it: from when it was first seen until it left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from periscope.models import Action

INTERACTIONS = frozenset(action.value for action in Action)
CLAIMS = frozenset(("claim", "takeover", "next"))
# What shows that somebody has taken notice.
NOTICES = INTERACTIONS | CLAIMS | {"decide", "snooze", "comment", "recall", "reopen"}


@dataclass(frozen=True, slots=True)
class Deed:
    """One act of an analyst on a threat; `outcome` is that of a `decide`, '' if it is unknown."""

    threat_id: str
    action: str
    at_ms: int
    request_id: str
    outcome: str = ""


@dataclass(slots=True, eq=False)
class Life:
    """A threat from `first_seen_ms` until `left_ms` (None: it is there).

    One that comes back after it left has another life. `observed_at_ms` is what its first report
    stated (None: nothing, or it has had other reports since). `deeds` are in the order of time.
    """

    threat_id: str
    severity: str
    source: str
    first_seen_ms: int
    observed_at_ms: int | None
    left_ms: int | None
    outcome: str | None
    deeds: list[Deed] = field(default_factory=list)

    def first(self, actions: frozenset[str]) -> int | None:
        """When one of these was done first."""
        return next((deed.at_ms for deed in self.deeds if deed.action in actions), None)


class Lives:
    """The lives of many threats, each once."""

    def __init__(self) -> None:
        self._by_id: defaultdict[str, dict[int, Life]] = defaultdict(dict)

    def __len__(self) -> int:
        return sum(map(len, self._by_id.values()))

    def __iter__(self) -> Iterator[Life]:
        for lives in self._by_id.values():
            yield from lives.values()

    def add(self, life: Life) -> None:
        """Take one in; the later word on the same life counts: it may have left meanwhile."""
        self._by_id[life.threat_id][life.first_seen_ms] = life

    def give(self, deeds: Iterable[Deed]) -> int:
        """Give each deed to the life in which it was done; how many threats have none.

        What was taken back, and the taking back, are left out.
        """
        every = sorted(deeds, key=lambda deed: deed.at_ms)
        undone = {(d.threat_id, d.request_id) for d in every if d.action == "undo"}
        strangers = set[str]()
        for deed in every:
            if deed.action == "undo" or (deed.threat_id, deed.request_id) in undone:
                continue
            life = self._life_of(deed)
            if life is None:
                strangers.add(deed.threat_id)
            else:
                life.deeds.append(deed)
        return len(strangers)

    def _life_of(self, deed: Deed) -> Life | None:
        """The last one that had begun by then; one of an earlier life belongs to nobody here."""
        begun = [
            life
            for life in self._by_id.get(deed.threat_id, {}).values()
            if life.first_seen_ms <= deed.at_ms and deed.at_ms <= (life.left_ms or deed.at_ms)
        ]
        return max(begun, key=lambda life: life.first_seen_ms, default=None)
