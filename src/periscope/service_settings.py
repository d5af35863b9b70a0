"""The settings of `periscope serve`: part of the one table, kept apart for its length."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec


def described(text: str, *, secret: bool = False, **rules: Any) -> msgspec.Meta:
    """What is to be said of a setting, and what it must be."""
    return msgspec.Meta(description=text, extra={"secret": secret}, **rules)


class ServiceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the HTTP service listens, and what it takes."""

    serve_host: Annotated[
        str,
        described(
            "Address that the service listens on. Beyond loopback it needs TLS, or serve_insecure."
        ),
    ] = "127.0.0.1"
    serve_port: Annotated[
        int, described("Port that the service listens on; 0: any free one.", ge=0, le=65_535)
    ] = 8080
    serve_namespaces: Annotated[
        str,
        described(
            "Namespaces (tenants) that one service serves, with commas between them (default: the "
            "setting namespace). Keys and accounts belong to one; no other is seen through them."
        ),
    ] = ""
    serve_certificate: Annotated[
        str | None, described("Certificate (PEM, with its chain) of the service, for TLS.")
    ] = None
    serve_certificate_key: Annotated[
        str | None, described("Key of that certificate: a file (PEM).")
    ] = None
    serve_insecure: Annotated[
        bool,
        described(
            "Listen beyond loopback without TLS: only behind a proxy that has it, or keys and "
            "threats can be read on the way."
        ),
    ] = False
    serve_max_body_mb: Annotated[
        int,
        described(
            "Size (MiB, unpacked) of a request body at most; streams of NDJSON may be longer.",
            ge=1,
            le=4096,
        ),
    ] = 32
    serve_streams: Annotated[
        int, described("Event streams that are open at once at most.", ge=1, le=100_000)
    ] = 1000
    serve_body_timeout_s: Annotated[
        float,
        described(
            "Seconds to wait for the next part of a request body, or for a client to take the next "
            "part of an answer.",
            gt=0,
            le=3600,
        ),
    ] = 30.0
    serve_drain_s: Annotated[
        float,
        described(
            "Seconds that requests in hand may take to finish when the service ends.", ge=0, le=600
        ),
    ] = 8.0
    serve_index: Annotated[
        Literal["on", "off"],
        described(
            "Whether the service keeps a read index, which answers text, tag, source and similar."
        ),
    ] = "on"
    serve_console: Annotated[
        Literal["on", "off"],
        described("Whether the service serves the console, the page for analysts, at /console/."),
    ] = "on"
    serve_workers: Annotated[
        Literal["on", "off"],
        described(
            "Whether the service does what `periscope worker` does: promotion, expiry, feeds."
        ),
    ] = "on"
    log_format: Annotated[
        Literal["text", "json"], described("Logs as lines for people, or as JSON, one object each.")
    ] = "text"
