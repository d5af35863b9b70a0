"""`periscope policy`: the rules in force, which of them differ from the defaults, and changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from periscope.cli import output
from periscope.cli.figures import count
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.when import MILLISECOND, duration, short
from periscope.cli.words import unknown
from periscope.errors import SettingInvalid, UsageError

if TYPE_CHECKING:
    from periscope.policy import Policy

SET = "set"


async def policy(
    changes: Annotated[
        tuple[str, ...],
        Parameter(
            name="set NAME=VALUE",
            help="Put these in force for everybody, all or none; times as 90m or 7d.",
            show_default=False,
        ),
    ] = (),
    /,
    *,
    dry_run: Annotated[
        bool,
        Parameter(help="Say what would change, and change nothing.", show_default=False),
    ] = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show the policy, or change it."""
    wanted = _read(changes)
    if dry_run and not wanted:
        raise UsageError("--dry-run is for changes; write periscope policy set NAME=VALUE")
    async with store.open() as periscope:
        before = await periscope.get_policy()
        after = changed(before, wanted)
        if after != before and not dry_run:
            await periscope.set_policy(after)
    if out.as_json:
        output.show_json(_document(before, after, dry_run=dry_run))
    elif wanted:
        output.write("".join(f"{line}\n" for line in _differences(before, after, dry_run=dry_run)))
    else:
        _show(after)
    return 0


def _read(changes: tuple[str, ...]) -> dict[str, str]:
    """Return names and values of `set NAME=VALUE ...`, as they were typed.

    Raises:
        UsageError: another word than `set`, or something that is no change.
    """
    if not changes:
        return {}
    verb, *words = changes
    if verb != SET or not words:
        raise UsageError(f"{verb}: write periscope policy, or periscope policy set NAME=VALUE ...")
    return read_changes(words)


def read_changes(words: Sequence[str]) -> dict[str, str]:
    """Return names and values of `NAME=VALUE ...`, as they were typed.

    Raises:
        UsageError: something that is no change, or a name twice.
    """
    wanted: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not value:
            raise UsageError(f"{word}: no change; write it as NAME=VALUE")
        name = name.strip().lower().replace("-", "_")
        if name in wanted:
            raise UsageError(f"{name} is given twice; give it once")
        wanted[name] = value.strip()
    return wanted


def changed(policy: Policy, wanted: dict[str, str]) -> Policy:
    """Return the policy with these values in it.

    Raises:
        UsageError: no such field, or a value that is not of its kind.
        SettingInvalid: a value that the policy does not allow.
    """
    import msgspec

    values: dict[str, Any] = {}
    for name, text in wanted.items():
        if name not in policy.__struct_fields__:
            raise unknown(name, "policy field", list(policy.__struct_fields__))
        values[name] = _value(name, text, getattr(policy, name))
    try:
        return msgspec.structs.replace(policy, **values)
    except SettingInvalid as exc:
        raise UsageError(str(exc)) from None


def _value(name: str, text: str, like: object) -> object:
    if isinstance(like, timedelta):
        return duration(text, name)
    whole = isinstance(like, int)
    try:
        return int(text) if whole else float(text)
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{name} needs {kind}, not {text!r}") from None


def _rows(policy: Policy) -> Iterator[tuple[str, Any, Any]]:
    """Name, value and default of every field."""
    defaults = type(policy)()
    for name in policy.__struct_fields__:
        yield name, getattr(policy, name), getattr(defaults, name)


def _word(value: object) -> str:
    return short(value) if isinstance(value, timedelta) else f"{value}"


def _show(policy: Policy) -> None:
    from rich.text import Text

    rows = list(_rows(policy))
    width = max(len(name) for name, _, _ in rows) + 2
    lines = []
    for name, value, default in rows:
        differs = value != default
        told = f"{_word(value):<10}" + (f" (default {_word(default)})" if differs else "")
        lines.append(Text(f"{name.ljust(width)}{told}".rstrip(), style="bold" if differs else ""))
    differing = sum(value != default for _, value, default in rows)
    verb = "differs" if differing == 1 else "differ"
    end = f"{count(differing, 'field')} {verb} from the defaults"
    output.show_lines([*lines, Text(end, style="dim")])


def _differences(before: Policy, after: Policy, *, dry_run: bool) -> Iterator[str]:
    found = [
        f"{name}: {_word(value)} -> {_word(getattr(after, name))}"
        for name, value, _ in _rows(before)
        if value != getattr(after, name)
    ]
    yield from found
    if not found:
        yield "Nothing changes: it is so already."
    elif dry_run:
        yield "Nothing was changed (--dry-run)."
    else:
        yield "In force now, for everybody."


def _document(before: Policy, after: Policy, *, dry_run: bool) -> dict[str, Any]:
    fields = [
        {
            "name": name,
            **_said("value", value),
            **_said("default", default),
            "differs": value != default,
            "changed": value != getattr(before, name),
        }
        for name, value, default in _rows(after)
    ]
    return {"fields": fields, "dry_run": dry_run}


def _said(name: str, value: object) -> dict[str, Any]:
    """One value; a time as text, and as integer milliseconds."""
    if isinstance(value, timedelta):
        return {name: short(value), f"{name}_ms": value // MILLISECOND}
    return {name: value}
