"""What each function of `lua/` takes: the table that a test compares with the Lua headers."""

from __future__ import annotations

from typing import NamedTuple


class Spec(NamedTuple):
    """What a function's header says: its keys and arguments in order, and whether it writes.

    `repeat` says why a call whose answer was lost may be sent again. `undeclared`: it reads records
    that it finds by itself, which its keys do not name; see `Connections.run`. `lasting`: losing it
    after it was acknowledged would be a lie, so replicas are waited for where the settings say so;
    what is not is done again by whoever comes next.
    """

    keys: tuple[str, ...]
    args: tuple[str, ...]
    writes: bool
    repeat: str = "reads only"
    undeclared: bool = False
    lasting: bool = True


_RANK_KEYS = ("meta", "board")
_QUEUE = ("meta", "board", "exceptions")
_PAIRS = ("singles...", "pair...")
_ONCE = ("singles...", "reply", "pair...")
_NOW = ("policy", "now_ms")
_NOISE = ("meta", "noise...")
_FEED = ("control", "feed_state", "feed_position")

SPECS: dict[str, Spec] = {
    "periscope_control": Spec(
        ("control",),
        ("format", "partitions", "secret", "policy"),
        True,
        "writes only what is missing",
        lasting=False,
    ),
    "periscope_control_2": Spec(
        ("control",),
        ("partitions", "secret", "policy", "generation"),
        True,
        "writes only what is missing",
        lasting=False,
    ),
    "periscope_set_policy": Spec(
        ("control",), ("expected_revision", "policy"), True, "compares the revision first"
    ),
    "periscope_prepare": Spec(
        ("meta",), ("format", "policy_revision", "policy"), True, "the same again", lasting=False
    ),
    "periscope_note": Spec(
        ("control",), ("name", "expected", "value"), True, "compares the note first"
    ),
    "periscope_feeds": Spec(("feeds", "feed_state"), ("now_ms",), False),
    "periscope_feed_take": Spec(
        _FEED, ("name", "owner", "lease_ms", "early", "now_ms"), True, "by owner: the same lease"
    ),
    "periscope_feed_keep": Spec(
        _FEED,
        ("name", "token", "lease_ms", "status", "position", "now_ms"),
        True,
        "compares the token first",
    ),
    "periscope_feed_release": Spec(
        _FEED,
        ("name", "token", "wait_ms", "status", "position", "now_ms"),
        True,
        "compares the token first",
    ),
    "periscope_feed_pause": Spec(
        ("control", "feed_state"), ("name", "paused"), True, "the same again"
    ),
    "periscope_feed_define": Spec(
        ("control", "feeds", "feed_state", "feed_position"),
        ("name", "expected", "definition"),
        True,
        "compares the definition first",
    ),
    "periscope_ingest": Spec(
        ("meta", "ledger", "board", "sources", "reply", "before", "record..."),
        ("policy_revision", "now_ms", "rejected", "report..."),
        True,
        "remembered by chunk",
    ),
    "periscope_ingest_2": Spec(
        ("singles...", "reply", "before", "record..."),
        (*_NOW, "rejected", "report..."),
        True,
        "remembered by chunk",
    ),
    "periscope_ingest_3": Spec(
        ("singles...", "noise...", "reply", "before", "record..."),
        (*_NOW, "rejected", "marks", "report..."),
        True,
        "remembered by chunk",
    ),
    "periscope_suppressed": Spec(
        ("meta", "suppressed", "suppressed_ages"),
        ("now_ms", "count", "cause", "after_ms", "after_id"),
        False,
    ),
    "periscope_suppressed_entry": Spec(("meta", "suppressed"), ("threat_id",), False),
    "periscope_suppressed_causes": Spec(("meta", "suppressed_causes"), (), False),
    "periscope_suppressed_forget": Spec(_NOISE, ("threat_id",), True, "the same again"),
    "periscope_suppressed_outlived": Spec(
        _NOISE, ("now_ms", "most"), True, "forgets what is too old", lasting=False
    ),
    "periscope_watch": Spec(
        ("singles...",), ("now_ms", "low", "medium", "high", "critical", "latched"), False
    ),
    "periscope_board": Spec(("meta", "board", "promotable"), _NOW, False),
    "periscope_act": Spec(
        ("singles...", "reply", "before", "pair..."),
        (*_NOW, "full", "first", "act..."),
        True,
        "each act is remembered by its id",
    ),
    "periscope_find": Spec(("meta", "done", "done_before"), ("request",), False),
    "periscope_find_2": Spec(("meta", "done", "done_before"), ("request...",), False),
    "periscope_desk": Spec(("meta", "analysts"), ("now_ms",), False),
    "periscope_promotable": Spec(
        ("meta", "promotable", "claims"), ("now_ms", "offset", "count"), False
    ),
    "periscope_promote": Spec(_PAIRS, _NOW, True, "looks again: promoted once"),
    "periscope_promote_2": Spec(_ONCE, _NOW, True, "remembered by batch"),
    "periscope_overtaken": Spec(
        ("singles...",), (*_NOW, "stretch", "offset", "count"), False, undeclared=True
    ),
    "periscope_settle": Spec(_PAIRS, _NOW, True, "looks again: settled once"),
    "periscope_settle_2": Spec(_ONCE, _NOW, True, "remembered by batch"),
    "periscope_sleepers": Spec(("meta", "exceptions"), ("now_ms", "offset", "count"), False),
    "periscope_wake": Spec(_ONCE, _NOW, True, "remembered by batch"),
    "periscope_depart": Spec(
        _PAIRS, (*_NOW, "batch", "actor", "revision..."), True, "remembered by batch"
    ),
    "periscope_resolve": Spec(
        ("meta", "departures"), ("batch", "now_ms"), True, "remembered by batch"
    ),
    "periscope_confirm": Spec(
        ("departures",), ("batch...",), True, "the same again", lasting=False
    ),
    "periscope_forget": Spec(
        ("singles...",), (*_NOW, "most"), True, "forgets what is too old", lasting=False
    ),
    "periscope_trim": Spec(
        ("meta", "audit"), ("last_entry",), True, "trims up to an entry", lasting=False
    ),
    "periscope_events": Spec(("meta", "events"), ("after", "count"), False),
    "periscope_places": Spec(_RANK_KEYS, (*_NOW, "id..."), False),
    "periscope_holders": Spec(("meta", "analysts..."), ("now_ms",), False),
    "periscope_rank": Spec(
        _RANK_KEYS,
        (
            *(*_NOW, "status", "severity", "lowest", "highest", "count"),
            *("records", "after_place", "after_id", "interactions"),
        ),
        False,
        undeclared=True,
    ),
    "periscope_next": Spec(
        (*_RANK_KEYS, "claims"), (*_NOW, "severity", "count", "after_place", "after_id"), False
    ),
    "periscope_levels": Spec(
        ("meta", "rank"),
        (*_NOW, "level", "industry", "count", "records", "after", "after_fading"),
        False,
        undeclared=True,
    ),
    "periscope_overdue": Spec(
        _QUEUE,
        (*_NOW, "severity", "count", "records", "after_due", "after_id"),
        False,
        undeclared=True,
    ),
    "periscope_count_overdue": Spec(_QUEUE, (*_NOW, "severity", "offset"), False),
    "periscope_threats": Spec(("meta", "record..."), ("policy_revision", "now_ms"), False),
    "periscope_members": Spec(("meta", "level"), ("after_score", "after_id", "count"), False),
    "periscope_follow": Spec(
        ("meta", "events", "ledger", "board", "short", "long"), ("after", "count"), False
    ),
    "periscope_seen": Spec(("meta", "record..."), (), False),
    "periscope_stats": Spec(
        ("meta", "board", "short_term", "long_term", "ledger"), ("now_ms",), False
    ),
    "periscope_holdings": Spec(("singles...",), ("now_ms",), False),
    "periscope_verify": Spec(("meta", "board", "record..."), (), False),
    "periscope_inspect": Spec(("singles...", "record..."), ("policy",), False),
    "periscope_move": Spec(
        ("control",), ("expected", "value", "pair..."), True, "compares the state first"
    ),
    "periscope_fence": Spec(("meta",), ("move", "reason", "new"), True, "the same again"),
    "periscope_hold": Spec(("meta",), ("move",), True, "the same again"),
    "periscope_unfence": Spec(("meta",), ("move",), True, "the same again"),
    "periscope_open": Spec(
        ("meta", "events", "audit"),
        ("move", "policy_revision", "policy", "entry"),
        True,
        "the same again",
    ),
    "periscope_resolve_fenced": Spec(
        ("meta", "departures"), ("move", "batch", "now_ms"), True, "remembered by batch"
    ),
    "periscope_discard": Spec(
        ("meta", "set", "pair..."), ("move", "id..."), True, "the same again"
    ),
    "periscope_discard_rest": Spec(
        ("singles...", "noise..."), ("move", "keep_ms"), True, "the same again"
    ),
    "periscope_adopt": Spec(
        _PAIRS, ("policy", "move", "threat..."), True, "writes the same values"
    ),
    "periscope_fill": Spec(
        ("meta", "key"), ("move", "kind", "pair..."), True, "writes the same values"
    ),
    "periscope_carry": Spec(_PAIRS, ("move", "most"), False),
    "periscope_prove": Spec(("singles...", "record..."), ("policy", "move"), False),
    "periscope_noise_piece": Spec(
        ("control", "noise"),
        ("move", "expected_revision", "name", "bytes"),
        True,
        "writes the same again",
        lasting=False,
    ),
    "periscope_noise_commit": Spec(
        ("control", "noise"),
        ("move", "expected_revision", "index", "piece..."),
        True,
        "compares the revision first",
    ),
    "periscope_access": Spec(("access",), ("known_revision", "now_ms"), False),
    "periscope_access_put": Spec(
        ("control", "access"),
        ("expected_revision", "pair..."),
        True,
        "compares the revision first",
    ),
    "periscope_access_used": Spec(("access",), ("pair...",), True, "the same again", lasting=False),
    "periscope_attempt": Spec(
        ("attempts",), ("now_ms",), True, "counts once more: the safe side", lasting=False
    ),
    "periscope_session": Spec(
        ("session",), ("value", "ttl_ms", "renew"), True, "the same again", lasting=False
    ),
    "periscope_spend": Spec(
        ("bucket",),
        ("rate", "burst", "wanted", "least", "now_ms"),
        True,
        "takes once more: the safe side",
        lasting=False,
    ),
    "periscope_sample": Spec(
        ("control", "timeline"),
        ("minute_ms", "sample", "now_ms"),
        True,
        "finds it there",
        lasting=False,
    ),
    "periscope_timeline": Spec(("timeline",), ("span_ms", "now_ms"), False),
    "periscope_view_put": Spec(
        ("control", "views"),
        ("id", "expected_revision", "view", "now_ms"),
        True,
        "finds it stored",
    ),
    "periscope_remark": Spec(
        ("meta", "audit", "reply"),
        ("policy", "now_ms", "action", "who", "request", "told"),
        True,
        "remembered by request",
    ),
}
