"""What `[oidc]` of periscope.toml says: who vouches for people, and what for.

[oidc]
issuer = "https://id.example"
client_id = "periscope"
client_secret_file = "/run/secrets/oidc"
redirect_url = "https://periscope.example/v1/session/oidc/callback"
[oidc.groups]
soc = ["read", "act"]
soc-leads = ["admin"]
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from periscope.access.checks import checked_scopes
from periscope.access.words import Scope
from periscope.config import read_config
from periscope.errors import AccessInvalid, SettingInvalid
from periscope.settings import Settings

MAX_SECRET_BYTES = 4096
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class OidcSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An OpenID provider, and what its people may do here."""

    issuer: str
    """As the provider calls itself, letter by letter; https, or http on loopback."""
    client_id: str
    redirect_url: str
    """Where the provider sends browsers back to: the same text as is registered there."""
    client_secret_file: str | None = None
    client_secret_env: str | None = None
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    """What is asked of the provider; `openid` must be among it."""
    name_claim: str = "email"
    """The claim of the ID token that is the account's name; `sub` where nobody vouches for
    addresses."""
    groups_claim: str = "groups"
    groups: dict[str, tuple[str, ...]] = {}
    """What the members of each group may do; who is in none of them may do nothing."""

    def secret(self) -> str | None:
        """Read the client's secret, now; None where it has none (PKCE alone proves it).

        Raises:
            SettingInvalid: it is not where it should be.
        """
        if self.client_secret_env is not None:
            value = os.environ.get(self.client_secret_env, "")
            where = f"the variable {self.client_secret_env}"
        elif self.client_secret_file is not None:
            value, where = _first_line(self.client_secret_file), self.client_secret_file
        else:
            return None
        if not value or not value.isprintable():
            raise SettingInvalid(f"oidc: {where} holds no secret")
        return value

    def scopes_of(self, groups: Any) -> frozenset[Scope]:
        """Return what members of these groups may do; nothing where that is no list of texts."""
        given = [groups] if isinstance(groups, str) else groups
        if not isinstance(given, list):
            return frozenset()
        words = [word for one in given if isinstance(one, str) for word in self.groups.get(one, ())]
        return frozenset(checked_scopes(words)) if words else frozenset()


def oidc_of(settings: Settings) -> OidcSettings | None:
    """Return what periscope.toml says of an OpenID provider; None if it says nothing.

    Raises:
        SettingInvalid: it cannot be; names the field.
    """
    path = Path(settings.config) if settings.config else None
    found = read_config(path).oidc
    return checked_oidc(found, str(path)) if found else None


def checked_oidc(found: dict[str, Any], where: str) -> OidcSettings:
    """Return the settings that these values are.

    Raises:
        SettingInvalid: they cannot be.
    """
    try:
        one = msgspec.convert(found, OidcSettings)
        for words in one.groups.values():
            checked_scopes(words)
    except (msgspec.ValidationError, AccessInvalid) as exc:
        raise SettingInvalid(f"{where}: oidc: {exc}") from None
    for name in ("issuer", "redirect_url"):
        if not is_safe(getattr(one, name)):
            raise SettingInvalid(f"{where}: oidc: {name}: must be https (http on loopback only)")
    if "openid" not in one.scopes:
        raise SettingInvalid(f"{where}: oidc: scopes: openid must be among them")
    if one.client_secret_env is not None and one.client_secret_file is not None:
        raise SettingInvalid(f"{where}: oidc: give client_secret_file or client_secret_env")
    return one


def is_safe(url: object, *, loopback: bool = True) -> bool:
    """Is it a URL that a secret may be sent to: https, or (with `loopback`) to this machine?"""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and loopback and host in LOOPBACK)


def _first_line(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_SECRET_BYTES)
    except OSError as exc:
        raise SettingInvalid(f"oidc: {path}: cannot be read: {exc.strerror}") from None
    return next(iter(text.decode("utf-8", "replace").splitlines()), "").strip()
