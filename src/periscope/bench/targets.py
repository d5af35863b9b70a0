"""The one table of targets: what each figure of the bench should reach."""

from __future__ import annotations

from typing import Literal, NamedTuple

HUNDRED_THOUSAND = 100_000
MILLION = 1_000_000


class Target(NamedTuple):
    """A bound on one number of a figure. `what` None: every figure of the row.

    `least_scale`: below it the figure is shown but not judged, since fixed costs would decide.
    """

    row: str
    what: str | None
    of: Literal["ratio", "median", "p99", "highest"]
    sign: Literal[">=", "<="]
    bound: float
    unit: str = ""
    least_scale: int = 0

    def __str__(self) -> str:
        name = {"median": "", "highest": "max "}.get(self.of, f"{self.of} ")
        return f"{name}{self.sign} {self.bound:g}{self.unit}"

    def reached_by(self, value: float) -> bool:
        """Is the value on the right side of the bound?"""
        return value >= self.bound if self.sign == ">=" else value <= self.bound


# One await at a time, beside one redis-py call each: not slower alone, much faster together.
SINGLE_AWAITS = {
    "interactions": ("",),
    "awaits": ("add_threat, ", "get_threat, ", "claim, "),
}

TARGETS = (
    Target("ingest", "new", "ratio", ">=", 0.60),
    Target("ingest", "1 % known", "ratio", ">=", 0.50),
    Target("ingest", "50 % known", "ratio", ">=", 0.50),
    Target("ingest", "100 % known", "ratio", ">=", 0.50),
    # "Of its own rate at 100K", which a smaller scale would not show.
    Target("ingest-resident", "into the scale, growth", "ratio", ">=", 0.85, least_scale=MILLION),
    Target("durability", "durable", "ratio", ">=", 0.80),
    # From the bytes of a file to the store.
    *(
        Target("feeds", name, "median", ">=", 60_000, "/s", 10_000)
        for name in ("ndjson", "suricata")
    ),
    *(Target("feeds", name, "median", ">=", 20_000, "/s", 10_000) for name in ("stix", "misp")),
    # The service, each of its clients a process of its own beside it.
    *(
        Target("http", f"reports, {count} connections", "median", ">=", 40_000, "/s", 100_000)
        for count in (8, 20)
    ),
    Target("http", "the first page, 50 clients", "p99", "<=", 20.0, " ms", MILLION),
    Target("http", "healthz beside reports", "p99", "<=", 50.0, " ms", HUNDRED_THOUSAND),
    Target("http", "200 event streams, lag", "highest", "<=", 1000.0, " ms", HUNDRED_THOUSAND),
    Target("http", "200 event streams, fell behind", "highest", "<=", 0),
    Target("queries", "top-100, server", "p99", "<=", 3.0, " ms"),
    # "No growth" from 100K to 1M; a tenth is left for noise.
    Target("queries", "top-100, server, growth", "ratio", "<=", 1.10, least_scale=MILLION),
    Target("pages", "last pages", "ratio", "<=", 1.50),
    Target("memory", "beyond the body", "median", "<=", 260, " bytes", least_scale=MILLION),
    *(
        Target(row, f"{call}{callers}", "ratio", ">=", bound)
        for row, calls in SINGLE_AWAITS.items()
        for call in calls
        for callers, bound in (("one caller", 1.0), ("200 callers", 4.0))
    ),
    Target("exists", "the test itself, unknown id", "median", "<=", 1000, " ns"),
    Target("exists", "known ids found", "median", ">=", 100, " %"),
    Target("exists", 'wrong "no", beside another writer', "highest", "<=", 0),
    Target("lost", "lost, doubled or miscounted", "highest", "<=", 0),
    Target("restart", "killed, until all are back", "highest", "<=", 5.0, " s", MILLION),
    # The cost of promotion must not depend on what else is there.
    Target("promote", "among the scale", "ratio", "<=", 1.25, least_scale=HUNDRED_THOUSAND),
    Target("promote", "each call", "highest", "<=", 5.0, " ms"),
    Target("promote", "100 eligible", "median", "<=", 20.0, " ms"),
    Target("sweep", "each call", "highest", "<=", 5.0, " ms"),
    Target("stop", None, "highest", "<=", 5.0, " ms"),
)


def target_of(row: str, what: str, scale: int) -> Target | None:
    """The target of a figure; None where there is none at this scale."""
    for target in TARGETS:
        format_name = what.partition(",")[0] if row == "feeds" else what
        named = target.what in (None, format_name)
        if target.row == row and named and scale >= target.least_scale:
            return target
    return None
