"""The table of commands, third part: what is noise."""

from __future__ import annotations

from periscope.cli.command import CARE, WORK, Command

NOISE_COMMANDS = (
    Command(
        "warninglists load",
        "periscope.cli.warninglists:load",
        CARE,
        "Load MISP warninglists from a file or a directory.",
        "A report whose indicators are all on such lists is suppressed. A checkout of "
        "misp-warninglists is loaded whole; a list takes the place of one of its name.",
        ("periscope warninglists load samples/warninglist-sample.json",),
    ),
    Command(
        "warninglists list",
        "periscope.cli.warninglists:listing",
        CARE,
        "Show which warninglists are loaded.",
        "",
        ("periscope warninglists list",),
    ),
    Command(
        "warninglists test",
        "periscope.cli.warninglists:look_up",
        CARE,
        "Say whether indicators are known to be harmless, and by which list.",
        "Exit code: 0 all of them are on a list, 1 one of them is not.",
        ("periscope warninglists test www.example.com https://example.org/index.html",),
    ),
    Command(
        "warninglists drop",
        "periscope.cli.warninglists:drop",
        CARE,
        "Let go of a warninglist.",
        "",
        ("periscope warninglists drop 'Sample of harmless hosts'",),
    ),
    Command(
        "suppress preview",
        "periscope.cli.suppress:preview",
        CARE,
        "Show what a rule would have hidden, without saving it.",
        "Conditions are FIELD OP VALUE: severity<=MEDIUM, source=siem, 'title~ET SCAN*', "
        "'indicators in 10.0.0.0/8', metadata.port=22; all must hold. "
        "Fields: source, severity, title, content, type, threat_id, tags, tlp, indicators, "
        "indicators.TYPE, metadata.PATH. Operators: = != < <= > >= ~ (with * and ?) in.",
        ("periscope suppress preview 'title~*ivanti*' 'severity<=CRITICAL' --since 7d",),
    ),
    Command(
        "suppress add",
        "periscope.cli.suppress:add",
        CARE,
        "Suppress reports that fulfil some conditions, for everybody.",
        "Shows first what the rule would have hidden, and asks. What is suppressed is counted and "
        "listed (periscope suppressed), and comes back when it gets worse or exceeds the rate. "
        "The form of conditions: periscope suppress preview --help.",
        (
            "periscope suppress add source=siem 'severity<=MEDIUM' --reason 'a drill' "
            "--until 7d --rate 100/1h --yes",
        ),
    ),
    Command(
        "suppress list",
        "periscope.cli.suppress:listing",
        CARE,
        "Show the suppression rules in force, in the order in which they are tried.",
        "",
        ("periscope suppress list",),
    ),
    Command(
        "suppress show",
        "periscope.cli.suppress:show",
        CARE,
        "Show everything about a suppression rule, and what it hides.",
        "",
        ('periscope suppress show "$(periscope suppress list --ids | head -1)"',),
    ),
    Command(
        "suppress end",
        "periscope.cli.suppress:end",
        CARE,
        "End a suppression rule.",
        "What it has hidden stays counted; the next report goes the usual way.",
        ('periscope suppress end "$(periscope suppress list --ids | head -1)"',),
    ),
    Command(
        "suppressed",
        "periscope.cli.suppressed:suppressed",
        WORK,
        "Show what is suppressed, and why; what was reported last comes first.",
        "Each id once, with the rule or the warninglist that it was last suppressed by. With "
        "--forget its next report starts anew.",
        ("periscope suppressed --count 10",),
    ),
)
