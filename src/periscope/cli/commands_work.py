"""The table of commands, first part: taking in, looking, working on threats, memory."""

from __future__ import annotations

from periscope.cli.command import MEMORY, TRIAGE, WORK, Command

WORK_COMMANDS = (
    Command(
        "ingest",
        "periscope.cli.ingest:ingest",
        WORK,
        "Take in threats from files, or from standard input.",
        "The format of each file is recognised by its content: KEV, STIX, NDJSON, JSON and CSV, "
        "also gzip or zstd. Taking in a file again changes nothing. "
        "Exit code: 0 all taken in, 3 something was rejected, 1 a file or the server failed.",
        (
            "periscope ingest samples/kev-sample.json",
            "cat samples/ndjson-sample.ndjson | periscope ingest - --source siem",
        ),
    ),
    Command(
        "formats",
        "periscope.cli.formats:formats",
        WORK,
        "List the formats that feeds are read in; with a NAME, show one.",
        "Of one: an example, and where each field of a report comes from. Those of other packages "
        "are among them.",
        ("periscope formats", "periscope formats kev"),
    ),
    Command(
        "top",
        "periscope.cli.top:top",
        WORK,
        "Show what to look at next: the queue, exactly ranked.",
        "With --watch it stays and follows the queue until Ctrl-C.",
        ("periscope top --limit 5", "periscope top --watch"),
    ),
    Command(
        "list",
        "periscope.cli.listing:listing",
        WORK,
        "Go through the queue page by page, whole or in part.",
        "The ranking stands still during a walk: every page is of the moment of the first one.",
        (
            "periscope list --severity CRITICAL --count 10",
            "periscope list --score 0.7..1.0 --all --json",
            "periscope list --status closed",
        ),
    ),
    Command(
        "export",
        "periscope.cli.export:export_list",
        WORK,
        "Write a whole list as NDJSON, or as CSV that is safe to open in a spreadsheet.",
        "In rank order, as of one moment. In CSV, text that a spreadsheet would take for a formula "
        "has a quotation mark before it.",
        ("periscope export --severity HIGH", "periscope export --format csv --level 2"),
    ),
    Command(
        "find",
        "periscope.cli.find:find",
        WORK,
        "Find threats by text, source, tag, TLP, indicator or holder, in rank order.",
        "Reads every record of that part of level 1, so it is exact, needs no server of ours, and "
        "is slow on a large database: a server answers the same from an index.",
        (
            "periscope find --text 'log4j* remote'",
            "periscope find --source cisa-kev --severity CRITICAL --count 10",
            "periscope find --not-source edr --not-tag test --not-tag known",
        ),
    ),
    Command(
        "similar",
        "periscope.cli.find:similar",
        WORK,
        "Show which threats share an indicator or the content with one.",
        "In all levels, the most alike first: what is rare counts for more. Reads every record, as "
        "periscope find does.",
        ("periscope similar CVE-2021-44228",),
    ),
    Command(
        "show",
        "periscope.cli.show:show_threat",
        WORK,
        "Show everything about one threat, and why it has its score.",
        "Looking at a threat this way leaves no trace on it.",
        ("periscope show CVE-2021-44228",),
    ),
    Command(
        "exists",
        "periscope.cli.membership:exists",
        WORK,
        "Say whether threats are known, whatever their level.",
        "Exit code: 0 all of them are known, 1 one of them is not.",
        ("periscope exists CVE-2021-44228 CVE-2025-48384",),
    ),
    Command(
        "seen",
        "periscope.cli.membership:seen",
        WORK,
        "Show which ids of a list are known.",
        "One id a line; any number. Known ones are shown with their level and the moment of their "
        "last activity.",
        ("printf 'CVE-2021-44228\\nCVE-1999-0001\\n' | periscope seen -",),
    ),
    Command(
        "overdue",
        "periscope.cli.memory:overdue",
        WORK,
        "Show what nobody has looked at in time, the longest overdue first.",
        "Open threats without any interaction that are past their response target: CRITICAL "
        "15 minutes, HIGH 1 hour, MEDIUM 8 hours, LOW 24 hours, unless the policy says "
        "otherwise.",
        ("periscope overdue --severity CRITICAL",),
    ),
    Command(
        "stats",
        "periscope.cli.stats:stats",
        WORK,
        "Count the threats by status, severity and level.",
        "",
        ("periscope stats",),
    ),
    Command(
        "next",
        "periscope.cli.claims:next_threat",
        TRIAGE,
        "Take what is to be looked at next, and show it.",
        "Claims the highest ranked open threat that nobody has. No two analysts get the same. "
        "Exit code: 1 if nothing is left.",
        ("periscope next --severity CRITICAL --lease 30m",),
    ),
    Command(
        "claim",
        "periscope.cli.claims:claim",
        TRIAGE,
        "Take a threat for yourself for a while.",
        "Others can look at it and interact with it meanwhile, but not decide, snooze or "
        "dismiss. The claim ends by itself; your interactions renew it.",
        ("periscope claim CVE-2021-44228 --lease 1h",),
    ),
    Command(
        "act",
        "periscope.cli.acts:act",
        TRIAGE,
        "Record that you view, escalate, dismiss, monitor or investigate a threat.",
        "It counts in the score. A threat of level 2 or 3 comes back to work. The answer "
        "names an id with which periscope undo takes it back.",
        (
            "periscope act CVE-2021-44228 investigate",
            "periscope act CVE-2021-44228 escalate",
        ),
    ),
    Command(
        "comment",
        "periscope.cli.acts:comment",
        TRIAGE,
        "Put a comment on record.",
        "It stands in the audit trail; the threat stays as it is.",
        ("periscope comment CVE-2021-44228 'Seen on web-03; the patch is out'",),
    ),
    Command(
        "undo",
        "periscope.cli.acts:undo",
        TRIAGE,
        "Take back your own last act on a threat.",
        "An interaction, a decision, a reopening or a snooze, within ten minutes and before the "
        "threat is promoted. Counts and status are as before.",
        ("periscope undo CVE-2021-44228",),
    ),
    Command(
        "release",
        "periscope.cli.claims:release",
        TRIAGE,
        "Give a threat back that you have claimed.",
        "",
        ("periscope release CVE-2021-44228",),
    ),
    Command(
        "decide",
        "periscope.cli.acts:decide",
        TRIAGE,
        "Close a threat with an outcome.",
        "Outcomes: true_positive_impact, true_positive_no_impact (both promote it at once), "
        "benign_expected, false_positive_logic, false_positive_data (these withdraw its "
        "validation), duplicate (with --duplicate-of), inconclusive.",
        (
            "periscope decide CVE-2024-8069 benign_expected --note 'Not in use here'",
            "periscope decide CVE-2024-8068 duplicate --duplicate-of CVE-2024-8069",
            "periscope decide CVE-2021-44228 true_positive_impact",
        ),
    ),
    Command(
        "reopen",
        "periscope.cli.acts:reopen",
        TRIAGE,
        "Open a threat again, without outcome.",
        "What its outcome withdrew holds again.",
        ("periscope reopen CVE-2024-8069 --note 'It is in use after all'",),
    ),
    Command(
        "snooze",
        "periscope.cli.snooze:snooze",
        TRIAGE,
        "Take threats out of the queue until a time, or until they get worse.",
        "They are open again when the time has come, and before that if a report raises their "
        "severity, or if somebody escalates or reopens them. They do not expire meanwhile. "
        "Exit code: 1 if one of them was refused; the others are snoozed.",
        (
            "periscope snooze CVE-2024-8069 --for 2h --note 'The patch is on its way'",
            "periscope snooze CVE-2024-8069 CVE-2025-48384 --until-worse",
            "periscope list --status snoozed",
        ),
    ),
    Command(
        "recall",
        "periscope.cli.acts:recall",
        TRIAGE,
        "Bring a threat of level 2 or 3 back to work.",
        "It keeps its history, and goes home when it has been quiet for an hour.",
        ("periscope recall CVE-2021-44228",),
    ),
    Command(
        "promote",
        "periscope.cli.memory:promote",
        MEMORY,
        "Promote what is eligible, now.",
        "The worker does so by itself; this is for those who do not wait. Claimed threats "
        "stay until they are released.",
        ("periscope promote",),
    ),
    Command(
        "knowledge",
        "periscope.cli.memory:knowledge",
        MEMORY,
        "Show what has been learned: levels 2 and 3, the surest first.",
        "",
        (
            "periscope knowledge",
            "periscope knowledge --level long --industry energy",
        ),
    ),
    Command(
        "history",
        "periscope.cli.history:history",
        MEMORY,
        "Show what departed; with an ID, all that is on record about one threat.",
        "Departures are listed newest first. With an ID, the acts of analysts stand among "
        "them, in time order.",
        (
            "periscope history --since 7d --reason expired_unseen",
            "periscope history CVE-2021-44228",
        ),
    ),
    Command(
        "audit",
        "periscope.cli.history:audit",
        MEMORY,
        "Show who did what, newest first.",
        "The trail is whole: what is in the archive, and what is still on its way there.",
        ("periscope audit --since 1d --count 20",),
    ),
    Command(
        "events",
        "periscope.cli.events:events",
        MEMORY,
        "Follow what happens, one line an event, until Ctrl-C.",
        "From now on, or from a position on. While the store is away it waits, and goes on where "
        "it was: nothing is left out or told twice.",
        ("periscope events --since 0-0 --count 3",),
    ),
    Command(
        "kpis",
        "periscope.cli.kpis:kpis",
        MEMORY,
        "Show how fast and how well threats are dealt with.",
        "Time to detect, triage, acknowledge and decide, true positives by source, and what came "
        "and went. The formulas are in the documentation.",
        ("periscope kpis --since 7d",),
    ),
    Command(
        "remove",
        "periscope.cli.removal:remove",
        MEMORY,
        "Take a threat out, and keep it out.",
        "It is moved into the archive; reports of its id are suppressed until periscope allow.",
        ("periscope remove CVE-2025-48384 --note 'Tracked elsewhere'",),
    ),
    Command(
        "allow",
        "periscope.cli.removal:allow",
        MEMORY,
        "Let reports of a removed id in again.",
        "",
        ("periscope allow CVE-2025-48384",),
    ),
    Command(
        "erase",
        "periscope.cli.removal:erase",
        MEMORY,
        "Remove a threat and blank all that is written about it, for good.",
        "Content, notes and comments go from the store and from the archive. Its id, the "
        "times and the counts stay, so that the ledger balances; who erased it is on record.",
        ("periscope erase CVE-2025-48384 --yes",),
    ),
)
