"""What `[receivers.NAME]` of periscope.toml says: webhooks that the service takes in.

[receivers.code]
format = "github"
signature = "github"
secret_env = "GITHUB_WEBHOOK_SECRET"
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from periscope.api.signatures import GITHUB, Signature, standard_secret
from periscope.config import read_config
from periscope.errors import SettingInvalid
from periscope.feeds import format_names
from periscope.polling.definition import INGEST, NAME_PATTERN
from periscope.settings import Settings

MAX_SECRET_BYTES = 64 * 1024
LEAST_CHARACTERS = 16
HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")


class ReceiverSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A webhook: what its bodies are, and how they are signed.

    `format` is one of feeds, or `auto`. `source` takes the place of what the reports say.
    `namespace` is whose reports they are (default: the setting `namespace`). Secrets are named, not
    given: variables, or files of one secret a line; all of them are good, so that one can be
    replaced by the next. `header`, `prefix` and `encoding` are for `hmac-sha256`.
    """

    signature: Literal["github", "standard", "hmac-sha256"]
    format: str = "auto"
    source: str | None = None
    namespace: str | None = None
    secret_env: str | list[str] = []
    secret_file: str | list[str] = []
    header: str | None = None
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"


class Receiver(NamedTuple):
    """A receiver as it works; `how` None: as a standard webhook."""

    name: str
    namespace: str
    format: str | None
    source: str | None
    how: Signature | None
    secrets: tuple[bytes, ...]


def receivers_of(settings: Settings, served: set[str]) -> dict[str, Receiver]:
    """Return the receivers of periscope.toml, with their secrets as values.

    Raises:
        SettingInvalid: one of them cannot be; names the file, the receiver and the field.
    """
    path = Path(settings.config) if settings.config else None
    found = read_config(path).receivers
    try:
        return {name: _receiver(name, one, settings, served) for name, one in found.items()}
    except SettingInvalid as exc:
        raise SettingInvalid(f"{path}: {exc}") from None


def _receiver(name: str, fields: dict[str, Any], settings: Settings, served: set[str]) -> Receiver:
    try:
        one = msgspec.convert(fields, ReceiverSettings)
        if not re.match(NAME_PATTERN, name) or name == INGEST:
            raise SettingInvalid("no name of a receiver: small letters, digits, . - _, up to 32")
        if one.format != "auto" and one.format not in format_names():
            raise SettingInvalid(f"format {one.format!r}: there is no such format")
        namespace = one.namespace or settings.namespace
        if namespace not in served:
            raise SettingInvalid(f"namespace {namespace!r} is not served (serve_namespaces)")
        how = _how(one)
        secrets = tuple(_value(text, one) for text in _secrets(one, settings))
    except (msgspec.ValidationError, SettingInvalid) as exc:
        raise SettingInvalid(f"receiver {name}: {exc}") from None
    format_name = None if one.format == "auto" else one.format
    return Receiver(name, namespace, format_name, one.source, how, secrets)


def _how(one: ReceiverSettings) -> Signature | None:
    if one.signature != "hmac-sha256":
        if one.header is not None or one.prefix or one.encoding != "hex":
            raise SettingInvalid("header, prefix and encoding are for signature hmac-sha256")
        return GITHUB if one.signature == "github" else None
    if one.header is None or not HEADER.fullmatch(one.header):
        raise SettingInvalid("header: say in which header the signature is")
    return Signature(one.header, one.prefix, one.encoding)


def _secrets(one: ReceiverSettings, settings: Settings) -> list[str]:
    found = []
    for name in _list(one.secret_env):
        if not os.environ.get(name):
            raise SettingInvalid(f"secret_env: the variable {name} is not set")
        found.append(os.environ[name])
    folder = Path(settings.config or ".").absolute().parent
    for name in _list(one.secret_file):
        found += _lines(folder / Path(name).expanduser())
    if not found:
        raise SettingInvalid("no secret: give secret_env or secret_file")
    return found


def _list(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SECRET_BYTES).decode("utf-8", "replace")
    except OSError as exc:
        raise SettingInvalid(f"secret_file: {path}: {exc.strerror}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _value(text: str, one: ReceiverSettings) -> bytes:
    if len(text) < LEAST_CHARACTERS:
        raise SettingInvalid(f"a secret has less than {LEAST_CHARACTERS} characters")
    if one.signature != "standard":
        return text.encode()
    try:
        return standard_secret(text)
    except ValueError:
        raise SettingInvalid(
            "a secret is no base64 (whsec_...), as standard webhooks need"
        ) from None
