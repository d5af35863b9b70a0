"""The settings of a service, as they are in force."""

from __future__ import annotations

import msgspec

SettingValue = str | bool | int | float | None


class SettingDocument(msgspec.Struct, frozen=True):
    """A setting; `value` is null where none is set, or where it is a secret."""

    name: str
    variable: str
    type: str
    value: SettingValue
    default: SettingValue
    secret: bool
    help: str


class SettingList(msgspec.Struct, frozen=True):
    """All settings, those of the store first."""

    items: list[SettingDocument]
