"""`periscope keys`: API keys, made, listed and revoked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from periscope.cli import grid, output
from periscope.cli.options import (
    ANY_STORE,
    FOR_PEOPLE,
    MYSELF,
    AnalystOptions,
    OutputOptions,
    StoreOptions,
)
from periscope.cli.text import safe
from periscope.cli.when import until
from periscope.documents import moment

if TYPE_CHECKING:
    from periscope.access import Access, ApiKey, Limits
    from periscope.periscope import Periscope

MAY = Group("What it may", sort_key=10)
HEADS = ("PREFIX", "STATE", "SCOPES", "LAST USED", "EXPIRES", "RATE", "LIMITS", "NAME")
Scopes = Annotated[
    tuple[str, ...],
    Parameter(
        name="--scope",
        group=MAY,
        help="ingest, read, act or admin; several with commas, or given again.",
        metavar="WORD",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True)
class KeyOptions:
    """What a key is, beside its name and scopes."""

    source: Annotated[
        tuple[str, ...],
        Parameter(group=MAY, help="Only threats of this source; several.", metavar="NAME"),
    ] = ()
    severity: Annotated[
        tuple[str, ...],
        Parameter(group=MAY, help="Only threats of this severity; several.", metavar="WORD"),
    ] = ()
    tlp: Annotated[
        tuple[str, ...],
        Parameter(group=MAY, help="Only threats with this TLP label; several.", metavar="WORD"),
    ] = ()
    acts_as: Annotated[
        str | None,
        Parameter(
            name="--acts-as", group=MAY, help="The analyst for whom it acts.", metavar="NAME"
        ),
    ] = None
    expires: Annotated[
        str | None,
        Parameter(group=MAY, help="When it ends: 90d, or an RFC 3339 time.", metavar="END"),
    ] = None
    rate: Annotated[
        float | None, Parameter(group=MAY, help="Requests a second at most.", metavar="N")
    ] = None
    burst: Annotated[
        int | None,
        Parameter(group=MAY, help="Requests at once after a pause (a second's).", metavar="N"),
    ] = None

    def arguments(self) -> dict[str, Any]:
        """Return them as Python's call takes them.

        Raises:
            UsageError: one of them is not of its form.
        """
        from periscope.access import Limits

        limits: Any = (self.source, words_of(self.severity), words_of(self.tlp))
        return {
            "limits": Limits(*limits),
            "analyst": self.acts_as,
            "expires": None if self.expires is None else until(self.expires, "--expires"),
            "rate_per_s": self.rate,
            "burst": self.burst,
        }


ANY_KEY = KeyOptions()


async def create(
    name: Annotated[str, Parameter(name="NAME", help="What the audit trail calls it.")],
    /,
    *,
    scope: Scopes = (),
    what: KeyOptions = ANY_KEY,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Make a key."""
    from periscope.access import documents

    given = what.arguments()
    async with access_of(store) as (periscope, access):
        by = who.name(periscope.settings)
        key, secret = await access.create_key(name, words_of(scope), by=by, **given)
    if out.as_json:
        document = documents.api_key(key, key.created_ms)
        output.show_json({"key": document, "secret": secret})
    else:
        what_for = f"Key {safe(key.name)} may {' '.join(key.scopes)}. It is shown this once:"
        output.write(f"{what_for}\n{secret}\n")
    return 0


async def listing(*, store: StoreOptions = ANY_STORE, out: OutputOptions = FOR_PEOPLE) -> int:
    """List the keys."""
    from periscope.access import documents

    async with access_of(store) as (_, access):
        found, now_ms = await access.keys(), access.now_ms
    if out.as_json:
        output.show_json({"items": [documents.api_key(one, now_ms) for one in found]})
    elif found:
        grid.show(HEADS, [_cells(one, now_ms) for one in found])
    else:
        output.write("No API keys yet: periscope keys create.\n")
    return 0


async def revoke(
    key: Annotated[str, Parameter(name="KEY", help="The key's prefix, or its name.")],
    /,
    *,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Revoke a key."""
    from periscope.access import documents

    async with access_of(store) as (periscope, access):
        prefix = _prefix_of(key, await access.keys())
        revoked = await access.revoke_key(prefix, by=who.name(periscope.settings))
        now_ms = access.now_ms
    if out.as_json:
        output.show_json(documents.api_key(revoked, now_ms))
    else:
        output.write(f"Key {safe(revoked.name)} ({revoked.prefix}) is good no more.\n")
    return 0


@asynccontextmanager
async def access_of(store: StoreOptions) -> AsyncIterator[tuple[Periscope, Access]]:
    """Open the database, and what is known of who may do what."""
    from periscope.access import Access

    async with store.open() as periscope, Access(periscope) as access:
        yield periscope, access


def words_of(given: Iterable[str]) -> tuple[str, ...]:
    """Return the words that were given, with commas or one by one, in lower case."""
    return tuple(word.lower() for text in given for word in text.split(",") if word)


def _prefix_of(key: str, found: Iterable[ApiKey]) -> str:
    """Return the prefix that is meant: names are of one key each, among those not revoked."""
    keys = list(found)
    if any(one.prefix == key for one in keys):
        return key
    named = [one.prefix for one in keys if one.name == key and one.revoked_ms is None]
    return named[0] if named else key


def _cells(one: ApiKey, now_ms: int) -> tuple[str, ...]:
    return (
        one.prefix,
        one.state(now_ms),
        " ".join(one.scopes),
        "" if one.last_used_ms is None else moment(one.last_used_ms),
        "" if one.expires_ms is None else moment(one.expires_ms),
        "" if one.rate_per_s is None else f"{one.rate_per_s:g}/s",
        _limits(one.limits),
        one.name,
    )


def _limits(limits: Limits) -> str:
    """Return the limits of a key in few words: all of these kinds must hold, any word of each."""
    kinds = {"": limits.severities, "TLP ": limits.tlp, "source ": limits.sources}
    return "; ".join(f"{kind}{' '.join(words)}" for kind, words in kinds.items() if words)
