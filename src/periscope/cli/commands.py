"""The table of commands: their words, where they live, what their help says.

A command's module is imported when the command is called (or asked for help), not before. The
examples run in the order of the table, on one database: a test does so.
"""

from __future__ import annotations

from periscope.cli.commands_access import ACCESS_COMMANDS, ACCESS_FAMILIES
from periscope.cli.commands_feeds import FEED_COMMANDS, FEED_FAMILIES
from periscope.cli.commands_noise import NOISE_COMMANDS
from periscope.cli.commands_upkeep import UPKEEP_COMMANDS
from periscope.cli.commands_work import WORK_COMMANDS

SERVER = "server"
CLUSTER = "cluster"
SUPPRESS = "suppress"
WARNINGLISTS = "warninglists"
BENCH = "bench"
FAMILIES = (
    *FEED_FAMILIES,
    *ACCESS_FAMILIES,
    (SERVER, "Look at, stop or repair the embedded server.", "periscope server status"),
    (SUPPRESS, "Rules that say what is noise, for everybody.", "periscope suppress list"),
    (
        WARNINGLISTS,
        "Lists of what is known to be harmless.",
        "periscope warninglists load samples/warninglist-sample.json",
    ),
    (CLUSTER, "A cluster on this machine, for trying things out.", "periscope cluster up"),
)
"""Commands of two words: the first one, what its help says, and an example."""

COMMANDS = (*WORK_COMMANDS, *FEED_COMMANDS, *NOISE_COMMANDS, *ACCESS_COMMANDS, *UPKEEP_COMMANDS)

ROOT_EXAMPLES = ("periscope ingest samples/kev-sample.json", "periscope top")
