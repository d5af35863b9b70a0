"""`periscope accounts`: people who sign in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope.cli import grid, output
from periscope.cli.keys import Scopes, access_of, words_of
from periscope.cli.options import (
    ANY_STORE,
    FOR_PEOPLE,
    MYSELF,
    AnalystOptions,
    OutputOptions,
    StoreOptions,
)
from periscope.cli.text import safe
from periscope.documents import moment
from periscope.errors import UsageError

if TYPE_CHECKING:
    from periscope.access import Account

HEADS = ("STATE", "SCOPES", "CREATED", "BY", "SIGNS IN BY", "NAME")
MOST_CHARS = 8192
Name = Annotated[str, Parameter(name="NAME", help="The account: the analyst's id.")]


async def add(
    name: Name,
    /,
    *,
    scope: Scopes = (),
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Make an account."""
    given = _password()
    async with access_of(store) as (periscope, access):
        by = who.name(periscope.settings)
        made = await access.create_account(name, given, words_of(scope), by=by)
    return _tell(made, f"may {' '.join(made.scopes)}", out)


async def listing(*, store: StoreOptions = ANY_STORE, out: OutputOptions = FOR_PEOPLE) -> int:
    """List the accounts."""
    from periscope.access import documents

    async with access_of(store) as (_, access):
        found = await access.accounts()
    if out.as_json:
        output.show_json({"items": [documents.account(one) for one in found]})
    elif found:
        grid.show(HEADS, [_cells(one) for one in found])
    else:
        output.write("No accounts yet: periscope accounts add.\n")
    return 0


async def password(
    name: Name,
    /,
    *,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Give it another password."""
    given = _password()
    async with access_of(store) as (periscope, access):
        changed = await access.set_password(name, given, by=who.name(periscope.settings))
    return _tell(changed, "has another password; its sessions have ended", out)


async def scopes(
    name: Name,
    /,
    *,
    scope: Scopes = (),
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Give it other scopes."""
    async with access_of(store) as (periscope, access):
        by = who.name(periscope.settings)
        changed = await access.set_scopes(name, words_of(scope), by=by)
    return _tell(changed, f"may {' '.join(changed.scopes)}", out)


async def disable(
    name: Name,
    /,
    *,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Let it in no more."""
    async with access_of(store) as (periscope, access):
        changed = await access.disable_account(name, by=who.name(periscope.settings))
    return _tell(changed, "is disabled; its sessions have ended", out)


async def enable(
    name: Name,
    /,
    *,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Let it in again."""
    async with access_of(store) as (periscope, access):
        changed = await access.enable_account(name, by=who.name(periscope.settings))
    return _tell(changed, "may sign in again", out)


def _password() -> str:
    """Ask for a password, twice; where nobody can be asked, take the first line that comes.

    Raises:
        UsageError: there is none, or the two differ.
    """
    if not sys.stdin.isatty():
        line = sys.stdin.readline(MOST_CHARS).rstrip("\r\n")
        if not line:
            raise UsageError("no password: give it as the first line of standard input")
        return line
    from getpass import getpass

    first = getpass("Password: ")
    if getpass("Again: ") != first:
        raise UsageError("the two passwords differ; nothing was changed")
    return first


def _tell(one: Account, what: str, out: OutputOptions) -> int:
    from periscope.access import documents

    if out.as_json:
        output.show_json(documents.account(one))
    else:
        output.write(f"Account {safe(one.name)} {what}.\n")
    return 0


def _cells(one: Account) -> tuple[str, ...]:
    return (
        "good" if one.disabled_ms is None else "disabled",
        " ".join(one.scopes),
        moment(one.created_ms),
        one.created_by,
        one.issuer or "password",
        one.name,
    )
