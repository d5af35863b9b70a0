"""`periscope feeds`: what there is, how it is doing, and holding it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope import documents
from periscope.cli import grid, output
from periscope.cli.feeds_told import (
    LIST_HEADS,
    STATUS_HEADS,
    list_row,
    shown_lines,
    status_row,
)
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.text import safe

if TYPE_CHECKING:
    from periscope.polling import FeedInfo, Feeds

Names = Annotated[tuple[str, ...], Parameter(name="NAME", help="Feeds.")]
SomeNames = Annotated[tuple[str, ...], Parameter(name="NAME", help="Feeds; without any, all.")]
NONE = "No feeds yet: periscope feeds add, or [feeds.NAME] in periscope.toml.\n"
WRONG = ("failing", "broken")


async def list_feeds(*, store: StoreOptions = ANY_STORE, out: OutputOptions = FOR_PEOPLE) -> int:
    """List the feeds."""
    found = await _found(store)
    if out.as_json:
        output.show_json({"feeds": _documents(found)})
    elif found:
        grid.show(LIST_HEADS, [list_row(one) for one in found])
    else:
        output.write(NONE)
    return 0


async def status(
    names: SomeNames = (),
    /,
    *,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Count what the feeds have brought."""
    found = await _found(store, names)
    if out.as_json:
        output.show_json({"feeds": _documents(found)})
    elif found:
        grid.show(STATUS_HEADS, [status_row(one) for one in found])
        for one in found:
            wrong = one.problem or (one.status.last_error if one.status.failures else None)
            if wrong:
                output.write(f"{safe(one.name)}: {safe(wrong)}\n")
    else:
        output.write(NONE)
    return 1 if any(one.state in WRONG for one in found) else 0


async def show(
    name: Annotated[str, Parameter(name="NAME", help="The feed.")],
    /,
    *,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show all about one feed."""
    (found,) = await _found(store, (name,))
    if out.as_json:
        output.show_json(_documents([found])[0])
    else:
        output.write("".join(f"{line}\n" for line in shown_lines(found)))
    return 0


async def pause(
    names: Names, /, *, store: StoreOptions = ANY_STORE, out: OutputOptions = FOR_PEOPLE
) -> int:
    """Hold feeds back."""
    words = ("paused", "paused already")
    return await _each(names, store, out, words, lambda feeds, name: feeds.pause_feed(name))


async def resume(
    names: Names, /, *, store: StoreOptions = ANY_STORE, out: OutputOptions = FOR_PEOPLE
) -> int:
    """Let feeds run again."""
    words = ("resumed", "not paused")
    return await _each(names, store, out, words, lambda feeds, name: feeds.resume_feed(name))


async def remove(
    names: Names, /, *, store: StoreOptions = ANY_STORE, out: OutputOptions = FOR_PEOPLE
) -> int:
    """Remove feeds."""

    async def gone(feeds: Feeds, name: str) -> bool:
        await feeds.remove_feed(name)
        return True

    return await _each(names, store, out, ("removed", ""), gone)


def _documents(found: list[FeedInfo]) -> list[documents.Document]:
    from periscope.polling import told

    return [told.feed(one) for one in found]


async def _each(
    names: tuple[str, ...],
    store: StoreOptions,
    out: OutputOptions,
    words: tuple[str, str],
    act: Callable[[Feeds, str], Awaitable[bool]],
) -> int:
    """Do it to each; the first that cannot be ends it, and is told."""
    from periscope.polling import Feeds

    async with store.open() as periscope:
        feeds = Feeds(periscope)
        for name in names:
            is_new = await act(feeds, name)
            if out.as_json:
                output.show_json({"name": name, "done": words[0], "changed": is_new})
            else:
                output.write(f"Feed {safe(name)} is {words[0 if is_new else 1]}.\n")
    return 0


async def _found(store: StoreOptions, names: tuple[str, ...] = ()) -> list[FeedInfo]:
    from periscope.polling import Feeds

    async with store.open() as periscope:
        feeds = Feeds(periscope)
        if names:
            return [await feeds.get_feed(name) for name in names]
        return await feeds.get_feeds()
