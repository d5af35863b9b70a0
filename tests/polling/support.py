"""What the tests of fetching share."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from periscope.errors import FeedError
from periscope.polling.document import FetchOptions, Position, Source
from periscope.polling.fetch import Client

LOOPBACK = ("127.0.0.1",)


def options(**given: Any) -> FetchOptions:
    """Options under which the servers of the tests may be asked."""
    return FetchOptions(**{"allow": LOOPBACK, "timeout_s": 20.0, **given})


@dataclass
class Run:
    """What one run of a source gave: bodies, positions, and the error at its end."""

    bodies: list[bytes] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    error: FeedError | None = None

    def position(self, before: Position | None = None) -> Position | None:
        """The position after it, if all was acknowledged."""
        return self.positions[-1] if self.positions else before


async def run(source: Source, position: Position | None = None, stop_after: int = 10**9) -> Run:
    """Read a source to its end, or `stop_after` documents as a kill would leave it."""
    result = Run()
    if stop_after == 0:
        return result
    try:
        async with aclosing(source.documents(position)) as documents:  # type: ignore[type-var]
            async for document in documents:
                with document.file as file:
                    result.bodies.append(file.read())
                result.names.append(document.name)
                result.identities.append(document.identity)
                result.positions.append(document.after)
                if len(result.bodies) >= stop_after:
                    break
    except FeedError as exc:
        result.error = exc
    return result


def lookup(table: dict[str, list[str]]) -> Any:
    """A DNS of one's own; `asked` lists who was looked up. An answer is dealt out once."""

    class Names:
        def __init__(self) -> None:
            self.asked: list[str] = []

        async def __call__(self, host: str, port: int) -> list[str]:
            self.asked.append(host)
            if host not in table:
                raise OSError("no such host")
            answers = table[host]
            return [answers[min(self.asked.count(host), len(answers)) - 1]]

    return Names()


def client(**names: list[str]) -> Client:
    """A client whose DNS is of the test: `feed=["127.0.0.1"]` is feed.example.com."""
    return Client(lookup({f"{name}.example.com": found for name, found in names.items()}))
