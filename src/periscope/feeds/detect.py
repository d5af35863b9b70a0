"""Which format an input has, from its first 64 KiB; and what can be refused at a glance."""

from __future__ import annotations

from periscope.errors import FeedError
from periscope.feeds.format import GENERAL, Format, Sample
from periscope.feeds.inputs import Input
from periscope.feeds.lines import BOM
from periscope.feeds.options import ReadOptions
from periscope.feeds.refusals import markup, refusal
from periscope.feeds.registry import all_formats, by_name, format_names


def choose(source: Input, name: str | None, options: ReadOptions) -> Format | None:
    """Return the format named, or else recognised; None for an input without any content.

    Where the caller says which columns or keys mean what, only the generic formats are asked.

    Raises:
        FeedError: no such format, none recognised, or nothing that any format could read.

    """
    named = by_name(name) if name is not None else None
    sample = Sample(*source.sample(1 if named else 64 * 1024))
    if reason := refusal(sample.data):
        raise FeedError(reason)
    if sample.complete and not sample.data.removeprefix(BOM).strip():
        return None
    named = named and _unless_markup(named, sample)
    return named or _recognised(sample, generic=bool(options.columns or options.header))


def _unless_markup(named: Format, sample: Sample) -> Format:
    """Let a format of anybody's read XML: one that says that it is its own."""
    words = markup(sample.data)
    if words and not named.recognises(sample):
        raise FeedError(words)
    return named


def _recognised(sample: Sample, *, generic: bool) -> Format:
    for one in all_formats():
        if (one.rank >= GENERAL or not generic) and one.recognises(sample):
            return one
    if words := markup(sample.data):
        raise FeedError(words)
    raise FeedError(
        f"the first 64 KiB look like none of {', '.join(format_names())}; if it is one of them, "
        "give --format"
    )
