"""A MISP feed on loopback: a manifest, a file for each event, and events that fail."""

from __future__ import annotations

import json
import uuid
from typing import Any

from aiohttp import web as http

from tests.polling.web import Web


def uuid_of(number: int) -> str:
    return str(uuid.UUID(int=number))


class MispFeed(Web):
    """`put` publishes an event; `fails` maps the number of one to the status that it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.events: dict[int, int] = {}
        self.fails: dict[int, int] = {}
        self.extra: dict[str, Any] = {}
        self.on("/osint/manifest.json", self._manifest)

    @property
    def place(self) -> str:
        return self.url("/osint/")

    def put(self, number: int, time: int) -> None:
        self.events[number] = time

        async def answer(_: http.Request) -> http.StreamResponse:
            if number in self.fails:
                return http.Response(status=self.fails[number])
            event = {"uuid": uuid_of(number), "timestamp": str(self.events[number])}
            return http.json_response({"Event": event})

        self.on(f"/osint/{uuid_of(number)}.json", answer)

    def take_away(self, number: int) -> None:
        del self.events[number]

    async def _manifest(self, _: http.Request) -> http.StreamResponse:
        entries = {
            uuid_of(number): {"info": f"event {number}", "timestamp": str(time)}
            for number, time in self.events.items()
        }
        return http.Response(text=json.dumps({**entries, **self.extra}))

    @property
    def fetched(self) -> list[int]:
        """The events that were asked for, in order."""
        names = [request.path.rpartition("/")[2].removesuffix(".json") for request in self.asked]
        return [uuid.UUID(name).int for name in names if name != "manifest"]


def events_of(bodies: list[bytes]) -> list[tuple[int, int]]:
    """(number, time) of the events in documents."""
    found = [json.loads(body)["Event"] for body in bodies if body]
    return [(uuid.UUID(event["uuid"]).int, int(event["timestamp"])) for event in found]
