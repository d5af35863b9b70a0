"""What a console shows, over HTTP: the queue in figures, and what people look at."""

from __future__ import annotations

import msgspec

from periscope.client.transport import Call, Transport, segment
from periscope.shapes import (
    BoardFigures,
    NewView,
    TimelineDocument,
    ViewBody,
    ViewDocument,
    ViewList,
    ViewRemoved,
)


class Console:
    """The client's part of what a console shows. All raise `ApiProblem`."""

    _transport: Transport

    async def board(self) -> BoardFigures:
        """Return what waits how long, what is overdue, how the scores of the queue lie."""
        return await self._transport.read(Call("GET", "/v1/board"), BoardFigures)

    async def timeline(self, *, for_s: int = 86_400) -> TimelineDocument:
        """Return how the queue was, a sample a minute, over the last `for_s` seconds."""
        call = Call("GET", "/v1/timeline", {"for_s": for_s})
        return await self._transport.read(call, TimelineDocument)

    async def views(self) -> list[ViewDocument]:
        """Return one's own saved views and the shared ones, by name."""
        return (await self._transport.read(Call("GET", "/v1/views"), ViewList)).items

    async def save_view(self, name: str, query: str, *, shared: bool = False) -> ViewDocument:
        """Save a view: 100 a person at most. To share it needs the scope act.

        Not repeated where no answer came: there may be two then.
        """
        body = msgspec.json.encode(NewView(name, query, shared))
        call = Call("POST", "/v1/views", body=body, is_repeatable=False)
        return await self._transport.read(call, ViewDocument)

    async def change_view(
        self, view: ViewDocument, *, name: str, query: str, shared: bool
    ) -> ViewDocument:
        """Change a view that still is as it was read.

        Raises:
            Conflict: somebody else has changed it meanwhile.
        """
        body = msgspec.json.encode(ViewBody(name, query, shared, view.revision))
        call = Call("PUT", f"/v1/views/{segment(view.id)}", body=body)
        return await self._transport.read(call, ViewDocument)

    async def remove_view(self, view: ViewDocument) -> ViewRemoved:
        """Remove a view."""
        call = Call("DELETE", f"/v1/views/{segment(view.id)}")
        return await self._transport.read(call, ViewRemoved)
