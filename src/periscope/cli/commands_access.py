"""The table of commands: who may do what."""

from __future__ import annotations

from periscope.cli.command import CARE, Command

ACCESS_FAMILIES = (
    ("keys", "API keys: what programs show to be let in.", "periscope keys list"),
    ("accounts", "Accounts of people who sign in.", "periscope accounts list"),
)

ACCESS_COMMANDS = (
    Command(
        "keys create",
        "periscope.cli.keys:create",
        CARE,
        "Make an API key, and show it this once.",
        "Good within a second for every process that serves this database. Scopes: ingest, read, "
        "act, admin (all of them).",
        (
            "periscope keys create siem --scope ingest --source siem --rate 100",
            "periscope keys create weekend --scope read,act --acts-as ann --expires 3d",
        ),
    ),
    Command(
        "keys list",
        "periscope.cli.keys:listing",
        CARE,
        "List the API keys, and when each was used last.",
        "",
        ("periscope keys list",),
    ),
    Command(
        "keys revoke",
        "periscope.cli.keys:revoke",
        CARE,
        "Revoke an API key; refused everywhere within a second.",
        "",
        ("periscope keys revoke siem",),
    ),
    Command(
        "accounts add",
        "periscope.cli.accounts:add",
        CARE,
        "Make an account that signs in with a password.",
        "The password is asked for, or is the first line of standard input: 12 to 1,024 "
        "characters, whichever they are.",
        ("echo 'correct horse battery' | periscope accounts add ann --scope read,act",),
    ),
    Command(
        "accounts list",
        "periscope.cli.accounts:listing",
        CARE,
        "List the accounts.",
        "",
        ("periscope accounts list",),
    ),
    Command(
        "accounts password",
        "periscope.cli.accounts:password",
        CARE,
        "Give an account another password, which ends its sessions.",
        "It is asked for, or is the first line of standard input.",
        ("echo 'battery horse correct' | periscope accounts password ann",),
    ),
    Command(
        "accounts scopes",
        "periscope.cli.accounts:scopes",
        CARE,
        "Give an account other scopes, which ends its sessions.",
        "",
        ("periscope accounts scopes ann --scope read",),
    ),
    Command(
        "accounts disable",
        "periscope.cli.accounts:disable",
        CARE,
        "Let an account in no more; its sessions end within a second.",
        "",
        ("periscope accounts disable ann",),
    ),
    Command(
        "accounts enable",
        "periscope.cli.accounts:enable",
        CARE,
        "Let an account in again.",
        "",
        ("periscope accounts enable ann",),
    ),
)
