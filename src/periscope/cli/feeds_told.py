"""Feeds as people read them and as JSON; URLs without their queries, secrets never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from periscope.cli.figures import age, ago, count
from periscope.cli.text import safe
from periscope.documents import moment
from periscope.settings import hide_password
from periscope.spans import short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from periscope.polling import Definition, Ended, FeedInfo

LIST_HEADS = (
    "name",
    "state",
    "kind",
    "every",
    "last success",
    "next run",
    "place, or what is wrong",
)
STATUS_HEADS = (
    *("name", "state", "runs", "read", "added", "sightings", "duplicates", "suppressed"),
    *("rejected", "letters", "lag"),
)
LABEL_CELLS = 16


def place_of(definition: Definition) -> str:
    """Return the place fit for a screen: of a URL without query."""
    return hide_password(definition.place) if definition.is_fetched else definition.place


def list_row(one: FeedInfo) -> tuple[str, ...]:
    """Return a line of the list."""
    definition, status = one.definition, one.status
    wrong = one.problem or (status.last_error if status.failures else None)
    if definition is None:
        return (one.name, one.state, "", "", _ago(one), "", wrong or "defined nowhere (any more)")
    every = short(definition.every)
    said = wrong or place_of(definition)
    return (one.name, one.state, definition.kind, every, _ago(one), _next(one), said)


def status_row(one: FeedInfo) -> tuple[str, ...]:
    """Return a line of figures."""
    counts = one.status.counts
    figures = (
        *(one.status.runs, counts.read, counts.added, counts.sightings, counts.duplicates),
        *(counts.suppressed, counts.rejected, counts.dead_letters),
    )
    lag = "" if one.lag_ms is None else age(one.lag_ms)
    return (one.name, one.state, *(f"{figure:,}" for figure in figures), lag)


def ended_lines(ended: Ended) -> Iterator[str]:
    """Return what one run did, for people."""
    counts, name = ended.counts, safe(ended.name)
    told = [f"{count(counts.read, 'record')} of {count(counts.documents, 'document')}"]
    for word in ("added", "sightings", "duplicates", "suppressed", "rejected", "skipped"):
        figure = getattr(counts, word)
        if figure:
            told.append(f"{figure:,} {word}")
    yield f"{name}: {', '.join(told)}"
    if counts.dead_letters:
        kept = count(counts.dead_letters, "record")
        yield f"{name}: {kept} could not be used: periscope deadletters list {name}"
    if ended.error is not None:
        yield f"{name}: failed: {safe(ended.error)}"
    if ended.halted or ended.lost:
        why = "stopped" if ended.halted else "taken over by another worker"
        yield f"{name}: {why}; the next run goes on from there"


def shown_lines(one: FeedInfo) -> Iterator[str]:
    """Return all about a feed, for people."""
    from periscope.polling import shown_fields, told

    status = one.status
    facts: dict[str, Any] = {
        "State": one.state + (f", run by {one.owner}" if one.owner else ""),
        "Defined in": {"file": "periscope.toml", "store": "the database"}.get(
            one.origin, "nowhere"
        ),
        "Problem": one.problem,
        "Runs": f"{status.runs:,}",
        "Last run": _when(status.last_run_ms, one.now_ms),
        "Last success": _when(status.last_success_ms, one.now_ms),
        "Last error": status.last_error,
        "Last error at": _when(status.last_error_ms, one.now_ms),
        "In a row": count(status.failures, "failure") if status.failures else None,
        "Next run": _next(one) or None,
        "Newest record": _when(status.newest_ms, one.now_ms),
        "Read last": status.document or None,
    }
    yield one.name
    for label, value in facts.items():
        if value is not None:
            yield f"{label:{LABEL_CELLS}}{safe(str(value))}"
    for name, figure in told.counts(status.counts).items():
        yield f"{name.replace('_', ' ').capitalize():{LABEL_CELLS}}{figure:,}"
    if one.definition is not None:
        for name, value in shown_fields(one.definition).items():
            yield f"  {name} = {safe(str(value))}"


def _when(at_ms: int | None, now_ms: int) -> str | None:
    return None if at_ms is None else f"{moment(at_ms)} ({ago(now_ms - at_ms)})"


def _ago(one: FeedInfo) -> str:
    return "never" if one.since_success_ms is None else ago(one.since_success_ms)


def _next(one: FeedInfo) -> str:
    if one.paused or one.owner or one.definition is None:
        return ""
    left_ms = (one.next_ms or 0) - one.now_ms
    return "due" if left_ms <= 0 else f"in {age(left_ms)}".replace("in now", "now")
