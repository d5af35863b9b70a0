"""/v1/deadletters: what could not be read, listed, shown, read again, dropped."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import Callable
from itertools import islice
from typing import Annotated, Any, TypeVar

from litestar import Request, Response, delete, get, post
from litestar.params import JSONBody, Parameter

from periscope import documents
from periscope.access import Scope
from periscope.api.answers import json_answer
from periscope.api.feeds import feeds_of
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import refuse_limited
from periscope.api.paths import text_of
from periscope.api.problems import RequestRefused
from periscope.errors import FeedError, FeedUnknown, SettingInvalid
from periscope.feeds import ReadOptions, format_names
from periscope.polling import DeadLetters, Kept, Letter, fields_of, replay, told
from periscope.polling.checks import define, read_options
from periscope.shapes import (
    LetterDocument,
    LetterPage,
    LettersDropped,
    LettersKeptList,
    ReplayBody,
    ReplayDocument,
)

T = TypeVar("T")

log = logging.getLogger("periscope.api")

EXCERPT_CHARACTERS = 500
SHOWN_CHARACTERS = 16_384
MOST_PASSED = 1_000_000_000
Feed = Annotated[
    str, Parameter(description="The feed or receiver; `ingest`: what the command could not read.")
]
LetterId = Annotated[str, Parameter(description="The letter's id.")]


@get("/deadletters", opt={"scope": Scope.READ}, tags=["feeds"])
async def list_kept(request: Request[Any, Any, Any]) -> Response[LettersKeptList]:
    """Count what could not be read, feed by feed."""
    caller, letters = _letters(request)

    async def read() -> list[Kept]:
        return await _aside(letters.feeds)

    found = await caller.tenant.flights("deadletters", read)
    return json_answer({"feeds": [one._asdict() for one in found]})  # type: ignore[no-any-return]


@get("/deadletters/{feed:str}", opt={"scope": Scope.READ}, tags=["feeds"])
async def list_letters(
    request: Request[Any, Any, Any],
    feed: Feed,
    offset: Annotated[
        int, Parameter(description="Letters to pass over.", ge=0, le=MOST_PASSED)
    ] = 0,
    limit: Annotated[int, Parameter(description="Letters of a page.", ge=1, le=1000)] = 100,
) -> Response[LetterPage]:
    """List what of one feed could not be read, in the order in which it came."""
    _, letters = _letters(request)
    name = text_of(feed)

    def read() -> tuple[list[Letter], int]:
        found = list(islice(letters.read(name), offset, offset + limit))
        return found, letters.kept(name).letters

    found, total = await _aside(read)
    items = [_document(one, EXCERPT_CHARACTERS) for one in found]
    return json_answer({"items": items, "total": total})  # type: ignore[no-any-return]


@get("/deadletters/{feed:str}/{letter_id:str}", opt={"scope": Scope.READ}, tags=["feeds"])
async def get_letter(
    request: Request[Any, Any, Any], feed: Feed, letter_id: LetterId
) -> Response[LetterDocument]:
    """Show one letter with the record itself."""
    _, letters = _letters(request)
    found = await _aside(_find, letters, text_of(feed), text_of(letter_id))
    data = found.data
    told = _document(found, SHOWN_CHARACTERS)
    told["data"] = None if data is None else b64encode(data).decode()
    return json_answer(told)  # type: ignore[no-any-return]


@post("/deadletters/{feed:str}/replay", opt={"scope": Scope.ADMIN}, tags=["feeds"], status_code=200)
async def replay_letters(
    request: Request[Any, Any, Any], feed: Feed, data: JSONBody[ReplayBody | None] = None
) -> Response[ReplayDocument]:
    """Read letters again, after a fix, and drop those that go in.

    Each is read as its feed is now defined; the body goes before that. Those that fail again stay.
    Safe to repeat: what went in twice is a duplicate.
    """
    caller, letters = _letters(request)
    name, wanted = text_of(feed), data or ReplayBody()
    options, format_name = await _reading(caller, name, wanted)
    try:
        done = await replay(
            caller.periscope, letters, name, options, format=format_name, ids=wanted.ids
        )
    except FeedError as exc:
        raise _unreadable(exc) from None
    detail = {"dropped": done.dropped, "failed": len(done.failed)}
    await caller.tenant.access.remark(caller.who, "replay_deadletters", name, detail)
    return json_answer(told.replayed(done))  # type: ignore[no-any-return]


@delete(
    "/deadletters/{feed:str}",
    opt={"scope": Scope.ADMIN, "problems": (507,)},
    tags=["feeds"],
    status_code=200,
)
async def drop_letters(request: Request[Any, Any, Any], feed: Feed) -> Response[LettersDropped]:
    """Drop all letters of a feed."""
    return await _drop(request, text_of(feed), None)


@delete(
    "/deadletters/{feed:str}/{letter_id:str}",
    opt={"scope": Scope.ADMIN, "problems": (507,)},
    tags=["feeds"],
    status_code=200,
)
async def drop_letter(
    request: Request[Any, Any, Any], feed: Feed, letter_id: LetterId
) -> Response[LettersDropped]:
    """Drop one letter. Safe to repeat."""
    return await _drop(request, text_of(feed), text_of(letter_id))


async def _drop(
    request: Request[Any, Any, Any], feed: str, letter_id: str | None
) -> Response[LettersDropped]:
    caller, letters = _letters(request)
    ids = None if letter_id is None else [letter_id]
    gone = await _aside(letters.drop, feed, ids)
    detail = {"dropped": gone} | ({} if letter_id is None else {"id": letter_id[:64]})
    await caller.tenant.access.remark(caller.who, "drop_deadletters", feed, detail)
    return json_answer(LettersDropped(gone))  # type: ignore[no-any-return]


def _letters(request: Request[Any, Any, Any]) -> tuple[Caller, DeadLetters]:
    caller = caller_of(request)
    refuse_limited(caller)
    return caller, DeadLetters(caller.periscope.settings.dead_letters_path)


async def _aside(work: Callable[..., T], *given: Any) -> T:
    """Do what reads or writes files in a thread.

    Raises:
        RequestRefused: they cannot be read or written; the log says which, and why.
    """
    try:
        return await asyncio.to_thread(work, *given)
    except FeedError as exc:
        raise _unreadable(exc) from None


def _unreadable(exc: FeedError) -> RequestRefused:
    log.error("%s", exc)
    return RequestRefused(
        503,
        "letters-unreadable",
        "dead letters cannot be read or written; the server's log says why",
        retry_after_s=60,
    )


def _find(letters: DeadLetters, feed: str, letter_id: str) -> Letter:
    for one in letters.read(feed):
        if one.id == letter_id:
            return one
    raise FeedUnknown("there is no such letter")


async def _reading(caller: Caller, feed: str, wanted: ReplayBody) -> tuple[ReadOptions, str | None]:
    """Return how to read: as the feed is defined, with what was given laid over it.

    Raises:
        RequestRefused: it cannot be read so.
    """
    if wanted.format is not None and wanted.format not in format_names():
        raise RequestRefused(422, "format-unknown", "format: there is no such one", field="format")
    given = {
        name: value
        for name in ("format", "source", "severity")
        if (value := getattr(wanted, name)) is not None
    }
    try:
        definition = (await (await feeds_of(caller)).get_feed(feed)).definition
    except FeedUnknown:
        definition = None
    merged = {"kind": "file", "place": "-"} if definition is None else fields_of(definition)
    merged = {**merged, **given}
    merged.pop("name", None)
    try:
        return read_options(define(NOBODYS if definition is None else feed, merged)), wanted.format
    except (SettingInvalid, FeedError) as exc:
        raise RequestRefused(422, "feed-invalid", str(exc)) from None


NOBODYS = "letters"
"""Stands for the name of a feed where there is none: what it was, any definition reads."""


def _document(one: Letter, most: int) -> dict[str, Any]:
    data = one.data
    return {
        "id": one.id,
        **documents.times("time", one.time_ms),
        **{name: getattr(one, name) for name in ("feed", "source_name", "place", "reason")},
        "threat_id": one.threat_id,
        "format": one.format,
        "excerpt": None if data is None else visible(data, most),
        "data": None,
        "cut": one.cut,
    }


def visible(data: bytes, most: int) -> str:
    """Return the beginning of some bytes as text in which nothing acts: all else is escaped."""
    text = data[: 4 * most].decode("utf-8", "backslashreplace")[:most]
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode()
        for one in text
    )


ROUTES: tuple[Any, ...] = (
    *(list_kept, list_letters, get_letter, replay_letters),
    *(drop_letters, drop_letter),
)
