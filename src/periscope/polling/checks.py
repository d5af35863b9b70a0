"""From what a person wrote to a `Definition`, with one line about the first thing that is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from periscope.config import suggestion
from periscope.errors import FeedError, PeriscopeError, SettingInvalid
from periscope.feeds import ReadOptions, SeverityTable, format_names
from periscope.models import Severity
from periscope.polling.definition import INGEST, KINDS, NAME_PATTERN, Definition, describe
from periscope.spans import LONGEST, read_span

LITERAL_SECRETS = {
    "password": "password_env or password_file",
    "token": "token_env or token_file",
    "key": "token_env or token_file",
    "api_key": "token_env or token_file",
    "headers": "headers_env",
}
SECRET_PARAMETER = re.compile(r"key|token|secret|passw|auth|sig", re.IGNORECASE)
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
SPANS = ("interval", "jitter", "timeout", "settle")
LEAST_S = {"interval": 0.1, "timeout": 0.1}
WHOLE = ("csv",)
MAX_BYTES = 16 * 1024
"""Bytes of a definition as it is stored."""


def define(name: str, fields: Mapping[str, Any], folder: Path | None = None) -> Definition:
    """Return the definition that these fields are; relative paths count from `folder`.

    Raises:
        SettingInvalid: names the feed and the field.
    """
    try:
        found = _checked(_converted(name, fields), folder or Path.cwd())
        if len(msgspec.json.encode(found)) > MAX_BYTES:
            raise SettingInvalid(f"all of it takes more than {MAX_BYTES:,} bytes")
        return found
    except UnicodeEncodeError:
        raise SettingInvalid(f"feed {name!a}: not valid UTF-8 (a lone surrogate)") from None
    except PeriscopeError as exc:
        raise SettingInvalid(f"feed {name}: {exc}") from None


def read_definition(text: bytes) -> Definition:
    """Return a definition as it is stored.

    Raises:
        SettingInvalid: it cannot be read: a newer program stored it, or somebody else.
    """
    try:
        return msgspec.json.decode(text, type=Definition)
    except msgspec.DecodeError as exc:
        raise SettingInvalid(f"a stored feed cannot be read: {_one_line(exc)}") from None


def _converted(name: str, fields: Mapping[str, Any]) -> Definition:
    known = [row[0] for row in describe()]
    for field in fields:
        if field in LITERAL_SECRETS:
            raise SettingInvalid(
                f"{field}: secrets are not written here; name where it is: {LITERAL_SECRETS[field]}"
            )
        if field not in known:
            raise SettingInvalid(f"unknown field {field!r}{suggestion(field, known)}")
    if fields.get("name", name) != name:
        raise SettingInvalid(f"name: it is {fields['name']!r} inside; leave it out there")
    if "kind" not in fields or "place" not in fields:
        raise SettingInvalid("kind and place must be given")
    if fields["kind"] not in KINDS:
        near = suggestion(str(fields["kind"]), KINDS) or f"; one of {', '.join(KINDS)}"
        raise SettingInvalid(f"kind {fields['kind']!r}: unknown{near}")
    if not re.match(NAME_PATTERN, name):
        raise SettingInvalid(
            "no name of a feed: it has 1 to 32 small letters, digits, dots, hyphens and "
            "underscores, and begins with one of the first two"
        )
    if name == INGEST:
        raise SettingInvalid("the name stands for what periscope ingest could not read")
    try:
        return msgspec.convert({**fields, "name": name}, Definition)
    except msgspec.ValidationError as exc:
        raise SettingInvalid(_one_line(exc)) from None


def _checked(one: Definition, folder: Path) -> Definition:
    _check_kinds(one)
    _check_spans(one)
    _check_secrets(one)
    if one.is_fetched:
        _check_url(one.place)
        placed = one
    else:
        placed = msgspec.structs.replace(one, place=_path(one.place, folder))
    paths = {
        field: _path(getattr(one, field), folder)
        for field in ("severity_map", "password_file", "token_file", "ca_file")
        if getattr(one, field)
    }
    placed = msgspec.structs.replace(placed, **paths)
    if one.format is not None and one.format.lower() not in format_names():
        near = suggestion(one.format, format_names()) or f"; one of {', '.join(format_names())}"
        raise SettingInvalid(f"format {one.format}: there is no such format{near}")
    _check_follow(one)
    _check_pattern(one.pattern)
    read_options(placed)
    return placed


def _check_kinds(one: Definition) -> None:
    for name, _, default, _, kinds in describe():
        if one.kind not in kinds and getattr(one, name) != default:
            raise SettingInvalid(f"{name}: only feeds of kind {' or '.join(kinds)} have it")


def _check_spans(one: Definition) -> None:
    for field in SPANS:
        text = getattr(one, field)
        if text is None:
            continue
        span = read_span(text)
        if span is None or span > LONGEST:
            raise SettingInvalid(f"{field} {text}: no duration; write it like 90s, 15m or 1h30m")
        if span.total_seconds() < LEAST_S.get(field, 0):
            raise SettingInvalid(f"{field} {text}: less than 100ms")


def _check_secrets(one: Definition) -> None:
    for kind in ("password", "token"):
        if getattr(one, f"{kind}_env") and getattr(one, f"{kind}_file"):
            raise SettingInvalid(f"{kind}_env and {kind}_file are both given; give one of them")
    if (one.token_env or one.token_file) and one.username is not None:
        raise SettingInvalid("a token and a username are both given; give one of them")
    if (one.password_env or one.password_file) and one.username is None:
        raise SettingInvalid("a password without username; give both")
    for header, variable in one.headers_env.items():
        if not HEADER.fullmatch(header):
            raise SettingInvalid(f"headers_env: {header!r:.100} cannot be the name of a header")
        if not VARIABLE.fullmatch(variable):
            raise SettingInvalid(f"headers_env: {header} must name a variable, not hold the value")
    for field in ("password_env", "token_env"):
        variable = getattr(one, field)
        if variable is not None and not VARIABLE.fullmatch(variable):
            raise SettingInvalid(f"{field}: must name a variable, not hold the secret")


def _check_url(place: str) -> None:
    try:
        parts = urlsplit(place)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SettingInvalid("place: no URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise SettingInvalid("place: must be a URL that begins with https:// or http://")
    if "@" in parts.netloc:
        raise SettingInvalid(
            "place: the URL holds user information, which ends up in logs and lists; give "
            "username and password_env or password_file"
        )
    if not place.isprintable() or " " in place:
        raise SettingInvalid("place: the URL holds characters that no URL has")


def secret_parameter(one: Definition) -> str | None:
    """Return a parameter of the URL that looks as if it held a secret, if there is one."""
    if not one.is_fetched:
        return None
    names = (name for name, _ in parse_qsl(urlsplit(one.place).query, keep_blank_values=True))
    return next((name for name in names if SECRET_PARAMETER.search(name)), None)


def _check_follow(one: Definition) -> None:
    if not one.follow:
        return
    if one.format is None:
        raise SettingInvalid("follow: give format, as what is appended need not tell it")
    if one.format.lower() in WHOLE and one.columns is None:
        raise SettingInvalid("follow: give columns, as what is appended has no header line")


def _check_pattern(pattern: str) -> None:
    if ".." in Path(pattern).parts:
        raise SettingInvalid(f"pattern {pattern}: must not lead out of the directory")
    try:
        next(Path("/nowhere").glob(pattern), None)
    except (ValueError, NotImplementedError, IndexError):
        raise SettingInvalid(f"pattern {pattern}: no glob of names below the directory") from None


def _path(text: str, folder: Path) -> str:
    if "\0" in text:
        raise SettingInvalid("a path cannot hold a NUL byte")
    try:
        return str((folder / Path(text).expanduser()).absolute())
    except RuntimeError as exc:
        raise SettingInvalid(f"{text}: {exc}") from None


def read_options(one: Definition) -> ReadOptions:
    """Return how to read the documents of a feed.

    Raises:
        FeedError: a field of reports, a limit or the delimiter cannot be.
        SettingInvalid: the severity or its table cannot be.
    """
    table = None if one.severity_map is None else Path(one.severity_map)
    return ReadOptions(
        columns=dict(one.map),
        header=one.columns,
        delimiter="\t" if one.delimiter in ("tab", "\\t") else one.delimiter,
        default_severity=None if one.severity is None else _severity(one.severity),
        severity_map=SeverityTable.load(table),
        source=one.source,
        max_record_bytes=one.max_record_bytes,
        max_bytes=one.max_bytes,
        fingerprint=tuple(one.fingerprint),
    )


def _severity(word: str) -> Severity:
    try:
        return Severity(word)
    except ValueError:
        known = ", ".join(Severity)
        raise FeedError(f"severity {word}: there is no such severity; one of {known}") from None


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split())[:300]
