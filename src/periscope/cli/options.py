"""Options that many commands share, each described once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from periscope.errors import SettingInvalid, UsageError

if TYPE_CHECKING:
    from periscope.periscope import Periscope
    from periscope.settings import Settings

ACTING = Group("Who and how", sort_key=20)
STORE = Group("Store", sort_key=80)
OUTPUT = Group("Output", sort_key=90)


@Parameter(name="*")
@dataclass(frozen=True)
class OutputOptions:
    """How the answer is given."""

    as_json: Annotated[
        bool,
        Parameter(
            name="--json",
            group=OUTPUT,
            help="Answer in JSON on standard output; errors are one JSON line too.",
            show_default=False,
        ),
    ] = False
    debug: Annotated[
        bool,
        Parameter(
            name="--debug",
            group=OUTPUT,
            help="Log in detail, and show the traceback of an error.",
            show_default=False,
        ),
    ] = False


@Parameter(name="*")
@dataclass(frozen=True)
class StoreOptions:
    """Which database is meant."""

    config: Annotated[
        str | None,
        Parameter(
            name="--config",
            group=STORE,
            help="File of settings and feeds; without it ./periscope.toml, if there is one.",
            metavar="FILE",
        ),
    ] = None
    url: Annotated[
        str | None,
        Parameter(
            name="--url",
            group=STORE,
            help="Server to use (redis://, rediss://, valkey://, valkeys://, unix://); "
            "without it, the embedded one.",
        ),
    ] = None
    data_dir: Annotated[
        str | None,
        Parameter(name="--data-dir", group=STORE, help="Data directory of the embedded server."),
    ] = None
    namespace: Annotated[
        str | None,
        Parameter(
            name="--namespace", group=STORE, help="Prefix of every key; keeps databases apart."
        ),
    ] = None

    def settings(self, **more: Any) -> Settings:
        """Return the effective settings: these options over the environment over the defaults.

        `more` are settings that a command has options of its own for; None is not given.

        Raises:
            SettingInvalid: something does not fit, or two ways lead to two databases.
        """
        from periscope.settings import Settings

        given = {"url": self.url, "data_dir": self.data_dir, "namespace": self.namespace}
        settings = Settings.load(config=self.config, **given, **more)
        if self.data_dir and settings.url:
            other = "--url" if self.url else "PERISCOPE_URL (or url in periscope.toml)"
            raise SettingInvalid(
                f"--data-dir means the embedded server, {other} another one; leave one of them out"
            )
        return settings

    def open(self) -> Periscope:
        """Return the database, to be used with `async with`."""
        from periscope.periscope import Periscope

        return Periscope(self.settings())


@Parameter(name="*")
@dataclass(frozen=True)
class AnalystOptions:
    """Who acts."""

    analyst: Annotated[
        str | None,
        Parameter(
            name="--analyst",
            group=ACTING,
            help="Who acts; without it PERISCOPE_ANALYST, else your login name.",
            metavar="NAME",
        ),
    ] = None

    def name(self, settings: Settings) -> str:
        """Return the analyst's id: the option, the setting, or the login name.

        Raises:
            UsageError: the system does not know who is logged in.
        """
        if self.analyst is not None:
            return self.analyst
        return settings.analyst or _login_name()


def _login_name() -> str:
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError, ImportError):
        raise UsageError("who acts? give --analyst NAME, or set PERISCOPE_ANALYST") from None


MYSELF = AnalystOptions()
ANY_STORE = StoreOptions()
FOR_PEOPLE = OutputOptions()
