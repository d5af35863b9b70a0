"""Names in paths, which are looked up as they were sent."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from periscope.api.problems import RequestRefused


def text_of(encoded: str) -> str:
    """Return a name as it is meant.

    Raises:
        RequestRefused: it is no text, so that nothing has it.
    """
    try:
        return unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise RequestRefused(404, "not-found", "there is nothing of this name") from None
