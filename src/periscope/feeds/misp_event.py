"""A MISP event, or one attribute that was found by a search, as a finding."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from periscope.feeds.finding import (
    LONGEST_SOURCE,
    Finding,
    dict_of,
    dicts_of,
    list_of,
    severity_of,
    text_of,
    texts,
)
from periscope.feeds.fingerprint import fingerprint_id
from periscope.feeds.indicators import Indicator
from periscope.feeds.markings import strictest, tlp_word
from periscope.feeds.misp_attributes import (
    REFERENCES,
    Attribute,
    attribute_indicators,
    attributes,
    wanted,
)
from periscope.feeds.misp_refusals import UUID
from periscope.feeds.moments import moment_ms, ms_text, rfc3339
from periscope.feeds.options import ReadOptions

Event = dict[str, Any]
Pairs = list[tuple[Attribute, str]]

SOURCE = "misp"
LEVEL = "threat_level_id"
ANALYSIS = {"0": "initial", "1": "ongoing", "2": "completed"}
NEVER = (None, "", "0", 0)
TLP = re.compile(r'(?:[\w.-]+:)?tlp\s*[:=]\s*"?([a-z+]+)"?', re.IGNORECASE)
GALAXY_TAG = re.compile(r'misp-galaxy:([\w-]+)="([^"]+)"')
TECHNIQUE = re.compile(r"\bT\d{4}(?:\.\d{3})?\b")
SECTOR = "sector"
SHOWN = 60
LONGEST_VALUE = 200
LONGEST_REPORT = 4096
LONGEST_NAME = 256
MOST_NAMES = 50


def event_finding(event: Event, options: ReadOptions) -> Finding:
    """Return what an event states: its own fields, and its attributes as indicators.

    Raises:
        BadRecord: its threat level is not in the table.

    """
    found = attributes(event)
    info = text_of(event, "info")
    source = _organisation(event)
    tags = _tag_names(event)
    for one, _ in found:
        if "Tag" in one:
            tags += _tag_names(one)
    tags = list(dict.fromkeys(tags))
    clusters = [*_tag_clusters(tags), *_clusters(event)] if tags or "Galaxy" in event else []
    own = text_of(event, "uuid")
    return Finding(
        threat_id=f"misp:{own.lower()}"
        if UUID.fullmatch(own)
        else fingerprint_id("misp", (source, info, event.get("date"))),
        title=info,
        content=_content(event, info, found),
        severity=severity_of(options, "misp", [(LEVEL, event.get(LEVEL) or None)]),
        source=source,
        type="report",
        observed_at=_time(event, "timestamp", "publish_timestamp", "date"),
        tags=[*tags, *_cluster_tags(clusters)],
        tlp=strictest(_tlp(tags)),
        references=_references(found),
        indicators=_indicators(found),
        first_observed=_extreme(found, "first_seen", min) or _time(event, "date"),
        last_observed=_extreme(found, "last_seen", max),
        industry=_sectors(clusters),
        raw=_head(event),
        more=_more(event, found),
    )


def attribute_finding(row: Attribute, options: ReadOptions) -> Finding:
    """Return what one attribute of a search's answer states, with its event's name if it is there.

    Raises:
        BadRecord: its event's threat level is not in the table.

    """
    event = dict_of(row, "Event")
    kind, value = text_of(row, "type"), text_of(row, "value")
    tags = list(dict.fromkeys(_tag_names(row)))
    clusters = [*_tag_clusters(tags), *_clusters(row)]
    own = text_of(row, "uuid")
    says = (text_of(row, "comment"), text_of(event, "info"), text_of(row, "category"))
    return Finding(
        threat_id=f"misp:{own.lower()}"
        if UUID.fullmatch(own)
        else fingerprint_id("misp", (kind, value)),
        title=f"{kind}: {value}"[:LONGEST_VALUE],
        content="\n".join([f"{kind}: {value}"[:LONGEST_REPORT], *filter(None, says)]),
        severity=severity_of(options, "misp", [(LEVEL, event.get(LEVEL) or None)]),
        source=_organisation(event),
        type="indicator",
        observed_at=_time(row, "timestamp"),
        tags=[*tags, *_cluster_tags(clusters)],
        tlp=strictest(_tlp(tags)),
        indicators=attribute_indicators(row),
        first_observed=_extreme([(row, "")], "first_seen", min),
        last_observed=_extreme([(row, "")], "last_seen", max),
        industry=_sectors(clusters),
        raw=_head(row),
        more={"event": text_of(event, "info")[:LONGEST_VALUE]},
    )


def _organisation(event: Event) -> str:
    for key in ("Orgc", "Org"):
        if name := text_of(dict_of(event, key), "name"):
            return name[:LONGEST_SOURCE]
    return text_of(event, "orgc", "org")[:LONGEST_SOURCE] or SOURCE


def _tag_names(part: dict[str, Any]) -> list[str]:
    ones = list_of(part.get("Tag"))
    if "EventTag" in part:
        ones = ones + [dict_of(one, "Tag") for one in dicts_of(part["EventTag"])]
    names = [one.get("name") if isinstance(one, dict) else one for one in ones]
    return [name for name in names if isinstance(name, str)]


def _tlp(tags: list[str]) -> Iterator[str]:
    for tag in tags:
        found = TLP.fullmatch(tag.strip()) if ":" in tag and len(tag) < LONGEST_NAME else None
        if found and (word := tlp_word(found[1])):
            yield word


def _tag_clusters(tags: list[str]) -> Iterator[tuple[str, str]]:
    """Yield kind and name of the galaxy clusters that tags name."""
    for tag in tags:
        found = GALAXY_TAG.fullmatch(tag) if tag.startswith("misp-galaxy:") else None
        if found:
            yield found[1].lower(), found[2]


def _clusters(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for galaxy in dicts_of(part.get("Galaxy")):
        for cluster in dicts_of(galaxy.get("GalaxyCluster")):
            kind = text_of(cluster, "type") or text_of(galaxy, "type")
            if name := text_of(cluster, "value"):
                yield kind.lower(), name


def _cluster_tags(clusters: list[tuple[str, str]]) -> Iterator[str]:
    """Yield ids of ATT&CK's techniques, and names of whatever else there is but sectors."""
    for kind, name in clusters:
        found = TECHNIQUE.search(name)
        if found:
            yield found[0]
        elif kind != SECTOR:
            yield name


