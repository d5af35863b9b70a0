"""POST /v1/reports: every form of body, exact counts, one answer for each thing that is wrong."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from periscope.api.reports import AT_ONCE_BYTES, PACKED_AT_ONCE
from tests.api.conftest import Served
from tests.api.support import refused
from tests.support.nodes import wait_until

GOOD = {"threat_id": "a", "content": "beacon", "severity": "HIGH"}
LINES = b"".join(
    json.dumps({**GOOD, "threat_id": f"n{number}"}).encode() + b"\n" for number in range(3000)
)
NDJSON = {"content-type": "application/x-ndjson"}
JSON = {"content-type": "application/json"}
COUNTS = ("received", "added", "sightings", "duplicates", "suppressed", "rejected")


def counts(answer: Any) -> dict[str, int]:
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["received"] == sum(told[name] for name in COUNTS[1:])
    return {name: told[name] for name in COUNTS if told[name]}


async def test_one_report_and_many(served: Served) -> None:
    assert counts(await served.admin.post("/v1/reports", json=GOOD)) == {"received": 1, "added": 1}
    again = await served.admin.post("/v1/reports", json=[GOOD, {**GOOD, "content": "news"}])
    assert counts(again) == {"received": 2, "sightings": 1, "duplicates": 1}


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("identity", bytes), ("gzip", gzip.compress), ("zstd", zstandard.compress)],
)
async def test_lines_however_they_are_packed(served: Served, encoding: str, pack: Any) -> None:
    headers = {**NDJSON, "content-encoding": encoding}
    answer = await served.admin.post("/v1/reports", content=pack(LINES), headers=headers)
    assert counts(answer) == {"received": 3000, "added": 3000}


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
async def test_a_small_body_may_be_large_when_it_is_unpacked(served: Served, pack: Any) -> None:
    lines = [json.dumps({**GOOD, "threat_id": "t", "content": "x" * 1000}).encode()] * 6000
    headers = {"content-encoding": "gzip" if pack is gzip.compress else "zstd"}
    for body, kind in ((b"\n".join(lines), NDJSON), (b"[%s]" % b",".join(lines), JSON)):
        assert len(body) > AT_ONCE_BYTES
        packed = pack(body)
        assert len(packed) < PACKED_AT_ONCE
        answer = await served.admin.post("/v1/reports", content=packed, headers=headers | kind)
        assert counts(answer)["received"] == 6000


async def test_a_body_that_is_too_large_says_so_packed_or_not(served: Served) -> None:
    body = b"[%s]" % b",".join(json.dumps([number] * 9).encode() for number in range(1_500_000))
    assert len(body) > 32 << 20
    headers = {"content-type": "application/json", "content-encoding": "zstd"}
    packed = zstandard.compress(body)
    refused(
        await served.admin.post("/v1/reports", content=packed, headers=headers),
        413,
        "body-too-large",
    )


async def test_a_stream_of_lines_without_a_length(served: Served) -> None:
    async def parts() -> Any:
        for start in range(0, len(LINES), 7001):
            yield LINES[start : start + 7001]

    answer = await served.admin.post("/v1/reports", content=parts(), headers=NDJSON)
    assert counts(answer) == {"received": 3000, "added": 3000}


async def test_a_bad_line_costs_itself(served: Served) -> None:
    bad = (b'{"threat_id":', b"[1]", b'{"threat_id":"x","content":"","severity":"LOW","score":1}')
    body = b"\n".join((json.dumps(GOOD).encode(), *bad, b"", b"\xff\xfe"))
    answer = await served.admin.post("/v1/reports", content=body, headers=NDJSON)
    assert counts(answer) == {"received": 5, "added": 1, "rejected": 4}
    assert [one["index"] for one in answer.json()["rejections"]] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b'{"title":"cut off \\ud83d"}', "half of a surrogate pair"),
        (b"[" * 2000 + b"]" * 2000, "nested deeper"),
        (b'{"title" "x"}', "not valid JSON"),
        (b"01", "not valid JSON"),
    ],
    ids=["half a character", "deep", "no object", "no number"],
)
async def test_a_bad_element_costs_itself(served: Served, bad: bytes, why: str) -> None:
    """A parser gives up on the whole array over it; a title cut off in an emoji is enough."""
    one, other = (json.dumps({**GOOD, "threat_id": name}).encode() for name in "ab")
    body = b"[%s]" % b",".join((one, bad, other))
    answer = await served.admin.post("/v1/reports", content=body, headers=JSON)
    assert counts(answer) == {"received": 3, "added": 2, "rejected": 1}
    (rejection,) = answer.json()["rejections"]
    assert (rejection["index"], why in rejection["reason"]) == (1, True), rejection


async def test_arrays_one_after_the_other_are_one(served: Served) -> None:
    one, other = (json.dumps({**GOOD, "threat_id": name}).encode() for name in "ab")
    body = b"[%s]\n[%s]" % (one, other)
    answer = await served.admin.post("/v1/reports", content=body, headers=JSON)
    assert counts(answer) == {"received": 2, "added": 2}


@pytest.mark.parametrize("body", [b"[%s", b"[%s,]", b"[%s] x", b"[%s}", b'[%s,"\\ud800'])
async def test_an_array_that_breaks_off_is_refused_whole(served: Served, body: bytes) -> None:
    answer = await served.admin.post(
        "/v1/reports", content=body % json.dumps(GOOD).encode(), headers=JSON
    )
    refused(answer, 400, "body-unreadable")
    assert (await served.tenant.periscope.get_ledger()).received == 0


async def test_a_feed_by_its_name_and_by_its_content(served: Served) -> None:
    body = (
        b'{"vulnerabilities": [{"cveID": "CVE-2024-0001", "vendorProject": "Example", '
        b'"product": "P", "vulnerabilityName": "N", "dateAdded": "2024-01-31", '
        b'"shortDescription": "Runs commands.", "dueDate": "2024-02-21"}]}'
    )
    named = await served.admin.post("/v1/reports?format=kev", content=body)
    assert counts(named) == {"received": 1, "added": 1}
    found = await served.admin.post("/v1/reports?format=auto", content=body)
    assert found.json()["format"] == "kev"
    assert counts(found) == {"received": 1, "duplicates": 1}


@pytest.mark.parametrize(
    ("body", "headers", "status", "kind"),
    [
        (b"{", {}, 400, "body-unreadable"),
        (b"7", {}, 422, "body-unfit"),
        (b"[" * 100_000, {}, 400, "body-unreadable"),
        (b"x", {"content-type": "image/png"}, 415, "media-type-unknown"),
        (b"x", {"content-encoding": "br"}, 415, "encoding-unknown"),
        (b"x", {"content-encoding": "gzip"}, 400, "body-unreadable"),
        (b'{"threat_id":"","content":"","severity":"LOW"}', {}, 422, "report-rejected"),
    ],
)
async def test_what_is_wrong_is_said(
    served: Served, body: bytes, headers: dict[str, str], status: int, kind: str
) -> None:
    given = {"content-type": "application/json", **headers}
    request = served.admin.build_request("POST", "/v1/reports", content=body, headers=given)
    answer = await served.admin.send(request)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert answer.json()["type"] == f"urn:periscope:problem:{kind}"


async def test_the_same_body_under_the_same_key_counts_once(served: Served) -> None:
    other = await served.key("ingest")
    token = {"idempotency-key": "7f", **NDJSON}
    bad = LINES + b'{"threat_id":"bad"}\n'
    first = counts(await served.admin.post("/v1/reports", content=bad, headers=token))
    assert first == {"received": 3001, "added": 3000, "rejected": 1}
    assert counts(await served.admin.post("/v1/reports", content=bad, headers=token)) == first
    ledger = await served.tenant.periscope.get_ledger()
    assert (ledger.received, ledger.rejected) == (3001, 1)
    more = await served.admin.post("/v1/reports", json=[GOOD], headers={"idempotency-key": "7f"})
    assert counts(more) == {"received": 1, "added": 1}, "another body under it is another one"
    theirs = await other.post("/v1/reports", content=bad, headers=token)
    assert counts(theirs) == {"received": 3001, "duplicates": 3000, "rejected": 1}
    await other.aclose()


async def test_a_key_is_refused_where_it_cannot_be_kept(served: Served) -> None:
    headers = {"idempotency-key": "7f"}
    answer = await served.admin.post("/v1/reports?format=auto", content=LINES, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")
    assert answer.headers["connection"] == "close", "its body is unread: the next request goes anew"
    query = await served.admin.post("/v1/reports?idempotency_key=7f", json=GOOD)
    assert query.json()["type"] == "urn:periscope:problem:parameter-unknown"


async def test_what_is_kept_for_a_second_pass_is_given_back(served: Served) -> None:
    headers = {"content-type": "application/stix+json"}
    gc.disable()
    try:
        before = deleted_files()
        for _ in range(5):
            await served.admin.post("/v1/reports", content=b'{"type": "bundle"', headers=headers)

        async def given_back() -> bool:
            return deleted_files() <= before

        await wait_until(given_back, "the temporary files are closed")
    finally:
        gc.enable()


def deleted_files() -> int:
    """Files that are open here and have no name any more, as temporary ones."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(link.readlink()).endswith("(deleted)")
    return found


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
async def test_a_packed_body_that_was_cut_is_not_taken_for_whole(served: Served, pack: Any) -> None:
    lines = b"".join(
        json.dumps({**GOOD, "threat_id": f"c{n}", "content": hex(hash((n, "c")))}).encode() + b"\n"
        for n in range(30_000)
    )
    encoding = "gzip" if pack is gzip.compress else "zstd"
    headers = {**NDJSON, "content-encoding": encoding}
    cut = pack(lines)[:-300]
    answer = await served.admin.post("/v1/reports", content=cut, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:periscope:problem:body-unreadable"
    stored = (await served.tenant.periscope.get_stats()).queue
    assert f"{stored:,} were stored" in answer.json()["detail"]
    whole = await served.admin.post("/v1/reports", content=pack(lines), headers=headers)
    assert whole.status_code == 200
    assert (await served.tenant.periscope.get_stats()).queue == 30_000
