"""What several tests of the feeds share."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from periscope.errors import FeedError
from periscope.feeds import ReadOptions, open_feed
from periscope.feeds.format import Item
from periscope.intake import Intake
from periscope.models import Report, Unreadable

REPO = Path(__file__).resolve().parents[2]
SAMPLES = REPO / "samples"
REAL_DATA = REPO.parent / "shared" / "data"
MIB = 1024 * 1024


class Pipe(BytesIO):
    """A stream that cannot go back, and gives a few bytes at a time."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: Any) -> int:
        raise OSError("a pipe cannot seek")

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(min(size or 1000, 1000))


def real_data(*parts: str) -> Path:
    """A file or folder of the collection of real feeds, where there is one."""
    path = REAL_DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip("the collection of real feeds is not beside this repository")
    return path


def read(
    data: bytes | str | Path | BinaryIO,
    name: str | None = None,
    /,
    **options: Any,
) -> list[Item]:
    """All items of an input given as bytes, path or stream."""
    source = BytesIO(data) if isinstance(data, bytes) else data
    with open_feed(source, format=name, options=ReadOptions(**options)) as feed:
        items = list(feed)
        assert feed.read == len(items) + feed.skipped.total()
    return items


def refusal(exc: FeedError) -> str:
    """The message of an error, which is always one line of a decent length."""
    text = str(exc)
    assert text
    assert "\n" not in text
    assert len(text) < 5_000
    return text


def reports(items: Iterable[Item]) -> list[Report]:
    """The good ones."""
    return [item for item in items if isinstance(item, Report)]


def reasons(items: Iterable[Item]) -> list[str]:
    """Why the bad ones are bad."""
    return [item.reason for item in items if isinstance(item, Unreadable)]


def taken(found: Iterable[Item]) -> list[Report]:
    """The good ones, each of which the engine takes."""
    good = reports(found)
    _, rejected = Intake(bytes(16)).prepare(good, 0)
    assert not rejected, rejected[0]
    return good


def one(record: dict[str, Any], **options: Any) -> Item:
    """The item of a single generic record."""
    (item,) = read(json.dumps(record).encode(), "json", **options)
    return item


def lines(*records: dict[str, Any]) -> bytes:
    """Records as NDJSON."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def read_safely(data: bytes, name: str) -> None:
    """Read twice the same, without a crash, and nothing that the engine would reject."""
    items = read(data, name)
    assert items == read(data, name)
    _, rejected = Intake(bytes(16)).prepare(reports(items), 0)
    assert not rejected, (rejected[0], data[:500])
    assert all(len(reason) < 2_000 and "\n" not in reason for reason in reasons(items))


ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e308,
    2**80,
    "",
    "x" * 9000,
    "\0",
    [],
    [[]],
    {},
    {"a": {"b": [1]}},
    [None],
)


def variants(count: int, *records: dict[str, Any]) -> Iterator[bytes]:
    """Records in which some values are replaced by whatever JSON can hold; always the same ones."""
    generator = random.Random(count)
    for _ in range(count):
        record = json.loads(json.dumps(generator.choice(records)))
        for _ in range(generator.randint(1, 3)):
            at, key = record, generator.choice(list(record))
            while isinstance(at[key], dict) and at[key] and generator.random() < 0.7:
                at = at[key]
                key = generator.choice(list(at))
            at[key] = json.loads(json.dumps(generator.choice(ODD)))
        yield lines(record)
