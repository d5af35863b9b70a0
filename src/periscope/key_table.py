"""What each key holds, for how long, and who writes it: the table that the docs print."""

from __future__ import annotations

from typing import NamedTuple


class KeyKind(NamedTuple):
    """A row of the key table."""

    name: str
    pattern: str
    type: str
    holds: str
    lifetime: str
    owner: str


KEY_TABLE = (
    KeyKind(
        "control",
        "{ns:control}",
        "hash",
        (
            "format, partitions, secret (keys fingerprints and cursors), policy, "
            "policy_revision, generation (of the tags), archive (its identity), clock (set while "
            "sweeps are paused), move (how far one has come), moved_to"
        ),
        "for ever",
        "periscope_control_2, periscope_set_policy, periscope_note, periscope_move",
    ),
    KeyKind(
        "noise",
        "{ns:control}:noise",
        "hash",
        "revision, index (suppression rules, which warninglists), p:<digest> (pieces of lists)",
        "for ever",
        "periscope_noise_piece, periscope_noise_commit",
    ),
    KeyKind(
        "feeds",
        "{ns:control}:feeds",
        "hash",
        "feed -> its definition as JSON, for those that were added by command or call",
        "until removed; 500 at most",
        "periscope_feed_define",
    ),
    KeyKind(
        "feed_state",
        "{ns:control}:feed_state",
        "hash",
        "feed -> a line of what the functions go by, then its status as JSON; '' -> last token",
        "until removed",
        "86_feeds.lua",
    ),
    KeyKind(
        "feed_position",
        "{ns:control}:feed_position",
        "hash",
        "feed -> how far it has come, as JSON",
        "until removed",
        "periscope_feed_keep, periscope_feed_release",
    ),
    KeyKind(
        "access",
        "{ns:control}:access",
        "hash",
        (
            "revision; k:<prefix> (an API key as JSON, with the SHA-256 of its secret), "
            "u:<prefix> (ms when it was last used), a:<name> (an account as JSON, with the "
            "argon2id hash of its password)"
        ),
        "for ever; 5,000 keys and 5,000 accounts at most",
        "periscope_access_put, periscope_access_used",
    ),
    KeyKind(
        "attempts",
        "{ns:control}:attempts:<digest>",
        "string",
        "failed sign-ins under one name (by its SHA-256), and ms until which it is locked out",
        "2 hours after the last one, or until one succeeds",
        "periscope_attempt",
    ),
    KeyKind(
        "session",
        "{ns:control}:session:<digest>",
        "string",
        "whose session it is, by the SHA-256 of its token, as JSON",
        "8 hours after its last use, 24 hours at most",
        "periscope_session",
    ),
    KeyKind(
        "bucket",
        "{ns:control}:bucket:<prefix>",
        "string",
        "how many requests an API key has left, and as of when",
        "until it is full again",
        "periscope_spend",
    ),
    KeyKind(
        "views",
        "{ns:control}:views",
        "hash",
        "view -> its revision, the ms of its last change, and what it is as JSON",
        "until removed; 1,000 at most, 100 of an owner",
        "periscope_view_put",
    ),
    KeyKind(
        "timeline",
        "{ns:control}:timeline",
        "stream",
        "a sample of the queue in figures as JSON; the id of an entry is its minute in ms",
        "1,440 samples, a minute each, oldest first",
        "periscope_sample",
    ),
    KeyKind(
        "meta",
        "{ns:p}:meta",
        "hash",
        (
            "format, policy_revision; token (of the last claim), remembered_since, "
            "forgotten, event_bytes, events_lost, audit_bytes, acts_* (how many of each kind); "
            "moving, move (while fenced)"
        ),
        "for ever; a day more where a database was left behind",
        "periscope_prepare, periscope_fence, every function that writes",
    ),
    KeyKind(
        "record",
        "{ns:p}:t:<id>",
        "string",
        "88-byte header (header.py) + the report as JSON",
        "as long as the threat is in a level",
        "periscope_ingest_3, periscope_act",
    ),
    KeyKind(
        "analysts",
        "{ns:p}:a:<id>",
        "hash",
        (
            "analyst -> their interactions, last action, its time and id; '' -> the "
            "claim; '\\1' -> the revision that decided the status"
        ),
        "as the record",
        "periscope_act",
    ),
    KeyKind(
        "board",
        "{ns:p}:board",
        "sorted set",
        "id -> (status * 176 + bucket) * 2^42 + last_activity_ms, for every threat of level 1",
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "exceptions",
        "{ns:p}:exceptions",
        "sorted set",
        (
            "id -> class * 2^42 + ms, for level 1 threats whose end the board cannot "
            "tell: unseen ones with sightings (by severity; first_seen), open CRITICAL "
            "and HIGH ones with a dismissal, recalled ones (last_activity), snoozed ones "
            "that wake by themselves (when)"
        ),
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "promotable",
        "{ns:p}:promotable",
        "sorted set",
        "id -> score when its eligibility was latched",
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "claims",
        "{ns:p}:claims",
        "sorted set",
        "id -> end of the lease in ms",
        "for ever; ended ones go with the next act on the threat or its departure",
        "periscope_act",
    ),
    KeyKind(
        "short",
        "{ns:p}:short",
        "sorted set",
        "id -> ms when it entered level 2",
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "short_rank",
        "{ns:p}:short_rank",
        "sorted set",
        "confidence, last_activity and id as bytes that sort, for level 2",
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "long",
        "{ns:p}:long",
        "sorted set",
        "id -> ms when it entered level 3; inf while protected",
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "long_rank",
        "{ns:p}:long_rank",
        "sorted set",
        (
            "industry ('' for all), then as short_rank; what decays apart from what is "
            "protected, for level 3"
        ),
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "sources",
        "{ns:p}:sources",
        "hash",
        "id -> the last words of its sources, for threats with more than one source",
        "as the record",
        "periscope_ingest_3",
    ),
    KeyKind(
        "ledger",
        "{ns:p}:ledger",
        "hash",
        "received, added, sightings, duplicates, suppressed, rejected, archived_*, removed",
        "for ever",
        "periscope_ingest_3, periscope_depart",
    ),
    KeyKind(
        "stubs",
        "{ns:p}:stubs",
        "hash",
        "id -> header, last words and analysts of a threat that departed",
        "7 days, 100,000 at most (policy)",
        "periscope_depart, periscope_ingest_3",
    ),
    KeyKind(
        "stub_ages",
        "{ns:p}:stub_ages",
        "sorted set",
        "id -> ms when it departed",
        "as the stub",
        "periscope_depart, periscope_ingest_3",
    ),
    KeyKind(
        "removed",
        "{ns:p}:removed",
        "hash",
        "id -> when, and by whom it was removed: it stays out",
        "until allowed again",
        "periscope_depart, periscope_act",
    ),
    KeyKind(
        "suppressed",
        "{ns:p}:suppressed",
        "hash",
        (
            "id -> severity, count, first and last ms, last return, when it came of late, cause, "
            "source and title of what was marked as noise (17_suppressed.lua)"
        ),
        "30 days after its last report, 100,000 at most",
        "periscope_ingest_3, periscope_suppressed_outlived",
    ),
    KeyKind(
        "suppressed_ages",
        "{ns:p}:suppressed_ages",
        "sorted set",
        "id -> ms of its last marked report",
        "as the suppressed entry",
        "periscope_ingest_3, periscope_suppressed_outlived",
    ),
    KeyKind(
        "suppressed_causes",
        "{ns:p}:suppressed_causes",
        "hash",
        "cause -> how many suppressed entries it has",
        "as long as there are any",
        "periscope_ingest_3, periscope_suppressed_outlived",
    ),
    KeyKind(
        "departures",
        "{ns:p}:departures",
        "hash",
        "batch -> which of its threats departed, until the archive has confirmed",
        "until confirmed",
        "periscope_depart, periscope_resolve, periscope_confirm",
    ),
    KeyKind(
        "events",
        "{ns:p}:events",
        "stream",
        "what happened, one entry a call, for whoever follows",
        "8 MiB (policy), oldest first",
        "every function that writes",
    ),
    KeyKind(
        "audit",
        "{ns:p}:audit",
        "stream",
        "what analysts did, and what was done about keys and accounts, one entry a call",
        "until it is in the archive",
        "periscope_act, periscope_depart, periscope_remark, periscope_trim",
    ),
    KeyKind(
        "done",
        "{ns:p}:done",
        "hash",
        "interaction or request id -> what it did and its reply",
        "24 to 48 hours, 250,000 at most (policy)",
        "periscope_act",
    ),
    KeyKind(
        "done_before",
        "{ns:p}:done_before",
        "hash",
        "the same of the period before",
        "as done",
        "periscope_act",
    ),
    KeyKind(
        "reply",
        "{ns:p}:reply:<chunk>",
        "string",
        "the answer to a chunk, so that a repeated one counts once",
        "10 minutes",
        (
            "periscope_ingest_3, periscope_act, periscope_promote_2, periscope_settle_2, "
            "periscope_wake, periscope_remark"
        ),
    ),
    KeyKind(
        "touch",
        "{ns:p}:touch",
        "string",
        (
            "nothing: written behind a change whose replicas or disk are waited for; "
            "{ns:control}:touch likewise"
        ),
        "a minute",
        "awaits.py",
    ),
)
