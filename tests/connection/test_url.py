"""URLs: what each part comes to, and one line for what cannot be used, without its password."""

from __future__ import annotations

import pytest

from periscope.connection.url import Address, Target, read_url
from periscope.errors import SettingInvalid

GOOD: list[tuple[str, dict[str, object]]] = [
    ("redis://", {"seeds": (Address("localhost", 6379),)}),
    ("valkey://db.example", {"seeds": (Address("db.example", 6379),), "tls": False}),
    ("redis://db.example:7000/3", {"seeds": (Address("db.example", 7000),), "database": 3}),
    ("redis://db.example/", {"database": 0}),
    ("rediss://db.example", {"tls": True}),
    ("valkeys://db.example", {"tls": True}),
    ("redis://[::1]:7000", {"seeds": (Address("::1", 7000),)}),
    ("redis://[fe80::1%25eth0]", {"seeds": (Address("fe80::1%eth0", 6379),)}),
    ("redis://a:1,b,[::1]:3", {"seeds": (Address("a", 1), Address("b", 6379), Address("::1", 3))}),
    ("redis://ann@a", {"username": "ann", "password": None}),
    ("redis://:secret@a", {"username": None, "password": "secret"}),
    ("redis://ann:p%40ss%3Aw%2Frd@a", {"username": "ann", "password": "p@ss:w/rd"}),
    (
        "redis://ann:p@ss@a,b",
        {"password": "p@ss", "seeds": (Address("a", 6379), Address("b", 6379))},
    ),
    ("sentinel://a,b:9/main", {"seeds": (Address("a", 26379), Address("b", 9)), "master": "main"}),
    ("sentinel://:x@a/main/2", {"master": "main", "database": 2, "password": "x"}),
    ("sentinels://a/m%20x", {"tls": True, "master": "m x", "kind": "sentinel"}),
    ("unix:///run/psc.sock", {"kind": "socket", "seeds": (Address("/run/psc.sock"),)}),
    ("unix:///run/a%20b", {"seeds": (Address("/run/a b"),)}),
]
BAD = [
    ("", "scheme"),
    ("db.example:6379", "scheme"),
    ("http://:secret@db.example", "scheme 'http'"),
    ("redis://:secret@db.example?timeout=3", "options"),
    ("redis://:secret@db.example#x", "options"),
    ("redis://:secret@db.example:port", "no host and port: 'db.example:port'"),
    ("redis://:secret@db.example:0", "no host and port"),
    ("redis://:secret@db.example:70000", "no host and port"),
    ("redis://:secret@a,,b", "no host and port: ''"),
    ("redis://:secret@a, b:x", "no host and port"),
    ("redis://:secret@::1", "no host and port"),
    ("redis://:secret@[::1", "cannot be used"),
    ("redis://:secret@a/db", "no database number: '/db'"),
    ("redis://:secret@a/-1", "no database number"),
    ("redis://:secret@a/\u0663", "no database number"),
    ("sentinel://:secret@a", "name the primary"),
    ("sentinel://:secret@a//1", "name the primary"),
    ("sentinel://:secret@a/main/x", "no database number"),
]


@pytest.mark.parametrize(("url", "told"), GOOD, ids=[url for url, _ in GOOD])
def test_a_url_that_can_be_used(url: str, told: dict[str, object]) -> None:
    target = read_url(url)
    assert {name: getattr(target, name) for name in told} == told
    assert "secret" not in target.shown
    assert target.password is None or target.password not in target.shown


@pytest.mark.parametrize(("url", "told"), BAD, ids=[url or "none" for url, _ in BAD])
def test_a_url_that_cannot_be_used(url: str, told: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        read_url(url)
    text = str(caught.value)
    assert told in text
    assert "secret" not in text
    assert "\n" not in text


def test_the_login_is_the_primarys_and_not_the_sentinels() -> None:
    target = read_url("sentinel://ann:x@a/main/2")
    asked: Target = target.asked_first()
    assert asked.login() == {"username": None, "password": None}
    assert (asked.database, asked.seeds) == (0, target.seeds)


def test_messages_name_the_first_of_many_places() -> None:
    assert read_url("valkey://u:secret@a:1,b:2,c:3").shown == "valkey://***@a:1 and 2 more"
    assert read_url("sentinel://a,b/mine").shown == "sentinel://a and 1 more"
