"""Saved views, as they are made, changed and listed."""

from __future__ import annotations

from typing import Annotated

import msgspec

ViewName = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
ViewQuery = Annotated[str, msgspec.Meta(max_length=2048)]
Revision = Annotated[int, msgspec.Meta(ge=1, le=2**53)]


class NewView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A view to be saved: a query as the console writes it, under a name. `shared`: for all."""

    name: ViewName
    query: ViewQuery
    shared: bool = False


class ViewBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a view is to be from now on, if it still is of this `revision`."""

    name: ViewName
    query: ViewQuery
    shared: bool
    revision: Revision


class ViewDocument(msgspec.Struct, frozen=True):
    """A saved view; `owner` as the audit trail names who saved it.

    Whoever shows `name` and `query` takes them for text that anybody may have written.
    """

    id: str
    name: str
    query: str
    owner: str
    shared: bool
    revision: int
    changed_ms: int


class ViewList(msgspec.Struct, frozen=True):
    """One's own views and the shared ones, by name."""

    items: list[ViewDocument]


class ViewRemoved(msgspec.Struct, frozen=True):
    """A view that is no more."""

    id: str