def _sectors(clusters: list[tuple[str, str]]) -> list[str]:
    return texts((name for kind, name in clusters if kind == SECTOR), MOST_NAMES, LONGEST_NAME)


def _references(found: Pairs) -> list[object]:
    return [one.get("value") for one, _ in found if one.get("type") in REFERENCES]


def _indicators(found: Pairs) -> Iterator[Indicator]:
    for one, name in wanted([pair for pair in found if pair[0].get("type") not in REFERENCES]):
        yield from attribute_indicators(one, name)


def _content(event: Event, info: str, found: Pairs) -> str:
    """Return the name, how many attributes of which types, the first of them, and what is told."""
    lines = [info]
    if found:
        lines += ["", f"Attributes: {len(found):,} ({_counted(found)})"]
        lines += [_line(one, name) for one, name in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"and {len(found) - SHOWN:,} more")
    for told in dicts_of(event["EventReport"])[:MOST_NAMES] if event.get("EventReport") else ():
        lines += ["", text_of(told, "name"), text_of(told, "content")[:LONGEST_REPORT]]
    return "\n".join(lines)


def _counted(found: Pairs) -> str:
    counts: dict[str, int] = {}
    for one, _ in found:
        kind = _text(one, "type")
        counts[kind] = counts.get(kind, 0) + 1
    kinds = sorted(counts, key=counts.__getitem__, reverse=True)[:MOST_NAMES]
    return ", ".join([f"{counts[kind]:,} {kind[:LONGEST_NAME]}" for kind in kinds])


def _line(one: Attribute, name: str) -> str:
    kind = _text(one, "object_relation") or _text(one, "type")
    comment = _text(one, "comment")
    said = f"  ({comment[:LONGEST_VALUE]})" if comment else ""
    kind = f"{name} {kind}" if name else kind
    return f"{kind[:LONGEST_VALUE]}: {_text(one, 'value')[:LONGEST_VALUE]}{said}"


def _text(one: Attribute, key: str) -> str:
    value = one.get(key)
    if type(value) is str:
        return value
    return str(value) if type(value) in (int, float) else ""


def _extreme(found: Pairs, key: str, choose: Callable[[list[int]], int]) -> str | None:
    """Return the earliest or latest of the attributes' times; those that are none do not count."""
    moments = []
    for one, _ in found:
        if one.get(key) not in NEVER:
            with suppress(ValueError):
                moments.append(moment_ms(one[key]))
    return ms_text(choose(moments)) if moments else None


def _time(part: dict[str, Any], *keys: str) -> object:
    for key in keys:
        if part.get(key) not in NEVER:
            return part[key]
    return None


def _head(part: dict[str, Any]) -> dict[str, Any]:
    """Return a record without the lists in it, and without what attachments hold."""
    return {
        key: one
        for key, one in part.items()
        if type(one) is not list and key not in ("data", "Event", "Org")
    }


def _more(event: Event, found: Pairs) -> dict[str, Any]:
    return {
        "analysis": ANALYSIS.get(text_of(event, "analysis"), ""),
        "published": _published(event.get("publish_timestamp")),
        "distribution": text_of(event, "distribution")[:LONGEST_NAME],
        "extends": text_of(event, "extends_uuid")[:LONGEST_NAME],
        "attributes": len(found) or None,
    }


def _published(value: object) -> str | None:
    try:
        return None if value in NEVER else rfc3339(value)
    except ValueError:
        return None
