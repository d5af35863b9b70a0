"""A mistake on the command line, as one line with a suggestion."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from cyclopts import CycloptsError
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from periscope.cli.commands import COMMANDS


def explain(exc: CycloptsError) -> str:
    """One line: what is wrong, and what may have been meant."""
    match exc:
        case UnknownOptionError():
            return _unknown_option(exc)
        case UnknownCommandError():
            return _unknown_command(exc)
        case MissingArgumentError():
            return _missing(exc)
        case RepeatArgumentError():
            return f"{exc.token.keyword} is given twice; give it once"
        case UnusedCliTokensError():
            extra = (exc.unused_tokens or ["something"])[0]
            return f"unexpected {extra!r}; {_see_help(exc)}"
        case CoercionError():
            return _bad_value(exc)
        case _:
            return _plain(exc)


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing if nothing comes near."""
    near = get_close_matches(word.lower(), known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _unknown_option(exc: UnknownOptionError) -> str:
    word = (exc.token.keyword or exc.token.value).split("=", 1)[0]
    known = [name for argument in exc.argument_collection for name in argument.names]
    return f"unknown option {word}" + (
        suggestion(word, [*known, "--help"]) or f"; {_see_help(exc)}"
    )


def _unknown_command(exc: UnknownCommandError) -> str:
    word = (exc.unused_tokens or ["?"])[0]
    chain = list(exc.command_chain or ())
    if word.startswith("-"):
        return f"unexpected {word} before the command; options follow it: {_see_help(exc)}"
    place = "".join(f"{part} " for part in chain)
    known = [one.name.removeprefix(place) for one in COMMANDS if one.name.startswith(place)]
    first_words = sorted({name.split()[0] for name in known})
    near = suggestion(word, first_words) or f"; one of {', '.join(first_words)}"
    return f"unknown command {' '.join((*chain, word))!r}{near}"


def _missing(exc: MissingArgumentError) -> str:
    name = exc.argument.name if exc.argument else "an argument"
    if name.startswith("-"):
        return f"{name} needs a value; {_see_help(exc)}"
    return f"{name} is missing; {_see_help(exc)}"


def _bad_value(exc: CoercionError) -> str:
    if exc.token is None or exc.target_type is None:
        return _plain(exc)
    name = exc.token.keyword or (exc.argument.name if exc.argument else "value")
    wanted = {int: "a whole number", float: "a number", bool: "no value"}.get(exc.target_type)
    if wanted is None:
        return _plain(exc)
    return f"{name} needs {wanted}, not {exc.token.value!r}"


def _plain(exc: CycloptsError) -> str:
    exc.verbose = False
    line = " ".join(str(exc).split()).rstrip(".")
    return line[:1].lower() + line[1:]


def _see_help(exc: CycloptsError) -> str:
    return f"see {' '.join(('periscope', *(exc.command_chain or ()), '--help'))}"
