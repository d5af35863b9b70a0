"""`periscope deadletters`: what could not be read, listed, shown, read again, dropped."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators

from periscope.cli import grid, output
from periscope.cli.feeds_add import reading_of
from periscope.cli.figures import ago, count, size
from periscope.cli.ingest_options import AS_THEY_ARE, FileOptions
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.text import safe, safe_lines
from periscope.documents import moment
from periscope.errors import FeedUnknown, UsageError

if TYPE_CHECKING:
    from periscope.feeds import ReadOptions
    from periscope.periscope import Periscope
    from periscope.polling import DeadLetters, Letter
    from periscope.polling.replay import Replayed

SOME_STAY = 3
SHOWN_LINES = 60
SHOWN_FAILURES = 10
FeedName = Annotated[str, Parameter(name="FEED", help="The feed; ingest for periscope ingest.")]
Ids = Annotated[
    tuple[str, ...],
    Parameter(name="--id", help="Only this letter. May be repeated.", show_default=False),
]


async def list_letters(
    feed: Annotated[
        str | None, Parameter(name="FEED", help="One feed; without it, how many each has.")
    ] = None,
    /,
    *,
    most: Annotated[
        int,
        Parameter(
            name="--count",
            help="How many to show.",
            validator=validators.Number(gte=1, lte=100_000),
        ),
    ] = 50,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """List what could not be read."""
    from periscope.polling import told

    letters = _letters(store)
    if feed is None:
        _show_feeds(letters, out)
        return 0
    total = letters.kept(feed).letters
    found = list(islice(letters.read(feed), most))
    if out.as_json:
        output.show_json({"items": [told.dead_letter(one) for one in found], "total": total})
    elif found:
        grid.show(("id", "kept", "document", "reason"), [_row(one) for one in found])
        if total > len(found):
            output.write(f"and {total - len(found):,} more; --count shows as many as you like\n")
    else:
        output.write("Nothing is kept of that feed.\n")
    return 0


def _show_feeds(letters: DeadLetters, out: OutputOptions) -> None:
    found = letters.feeds()
    if out.as_json:
        output.show_json({"feeds": [one._asdict() for one in found]})
    elif found:
        rows = [(k.feed, f"{k.letters:,}", size(k.size), f"{k.dropped:,}") for k in found]
        grid.show(("feed", "letters", "size", "dropped for want of room"), rows)
    else:
        output.write("Nothing is kept: all could be read.\n")


async def show(
    feed: FeedName,
    letter_id: Annotated[
        str | None, Parameter(name="ID", help="Which letter; without it the first.")
    ] = None,
    /,
    *,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show one letter."""
    from periscope.polling import told

    letters = _letters(store).read(feed)
    found = next((one for one in letters if letter_id in (None, one.id)), None)
    if found is None:
        raise UsageError(f"no such letter of feed {feed}; see periscope deadletters list {feed}")
    if out.as_json:
        output.show_json(told.dead_letter(found))
    else:
        output.write("".join(f"{line}\n" for line in _lines(found)))
    return 0


async def replay(
    feed: FeedName,
    /,
    *,
    ids: Ids = (),
    files: FileOptions = AS_THEY_ARE,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Read letters again."""
    from periscope.polling import told
    from periscope.polling.replay import replay as replay_letters

    files.read_options()  # a mistake is told before the database is reached
    async with store.open() as periscope:
        options, format_name = await _reading(periscope, feed, files)
        letters = _letters(store)
        done = await replay_letters(
            periscope, letters, feed, options, format=format_name, ids=ids or None
        )
    if out.as_json:
        output.show_json(told.replayed(done))
    else:
        _tell_replay(done)
    return SOME_STAY if done.failed or done.cut else 0


async def drop(
    feed: FeedName,
    /,
    *,
    ids: Ids = (),
    everything: Annotated[
        bool, Parameter(name="--all", help="All of the feed.", show_default=False)
    ] = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Drop letters."""
    if bool(ids) == everything:
        raise UsageError("give --id for some letters, or --all for all of the feed")
    gone = await asyncio.to_thread(_letters(store).drop, feed, None if everything else ids)
    if out.as_json:
        output.show_json({"dropped": gone})
    else:
        output.write(f"{count(gone, 'letter')} dropped.\n")
    return 0


def _letters(store: StoreOptions) -> DeadLetters:
    from periscope.polling import DeadLetters

    return DeadLetters(store.settings().dead_letters_path)


async def _reading(
    periscope: Periscope, feed: str, files: FileOptions
) -> tuple[ReadOptions, str | None]:
    """How to read: as the feed is defined, with what was given laid over it."""
    from periscope.polling import Feeds, fields_of
    from periscope.polling.checks import define, read_options

    given = reading_of(files)
    try:
        definition = (await Feeds(periscope).get_feed(feed)).definition
    except FeedUnknown:
        definition = None
    if definition is None:
        return files.read_options(), files.known_format()
    merged = {**fields_of(definition), **given}
    merged.pop("name")
    return read_options(define(feed, merged)), given.get("format") or None


def _row(one: Letter) -> tuple[str, ...]:
    from periscope.workers.status import wall_ms

    at = f", {one.place}" if one.place and not one.reason.startswith(one.place) else ""
    return (one.id, ago(wall_ms() - one.time_ms), one.source_name + at, one.reason)


def _lines(one: Letter) -> list[str]:
    facts: dict[str, Any] = {
        "Id": one.id,
        "Kept": moment(one.time_ms),
        "Feed": one.feed,
        "Document": one.source_name,
        "Place": one.place,
        "Format": one.format,
        "Threat": one.threat_id,
        "Reason": one.reason,
        "Record": "none was kept" if one.excerpt is None else None,
        "Not whole": "only the beginning of the record was kept" if one.cut else None,
    }
    lines = [f"{name:12}{safe(str(value))}" for name, value in facts.items() if value is not None]
    if one.excerpt is not None:
        shown = safe_lines(one.excerpt)
        lines += ["", *(f"  {line}" for line in shown[:SHOWN_LINES])]
        if len(shown) > SHOWN_LINES:
            lines.append(f"  and {len(shown) - SHOWN_LINES:,} lines more; --json has all")
    return lines


def _tell_replay(done: Replayed) -> None:
    output.write(
        f"{count(done.dropped, 'letter')} went in and {'is' if done.dropped == 1 else 'are'} "
        f"dropped ({done.added:,} added, {done.sightings:,} sightings, "
        f"{done.duplicates:,} duplicates)\n"
    )
    if done.failed:
        output.write(f"{count(len(done.failed), 'letter')} failed again:\n")
    for one, reason in done.failed[:SHOWN_FAILURES]:
        output.write(f"  {one.id}  {safe(reason)}\n")
    if done.cut:
        named = ", ".join(one.id for one in done.cut[:SHOWN_FAILURES])
        output.write(f"{count(len(done.cut), 'letter')} cannot be read again, not whole: {named}\n")
