"""The table of commands, second part: upkeep, and about the program itself."""

from __future__ import annotations

from periscope.cli.command import ABOUT, CARE, Command

UPKEEP_COMMANDS = (
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
        "Promote, wake, expire, archive, and read feeds, until Ctrl-C or SIGTERM.",
        "Run it always, anywhere; any number may run at once. With --once each job is done once. "
        "Exit code then: 1 if a feed or another job failed.",
        ("periscope worker --once",),
    ),
    Command(
        "serve",
        "periscope.cli.serve:serve",
        CARE,
        "Serve the HTTP API, and do what workers do, until Ctrl-C or SIGTERM.",
        "The first start prints the key of an administrator, once. Without TLS it listens on "
        "loopback only. What is in hand when it ends is finished first.",
        ("periscope serve --port 8080",),
    ),
    Command(
        "demo",
        "periscope.cli.demo:demo",
        CARE,
        "Try it: the console on a real feed, in a database of its own, until Ctrl-C.",
        "Serves on a free port of loopback, makes an account, says where and with which password, "
        "and lets the samples flow in. Settings and periscope.toml are left aside. Exit code: 1 "
        "if the page or the queue cannot be had, or the ledger does not balance.",
        ("periscope demo", "periscope demo --seconds 15 --no-open"),
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
        "repartition",
        "periscope.cli.moves:repartition",
        CARE,
        "Give the database more or fewer partitions, or another server.",
        "Every other program is refused meanwhile. Interrupted or killed, the same command goes "
        "on with it, and --abort gives it up. Programs open the database again afterwards.",
        ("periscope repartition --partitions 4",),
    ),
    Command(
        "rebuild",
        "periscope.cli.moves:rebuild",
        CARE,
        "Put a policy in force that boards and ranks must be built anew for.",
        "That is another interactions_cap or escalations_cap, or another decay_per_day while "
        "long-term threats decay; for all else there is periscope policy. It works as "
        "periscope repartition does.",
        ("periscope rebuild --set interactions_cap=5",),
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
        "Sizes 1 to 32, each with 1 to 1,000 callers who add, read and act in 64 partitions.",
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
