"""Bytes and texts that nobody would send: each is read or refused in our words, and quickly."""

from __future__ import annotations

import json
from contextlib import suppress
from io import BytesIO
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from periscope.errors import FeedError, FetchRefused
from periscope.polling.answers import retry_after_s
from periscope.polling.fetch import Fetched
from periscope.polling.guard import Allowed, check_url, origin, read_url, shown
from periscope.polling.misp_known import Known
from periscope.polling.misp_source import _events
from periscope.polling.taxii_page import moment, read_page
from periscope.polling.taxii_walk import Walk

PAGE = {"more": True, "next": "abc", "objects": [{"type": "indicator", "id": "x"}, {"a": [1]}]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """The bytes, some of them cut out or replaced."""
    places = st.integers(0, len(whole))
    return st.builds(
        lambda start, end, put: whole[: min(start, end)] + put + whole[max(start, end) :],
        places,
        places,
        st.binary(max_size=6),
    )


def fetched(body: bytes, **headers: str) -> Fetched:
    named = CIMultiDictProxy(CIMultiDict(headers))
    return Fetched(URL("http://x/"), 200, named, BytesIO(body), len(body), "")


@given(
    st.binary(max_size=200)
    | damaged(json.dumps(PAGE).encode())
    | JSON.map(lambda value: json.dumps(value).encode())
)
def test_a_page_is_read_or_refused(body: bytes) -> None:
    found = fetched(body)
    with suppress(FeedError):
        page = read_page(found)
        assert page.objects >= 0
        assert found.file.read() == body


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_manifest_is_read_or_refused(body: bytes) -> None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        events, unfit = _events(body)
        assert len(events) + unfit >= 0


@given(
    st.text(max_size=40)
    | st.text("0123456789abcdefx.:[]%@/\\#?", max_size=30).map("http://".__add__)
)
def test_a_url_is_read_or_refused(text: str) -> None:
    with suppress(FetchRefused):
        url = read_url(text)
        check_url(url)
        assert url.scheme in ("http", "https")
        assert "@" not in shown(url).split("/")[2]
        assert "?" not in shown(url)
        assert shown(url).isascii()
        assert shown(url).isprintable()
        origin(url)
    with suppress(FeedError):
        Allowed([text])


@given(st.text(max_size=60))
def test_any_header_is_read_or_ignored(text: str) -> None:
    moment(text)
    retry_after_s(text)


TIMES = st.sampled_from(
    [
        *(
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999Z",
            "2026-01-01T00:00:00+14:00",
            "",
            "x",
        ),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1970-01-01T00:00:00.0000001Z"),
    ]
)


@given(TIMES, TIMES, st.sampled_from(["", "Mon, 01 Jan 0001 00:00:00 GMT", "x"]), st.booleans())
def test_any_times_can_be_reckoned_with(first: str, last: str, date: str, known: bool) -> None:
    headers = {"X-TAXII-Date-Added-First": first, "X-TAXII-Date-Added-Last": last, "Date": date}
    page = read_page(fetched(json.dumps(PAGE).encode(), **headers))
    walk = Walk.load({"after": first, "high": last, "began": date} if known else None, moment(last))
    for step in (walk.on(page), walk.on(page).on(page).given_up(), walk.complete(page)):
        assert Walk.load(step.stored(), None).query().keys() == step.query().keys()


@given(JSON | st.dictionaries(st.sampled_from(["after", "since", "began", "high", "next"]), JSON))
def test_any_position_is_taken_up_or_ignored(stored: Any) -> None:
    walk = Walk.load(stored, None)
    assert len(json.dumps(walk.stored())) < 2_000
    walk.query()
    Known.load(stored).unread([])
