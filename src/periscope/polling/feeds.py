"""`Feeds`: which feeds there are, how each is doing, and what people do with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from periscope.config import read_config, suggestion
from periscope.errors import FeedBusy, FeedUnknown, SettingInvalid, UsageError
from periscope.periscope import Periscope
from periscope.polling.calls import Book, FeedCalls, Held, Word
from periscope.polling.checks import define, read_definition, secret_parameter
from periscope.polling.deadletters import DeadLetters
from periscope.polling.definition import MAX_FEEDS, Definition
from periscope.polling.run import Run
from periscope.polling.runner import Ended, Runner
from periscope.polling.state import Status, encode, read_status
from periscope.settings import Settings, hide_password

FILE, STORE, GONE = "file", "store", "gone"


@dataclass(frozen=True)
class FeedInfo:
    """A feed at one moment of the server's clock, `now_ms`; other moments likewise.

    `origin` is `file` (periscope.toml), `store` (added by command or call), or `gone`: there is
    only what it left. `problem` says why its definition cannot be used. `owner` runs it just now.
    """

    name: str
    origin: str
    definition: Definition | None
    problem: str | None
    status: Status
    paused: bool
    owner: str | None
    lease_end_ms: int | None
    next_ms: int | None
    now_ms: int

    @property
    def state(self) -> str:
        """One word: gone, broken, paused, running, failing, new, or waiting."""
        words = {
            "gone": self.origin == GONE,
            "broken": self.definition is None,
            "running": self.owner is not None,
            "paused": self.paused,
            "failing": self.status.failures > 0,
            "new": not self.status.runs,
        }
        return next((word for word, holds in words.items() if holds), "waiting")

    @property
    def lag_ms(self) -> int | None:
        """How old the newest record is: now less its `observed_at`; None if none states it."""
        newest = self.status.newest_ms
        return None if newest is None else max(0, self.now_ms - newest)

    @property
    def since_success_ms(self) -> int | None:
        """How long ago the last run succeeded; None if none did."""
        last = self.status.last_success_ms
        return None if last is None else max(0, self.now_ms - last)


class Known(NamedTuple):
    """A definition and where it is from; or why it cannot be used."""

    definition: Definition | None
    origin: str
    problem: str | None = None


def feeds_of(settings: Settings) -> dict[str, Definition]:
    """Return the feeds of periscope.toml.

    Raises:
        SettingInvalid: one of them cannot be; names the file, the feed and the field.
    """
    path = Path(settings.config) if settings.config else None
    folder = path.absolute().parent if path else None
    try:
        found = read_config(path).feeds
        if len(found) > MAX_FEEDS:
            raise SettingInvalid(f"{len(found):,} feeds; {MAX_FEEDS} are the limit")
        return {name: define(name, fields, folder) for name, fields in found.items()}
    except SettingInvalid as exc:
        said = str(exc)
        raise SettingInvalid(said if said.startswith(str(path)) else f"{path}: {said}") from None


class Feeds:
    """The feeds of an open database: those of its periscope.toml, and those stored in it.

    Where both define a name, the file counts. All methods are safe to call concurrently, from any
    number of processes.

    Raises:
        SettingInvalid: periscope.toml defines a feed that cannot be.
    """

    def __init__(self, periscope: Periscope, letters: DeadLetters | None = None) -> None:
        self.periscope = periscope
        self.letters = letters or DeadLetters(periscope.settings.dead_letters_path)
        self.in_file = feeds_of(periscope.settings)

    @property
    def _calls(self) -> FeedCalls:
        return FeedCalls(self.periscope.functions, self.periscope.settings.namespace)

    def known(self, book: Book) -> dict[str, Known]:
        """Return every feed that is defined, by name."""
        found = {name: _stored(text) for name, text in book.definitions.items()}
        found |= {name: Known(one, FILE) for name, one in self.in_file.items()}
        return dict(sorted(found.items()))

    async def get_feeds(self) -> list[FeedInfo]:
        """Every feed with how it is doing, by name; also what is left of those that are gone."""
        book = await self._calls.read()
        known = self.known(book)
        left = {name: Known(None, GONE) for name in book.states if name not in known}
        return [
            _info(name, one, book.states.get(name, Held()), book.now_ms)
            for name, one in sorted({**known, **left}.items())
        ]

    async def get_feed(self, name: str) -> FeedInfo:
        """One feed.

        Raises:
            FeedUnknown: there is none of this name.
        """
        found = await self.get_feeds()
        for one in found:
            if one.name == name:
                return one
        raise _unknown(name, [one.name for one in found])

    async def add_feed(self, name: str, *, replace: bool = False, **fields: Any) -> Definition:
        """Store a feed for all workers; it is due at once. Fields are those of `Definition`.

        The same again changes nothing. With `replace` another definition is replaced; the position
        stays, unless the feed comes from elsewhere now.

        Raises:
            SettingInvalid: it cannot be; names the field.
            UsageError: there is one of this name, or somebody else changed it just now.
        """
        definition = define(name, fields)
        if name in self.in_file:
            raise UsageError(f"feed {name} is defined in {self.periscope.settings.config}")
        parameter = secret_parameter(definition)
        if parameter is not None:
            raise SettingInvalid(
                f"feed {name}: place: the parameter {parameter[:40]!r} of the URL may be a secret, "
                "and would be stored: send it as a header (headers_env), or define the feed in "
                "periscope.toml"
            )
        text = encode(definition)
        there = (await self._calls.read()).definitions.get(name, b"")
        if there not in (b"", text) and not replace:
            raise UsageError(f"feed {name} is there already; say replace to define it anew")
        if await self._calls.define(name, there, text) is not None:
            raise UsageError(f"feed {name} was changed by somebody else just now; look again")
        return definition

    async def remove_feed(self, name: str) -> None:
        """Remove a feed with its status and position; its dead letters stay. A run ends soon.

        Raises:
            FeedUnknown: there is none of this name.
            UsageError: it is defined in periscope.toml, or somebody else changed it just now.
        """
        info = await self.get_feed(name)
        if info.origin == FILE:
            raise UsageError(
                f"feed {name} is defined in {self.periscope.settings.config}: take it out there"
            )
        there = (await self._calls.read()).definitions.get(name, b"")
        if await self._calls.define(name, there, b"") is not None:
            raise UsageError(f"feed {name} was changed by somebody else just now; look again")

    async def pause_feed(self, name: str) -> bool:
        """Hold a feed back everywhere until it is resumed; whether that is new.

        A run under way ends after the slice in hand.
        """
        await self.get_feed(name)
        return await self._calls.pause(name, paused=True)

    async def resume_feed(self, name: str) -> bool:
        """Let a feed run again, at once; whether it was paused."""
        await self.get_feed(name)
        return await self._calls.pause(name, paused=False)

    async def run_feed(
        self,
        name: str,
        *,
        told: Callable[[Run], None] | None = None,
        halt: asyncio.Event | None = None,
    ) -> Ended:
        """Run a feed now, due or not; what it did, and what was wrong with it if anything.

        Raises:
            FeedUnknown: there is none of this name.
            FeedBusy: it is paused, or somebody runs it just now.
            SettingInvalid: its definition cannot be used.
        """
        info = await self.get_feed(name)
        if info.definition is None:
            raise SettingInvalid(info.problem or f"feed {name} is not defined (any more)")
        runner = Runner(self.periscope, letters=self.letters)
        ended = await runner.run(info.definition, halt or asyncio.Event(), early=True, told=told)
        if ended.taken.word is Word.PAUSED:
            raise FeedBusy(f"feed {name} is paused; resume it first")
        if ended.taken.word is Word.HELD:
            raise FeedBusy(f"feed {name} is being run by {ended.taken.owner} just now")
        return ended


def _stored(text: bytes) -> Known:
    try:
        return Known(read_definition(text), STORE)
    except SettingInvalid as exc:
        return Known(None, STORE, str(exc))


def _info(name: str, one: Known, held: Held, now_ms: int) -> FeedInfo:
    runs = held.is_held(now_ms)
    return FeedInfo(
        name=name,
        origin=one.origin,
        definition=one.definition,
        problem=one.problem,
        status=read_status(held.status),
        paused=held.paused,
        owner=held.owner if runs else None,
        lease_end_ms=held.lease_end_ms if runs else None,
        next_ms=held.next_ms or None,
        now_ms=now_ms,
    )


def _unknown(name: str, known: list[str]) -> FeedUnknown:
    return FeedUnknown(f"there is no feed {name!r:.60}{suggestion(name, known)}")


def shown_fields(definition: Definition) -> dict[str, Any]:
    """Return the same fit for a log or a screen: a URL has lost its query."""
    place = definition.place
    shown = hide_password(place) if definition.is_fetched else place
    return {**fields_of(definition), "place": shown}


def fields_of(definition: Definition) -> dict[str, Any]:
    """Return what differs from the defaults, as it would stand in periscope.toml."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(Definition):
        value = getattr(definition, field.name)
        default = field.default
        if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        if value != default:
            found[field.name] = value
    return found
