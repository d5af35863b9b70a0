"""periscope.toml and definitions: a mistake is one line that names its place; no secret in any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from periscope import FeedBusy, FeedUnknown, Periscope, SettingInvalid, UsageError
from periscope.errors import FeedError
from periscope.feeds import ReadOptions
from periscope.polling import Definition, Feeds, fields_of
from periscope.polling.checks import define, read_definition, read_options
from periscope.polling.feeds import feeds_of
from periscope.polling.secrets import fetch_options
from periscope.polling.state import encode
from periscope.settings import Settings

FILE = {"kind": "file", "place": "/x"}
HTTP = {"kind": "http", "place": "https://example.com/feed.json"}

MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({}, "kind and place must be given"),
    ({"kind": "fiel", "place": "/x"}, "kind 'fiel': unknown; did you mean file?"),
    ({**FILE, "intervall": "1s"}, "unknown field 'intervall'; did you mean interval?"),
    ({**FILE, "interval": "often"}, "interval often: no duration"),
    ({**FILE, "interval": "1ms"}, "interval 1ms: less than 100ms"),
    ({**FILE, "interval": 3}, "Expected `str | null`, got `int`"),
    ({**FILE, "jitter": "-1s"}, "jitter -1s: no duration"),
    ({**FILE, "timeout": "9s"}, "timeout: only feeds of kind http or misp or taxii have it"),
    ({**FILE, "follow": True}, "follow: give format"),
    ({**FILE, "follow": True, "format": "csv"}, "follow: give columns"),
    ({**FILE, "format": "ndjsn"}, "format ndjsn: there is no such format; did you mean ndjson?"),
    ({**FILE, "severity": "BAD"}, "severity BAD: there is no such severity"),
    ({**FILE, "severity_map": "nowhere.toml"}, "nowhere.toml"),
    ({**FILE, "map": {"treat_id": "x"}}, "treat_id"),
    ({**FILE, "delimiter": "ab"}, "delimiter must be one character"),
    ({**FILE, "max_record_bytes": 0}, "Expected `int` >= 1"),
    ({**FILE, "pattern": "*.x"}, "pattern: only feeds of kind directory"),
    ({"kind": "file", "place": "a\0b"}, "NUL"),
    ({**HTTP, "password": "sesame"}, "password: secrets are not written here"),
    ({**HTTP, "token": "sesame"}, "name where it is: token_env or token_file"),
    ({**HTTP, "headers": {"X-Key": "sesame"}}, "headers_env"),
    ({**HTTP, "headers_env": {"X-Key": "ses ame"}}, "must name a variable, not hold the value"),
    ({**HTTP, "token_env": "sesame!"}, "must name a variable, not hold the secret"),
    ({**HTTP, "headers_env": {"X Key": "NAME"}}, "cannot be the name of a header"),
    ({**HTTP, "password_env": "X"}, "a password without username"),
    ({**HTTP, "username": "u", "token_env": "X"}, "give one of them"),
    ({**HTTP, "token_env": "X", "token_file": "y"}, "both given"),
    ({**HTTP, "place": "https://me:sesame@example.com/"}, "holds user information"),
    ({**HTTP, "place": "ftp://example.com/"}, "must be a URL that begins with https://"),
    ({**HTTP, "place": "https:///x"}, "must be a URL"),
    ({**HTTP, "place": "https://[::1/"}, "no URL"),
    ({**HTTP, "place": "https://example.com/\x1b[2J"}, "characters that no URL has"),
    ({**FILE, "name": "other"}, "leave it out there"),
    ({"kind": "directory", "place": "/x", "pattern": "../*"}, "must not lead out"),
    ({"kind": "directory", "place": "/x", "pattern": "/etc/*"}, "no glob of names below"),
    ({"kind": "directory", "place": "/x", "pattern": ""}, "no glob of names below"),
    ({"kind": "directory", "place": "/x", "pattern": "**x"}, "no glob of names below"),
    ({**FILE, "source": "\udcff"}, "not valid UTF-8"),
    ({**FILE, "columns": ["x" * 100] * 200}, "more than 16,384 bytes"),
]


@pytest.mark.parametrize(("fields", "answer"), MISTAKES, ids=lambda value: repr(value)[:60])
def test_a_mistake_is_one_line(fields: dict[str, Any], answer: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        define("f", fields)
    told = str(caught.value)
    assert told.startswith(("feed f: ", "feed 'f': "))
    assert answer in told
    assert "\n" not in told
    assert "sesame" not in told


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "x" * 33, "a:b", "../x", "a\n"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(SettingInvalid):
        define(name, FILE)


def test_a_definition_survives_the_store() -> None:
    one = define(
        "f",
        {
            **HTTP,
            "interval": "1h",
            "map": {"threat_id": "id"},
            "headers_env": {"Auth-Key": "KEY"},
            "fingerprint": ["a.b", "c"],
        },
    )
    assert read_definition(encode(one)) == one
    assert define("f", fields_of(one)) == one
    with pytest.raises(SettingInvalid, match="cannot be read"):
        read_definition(b'{"name":"f","kind":"carrier pigeon","place":"x"}')


def test_how_documents_are_read_is_what_ingest_has() -> None:
    one = define("f", {**FILE, "columns": ["a"], "delimiter": "tab", "fingerprint": ["a"]})
    assert read_options(one) == ReadOptions(
        header=["a"],
        delimiter="\t",
        fingerprint=("a",),
        max_bytes=one.max_bytes,
        max_record_bytes=one.max_record_bytes,
    )


def test_secrets_are_looked_up_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "sesame")
    (tmp_path / "password").write_text("open\nsecond line\n")
    fields = {
        **HTTP,
        "username": "me",
        "password_file": str(tmp_path / "password"),
        "headers_env": {"Auth-Key": "KEY"},
    }
    one = define("f", fields)
    found = fetch_options(one)
    assert (found.password, dict(found.headers)) == ("open", {"Auth-Key": "sesame"})
    assert "sesame" not in repr(found)
    assert "open" not in repr(found).replace("open_", "")
    assert b"sesame" not in encode(one)
    monkeypatch.delenv("KEY")
    with pytest.raises(FeedError, match="the variable KEY"):
        fetch_options(one)
    (tmp_path / "password").write_text("\n")
    monkeypatch.setenv("KEY", "x")
    with pytest.raises(FeedError, match="begins with an empty line"):
        fetch_options(one)
    monkeypatch.setenv("KEY", "a\nb")
    (tmp_path / "password").write_text("open")
    with pytest.raises(FeedError, match="no header can carry"):
        fetch_options(one)


def config(path: Path, text: str) -> Settings:
    path.write_text(text)
    return Settings.load({}, config=str(path))


def test_one_file_for_settings_and_feeds(tmp_path: Path) -> None:
    path = tmp_path / "periscope.toml"
    text = (
        '[settings]\nnamespace = "soc"\nin_flight = 3\n[feeds.a]\nkind = "file"\nplace = "x.json"\n'
    )
    settings = config(path, text)
    assert (settings.namespace, settings.in_flight, settings.config) == ("soc", 3, str(path))
    assert feeds_of(settings)["a"].place == str(tmp_path / "x.json")
    over = Settings.load({"PERISCOPE_CONFIG": str(path), "PERISCOPE_IN_FLIGHT": "4"}, namespace="x")
    assert (over.in_flight, over.namespace) == (4, "x"), "arguments, then variables, then the file"


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    (home / "periscope").mkdir(parents=True)
    (home / "periscope" / "periscope.toml").write_text("[settings]\nin_flight = 2\n")
    environ = {"XDG_CONFIG_HOME": str(home)}
    assert Settings.load(environ).in_flight == 2
    (tmp_path / "periscope.toml").write_text("[settings]\nin_flight = 5\n")
    assert Settings.load(environ).in_flight == 5
    assert Settings.load(environ, config="/dev/null").in_flight == 8
    assert Settings.load({}).config == "periscope.toml"
    with pytest.raises(SettingInvalid, match="there is no file"):
        Settings.load({}, config="nowhere.toml")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("[settings", "no TOML"),
        ("[setings]\n", "unknown table 'setings'; did you mean settings?"),
        ("settings = 3\n", "settings must be a table"),
        ("[settings]\nin_fligt = 3\n", "unknown setting 'in_fligt' in [settings]; did you mean"),
        ("[settings]\nin_flight = 0\n", "setting in_flight"),
        ("[settings]\nconfig = 'x'\n", "unknown setting 'config'"),
        ("[feeds]\na = 3\n", "feeds.a must be a table"),
        ("a = " + "[" * 5000, "no TOML"),
        ("\udcff", "not valid UTF-8"),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, text: str, answer: str) -> None:
    path = tmp_path / "periscope.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingInvalid) as caught:
        Settings.load({}, config=str(path))
    assert str(caught.value).startswith(str(path))
    assert answer in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_a_feed_names_file_feed_and_field(tmp_path: Path) -> None:
    settings = config(tmp_path / "p.toml", '[feeds.a]\nkind = "file"\nplace = "x"\nfollw = true\n')
    with pytest.raises(SettingInvalid, match=r"p\.toml: feed a: unknown field 'follw'; did you"):
        feeds_of(settings)


def test_too_large_a_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "periscope.toml"
    path.write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    with pytest.raises(SettingInvalid, match=r"is this periscope\.toml"):
        Settings.load({}, config=str(path))


async def test_feeds_by_call(periscope: Periscope, tmp_path: Path) -> None:
    feeds, place = Feeds(periscope), str(tmp_path / "x.ndjson")
    one = await feeds.add_feed("one", kind="file", place=place)
    assert await feeds.add_feed("one", kind="file", place=place) == one, "the same again"
    with pytest.raises(UsageError, match="is there already"):
        await feeds.add_feed("one", kind="file", place="/elsewhere")
    with pytest.raises(FeedUnknown, match="did you mean one"):
        await feeds.get_feed("onne")
    for call in (feeds.pause_feed("two"), feeds.remove_feed("two"), feeds.run_feed("two")):
        with pytest.raises(FeedUnknown):
            await call
    assert await feeds.pause_feed("one") is True
    assert await feeds.pause_feed("one") is False
    assert (await feeds.get_feed("one")).state == "paused"
    with pytest.raises(FeedBusy, match="paused"):
        await feeds.run_feed("one")
    assert await feeds.resume_feed("one") is True
    assert (await feeds.get_feed("one")).state == "new"
    assert (await feeds.run_feed("one")).error is not None
    info = await feeds.get_feed("one")
    assert (info.state, info.status.failures, info.origin) == ("failing", 1, "store")
    await feeds.remove_feed("one")
    assert await feeds.get_feeds() == []


async def test_a_query_that_may_be_secret_is_not_stored(periscope: Periscope) -> None:
    with pytest.raises(SettingInvalid, match="'api_key' of the URL may be a secret") as caught:
        await Feeds(periscope).add_feed(
            "f", kind="http", place="https://example.com/x?api_key=sesame"
        )
    assert "sesame" not in str(caught.value)


async def test_what_a_newer_program_defined_is_told(periscope: Periscope) -> None:
    feeds = Feeds(periscope)
    await feeds._calls.define("odd", b"", b'{"name":"odd","kind":"pigeon","place":"x"}')
    info = await feeds.get_feed("odd")
    assert (info.state, info.definition) == ("broken", None)
    with pytest.raises(SettingInvalid, match="cannot be read"):
        await feeds.run_feed("odd")
    await feeds.remove_feed("odd")


def test_every_field_says_what_it_means() -> None:
    from periscope.polling.definition import describe

    rows = describe()
    assert [row[0] for row in rows] == list(Definition.__struct_fields__)
    assert all(row[3].endswith(".") and row[4] for row in rows)
