"""The table of commands: their words, where they live, what their help says.

A command's module is imported when the command is called (or asked for help), not before. The
examples run in the order of the table, on one database: a test does so.
"""

from __future__ import annotations

from typing import NamedTuple

from cyclopts import Group

WORK = Group("Take in and look", sort_key=0)
TRIAGE = Group("Work on threats", sort_key=1)
MEMORY = Group("Memory", sort_key=2)
CARE = Group("Upkeep", sort_key=3)
ABOUT = Group("About", sort_key=4)


class Command(NamedTuple):
    """One command: its words, where it lives, what its help says, and examples that run."""

    name: str
    place: str
    group: Group
    summary: str
    more: str
    examples: tuple[str, ...]


SERVER = "server"
CLUSTER = "cluster"
BENCH = "bench"
FAMILIES = (
    (SERVER, "Look at, stop or repair the embedded server.", "periscope server status"),
    (CLUSTER, "A cluster on this machine, for trying things out.", "periscope cluster up"),
)
"""Commands of two words: the first one, what its help says, and an example."""

COMMANDS = (
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
        "show",
        "periscope.cli.show:show_threat",
        WORK,
        "Show everything about one threat, and why it has its score.",
        "Looking at a threat this way leaves no trace on it.",
        ("periscope show CVE-2021-44228",),
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
        "Others can look at it and interact with it meanwhile, but neither decide nor "
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
        "An interaction, a decision or a reopening, within ten minutes and before the threat "
        "is promoted. Counts and status are as before.",
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
    Command(
        "ledger",
        "periscope.cli.ledger:ledger",
        CARE,
        "Prove that nothing was lost: what came in against where it is.",
        "Exit code: 0 it balances, 1 it does not.",
        ("periscope ledger --deep",),
    ),
    Command(
        "worker",
        "periscope.cli.worker:worker",
        CARE,
        "Promote, expire and archive, until Ctrl-C or SIGTERM.",
        "Run it always, anywhere; any number may run at once. With --once each job is done once.",
        ("periscope worker --once",),
    ),
    Command(
        "backup",
        "periscope.cli.backups:backup",
        CARE,
        "Write everything into one file: the database and its archive.",
        "Nobody is stopped; if too much is written meanwhile, it says so and leaves no file. "
        "The file has mode 0600 and is as secret as the database.",
        ("periscope backup /tmp/periscope.backup --force",),
    ),
    Command(
        "restore",
        "periscope.cli.backups:restore",
        CARE,
        "Fill an empty database and an empty archive from a backup.",
        "The whole file is checked before anything is written, and the ledger recounted "
        "afterwards. Exit code: 1 if anything is not as it was.",
        ('periscope restore /tmp/periscope.backup --data-dir "$(mktemp -d)"',),
    ),
    Command(
        "policy",
        "periscope.cli.policy:policy",
        CARE,
        "Show the rules in force, or change them.",
        "What differs from the defaults is marked. A change holds for all processes at once. "
        "Python's name of the fields is Policy.",
        (
            "periscope policy",
            "periscope policy set target_high=90m undo_within=5m --dry-run",
        ),
    ),
    Command(
        "server status",
        "periscope.cli.server:status",
        CARE,
        "Say whether the embedded server runs, and who uses it.",
        "Starts and stops nothing.",
        ("periscope server status",),
    ),
    Command(
        "server stop",
        "periscope.cli.server:stop",
        CARE,
        "Stop the embedded server cleanly.",
        "Needed only if it was left running: the last program that uses it stops it anyway.",
        ("periscope server stop",),
    ),
    Command(
        "server repair",
        "periscope.cli.server:repair",
        CARE,
        "Cut off data that a stopped server cannot read, after keeping a copy.",
        "Only where Periscope says that its data are damaged. "
        "Everything from the damaged change on is cut off: report it again.",
        ("periscope server repair",),
    ),
    Command(
        "cluster up",
        "periscope.cli.cluster:up",
        CARE,
        "Start a cluster on this machine, for trying things out.",
        "Plain processes on ports of loopback, their data below the data directory. All nodes "
        "share this machine and its disk, and every user of it can reach them: nothing is safer "
        "this way. Again, it starts what does not run: after a restart, or a node that died.",
        ("periscope cluster up", "periscope cluster up --primaries 3 --replicas 1"),
    ),
    Command(
        "cluster status",
        "periscope.cli.cluster:status",
        CARE,
        "Show the nodes of the cluster on this machine.",
        "Starts and stops nothing.",
        ("periscope cluster status",),
    ),
    Command(
        "cluster down",
        "periscope.cli.cluster:down",
        CARE,
        "Stop the cluster on this machine cleanly.",
        "What was stored is kept: periscope cluster up starts the same cluster again.",
        ("periscope cluster down",),
    ),
    Command(
        "bench",
        "periscope.cli.bench:BENCH",
        CARE,
        "Measure this machine against the figures that Periscope promises.",
        "Runs on servers and data of its own; your database is not touched.",
        ("periscope bench --scale 10k --runs 1",),
    ),
    Command(
        "bench seed",
        "periscope.cli.bench:seed",
        CARE,
        "Measure what such systems promise, beside one redis-py call for each operation.",
        "Ingest, queries, scan, concurrent operations, hit rate and memory at each scale.",
        ("periscope bench seed --scale 10k --runs 1",),
    ),
    Command(
        "bench pool",
        "periscope.cli.bench:pool",
        CARE,
        "Try sizes of the pool of connections, and recommend one for this machine.",
        "Sizes 1 to 32, each with 1 to 1,000 callers who add, read and act.",
        ("periscope bench pool --calls 1000 --runs 1",),
    ),
    Command(
        "bench chart",
        "periscope.cli.bench:chart",
        CARE,
        "Draw the results of bench seed as an SVG file.",
        "Ingest rate, latency of the top 100 and memory against the number of threats.",
        ("periscope bench chart docs/figures/seed.json --out /tmp/growth.svg",),
    ),
    Command(
        "bench readme",
        "periscope.cli.bench:readme",
        CARE,
        "Write the results of bench into a page, between its marks.",
        "",
        ("periscope bench readme docs/figures/bench.json --into README.md",),
    ),
    Command(
        "settings",
        "periscope.cli.settings:settings",
        ABOUT,
        "Show every setting, its value and where that comes from.",
        "",
        ("periscope settings",),
    ),
)

ROOT_EXAMPLES = ("periscope ingest samples/kev-sample.json", "periscope top")
