"""The table of commands, third part: feeds that are polled, and what could not be read."""

from __future__ import annotations

from periscope.cli.command import CARE, Command

FEEDS = "feeds"
DEADLETTERS = "deadletters"

FEED_FAMILIES = (
    (FEEDS, "Feeds that workers read again and again.", "periscope feeds list"),
    (DEADLETTERS, "What feeds and files said that cannot be read.", "periscope deadletters list"),
)

FEED_COMMANDS = (
    Command(
        "feeds add",
        "periscope.cli.feeds_add:add",
        CARE,
        "Define a feed for all workers, in the database.",
        "KIND is file, directory, http, taxii or misp. Secrets are not given here, but where they "
        "are: in a variable or a file of the worker's machine. A path is that of the worker's "
        "machine too. Feeds can stand in periscope.toml as well.",
        (
            "periscope feeds add kev file samples/kev-sample.json --settle 0s",
            "periscope feeds add drop directory samples --pattern '*.ndjson' --settle 0s",
        ),
    ),
    Command(
        "feeds list",
        "periscope.cli.feeds:list_feeds",
        CARE,
        "List the feeds with what they are and how they are doing.",
        "",
        ("periscope feeds list",),
    ),
    Command(
        "feeds run",
        "periscope.cli.feeds_run:run",
        CARE,
        "Run feeds now, due or not, and say what they brought.",
        "Exit code: 0 done, 1 one of them failed, 3 some records could not be read.",
        ("periscope feeds run kev",),
    ),
    Command(
        "feeds status",
        "periscope.cli.feeds:status",
        CARE,
        "Count what each feed has brought, and say how far behind it is.",
        "Exit code: 1 if a feed fails, or cannot be used.",
        ("periscope feeds status",),
    ),
    Command(
        "feeds show",
        "periscope.cli.feeds:show",
        CARE,
        "Show all about one feed.",
        "",
        ("periscope feeds show kev",),
    ),
    Command(
        "feeds pause",
        "periscope.cli.feeds:pause",
        CARE,
        "Hold feeds back, for all workers, until they are resumed.",
        "A run under way ends after what it has in hand.",
        ("periscope feeds pause kev",),
    ),
    Command(
        "feeds resume",
        "periscope.cli.feeds:resume",
        CARE,
        "Let paused feeds run again, at once.",
        "",
        ("periscope feeds resume kev",),
    ),
    Command(
        "feeds remove",
        "periscope.cli.feeds:remove",
        CARE,
        "Remove feeds with their status and position.",
        "What they brought stays, and so do their dead letters.",
        ("periscope feeds remove kev",),
    ),
    Command(
        "deadletters list",
        "periscope.cli.deadletters:list_letters",
        CARE,
        "List what could not be read: how much of each feed, or what of one.",
        "What periscope ingest could not read is listed as feed ingest.",
        ("periscope deadletters list",),
    ),
    Command(
        "deadletters show",
        "periscope.cli.deadletters:show",
        CARE,
        "Show one letter with the record itself.",
        "",
        (
            "periscope ingest samples/kev-sample.json --format ndjson || "
            "periscope deadletters show ingest",
        ),
    ),
    Command(
        "deadletters replay",
        "periscope.cli.deadletters:replay",
        CARE,
        "Read letters again, after a fix, and drop those that go in.",
        "Each is read as its feed is now defined; options go before that. Those that fail again "
        "stay. Exit code: 3 if any did.",
        ("periscope deadletters replay drop",),
    ),
    Command(
        "deadletters drop",
        "periscope.cli.deadletters:drop",
        CARE,
        "Drop letters: one, or all of a feed.",
        "",
        ("periscope deadletters drop ingest --all",),
    ),
)
