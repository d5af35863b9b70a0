"""Tables that the documentation takes from the code, so that they cannot drift.

`{{ settings }}` and its like stand alone on a line of a page.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from periscope import console, errors
from periscope.api.app import assembled
from periscope.api.operations import Operation, operations_of
from periscope.api.problem_table import all_kinds
from periscope.api.problems import PREFIX
from periscope.bench import planning, seed_table, serving_table
from periscope.bench.report import read_json, where
from periscope.client import Client, problems
from periscope.feeds.registry import all_formats
from periscope.feeds.severity import FieldTable, SeverityTable
from periscope.key_table import KEY_TABLE
from periscope.library import read_library
from periscope.metrics.table import GROUPS
from periscope.polling.definition import KINDS
from periscope.polling.definition import describe as describe_feeds
from periscope.settings import ENV_PREFIX, describe
from periscope.specs import SPECS


def settings() -> str:
    """Every setting."""
    rows = [
        (
            f"`{name}`",
            f"`{ENV_PREFIX}{name.upper()}`",
            kind,
            f"`{default}`",
            text + (" *Secret.*" if secret else ""),
        )
        for name, kind, default, text, secret in describe()
    ]
    return table(("setting", "variable", "type", "default", "meaning"), rows)


def error_table() -> str:
    """Every error, with its exit code and HTTP status."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.PeriscopeError)
    ]
    rows = [
        (f"`{kind.__name__}`", kind.exit_code, kind.http_status, first_line(kind.__doc__))
        for kind in sorted(kinds, key=lambda kind: [c.__name__ for c in reversed(kind.__mro__)])
    ]
    return table(("error", "exit code", "HTTP status", "when"), rows)


def error_tree() -> str:
    """The tree on top of errors.py."""
    return drawn(errors.__doc__, "PeriscopeError")


def client_errors() -> str:
    """The tree on top of the client's problems.py."""
    return drawn(problems.__doc__, "ApiProblem")


def client_calls() -> str:
    """Every call of the client."""
    rows = [
        (f"`{name}`", first_line(call.__doc__))
        for name, call in inspect.getmembers(Client, inspect.isfunction)
        if not name.startswith("_")
    ]
    return table(("call", "what it does"), rows)


def drawn(text: str | None, root: str) -> str:
    """A tree of errors that a docstring draws."""
    tree = re.search(rf"\n\n(    {root}.*?)\n\n", text or "", re.DOTALL)
    return f"```text\n{inspect.cleandoc(tree[1]) if tree else ''}\n```"


def keys() -> str:
    """Every key."""
    rows = [(k.name, f"`{k.pattern}`", k.type, k.holds, k.lifetime, k.owner) for k in KEY_TABLE]
    return table(("key", "pattern", "type", "holds", "lifetime", "owner"), rows)


def functions() -> str:
    """Every function of the library, from its header."""
    code = read_library().code.decode()
    parts = []
    for name, spec in SPECS.items():
        header = re.search(rf"-- {name}: .*?(?=\nlocal function)", code, re.DOTALL)
        text = header[0] if header else name
        lines = [line.removeprefix("-- ") for line in text.splitlines()]
        kind = f"writes; to repeat it is safe: {spec.repeat}" if spec.writes else "reads only"
        parts.append(f"### {name} ({kind})\n\n```text\n" + "\n".join(lines) + "\n```\n")
    return "\n".join(parts)


FIGURES = Path(__file__).parent / "figures"


def seed() -> str:
    """The seed table, from the bench's own results."""
    document = read_json(FIGURES / "seed.json")
    rows = seed_table.seed_rows(document.figures)
    return f"{where(document.ran_on)}.\n\n" + table(seed_table.HEADS, list(rows))


def costs() -> str:
    """Microseconds of each operation, from the bench's own results."""
    document = read_json(FIGURES / "bench.json")
    rows = planning.cost_rows(document)
    return f"{where(document.ran_on)}.\n\n" + table(planning.HEADS, list(rows))


def reading() -> str:
    """How fast each format is read and stored, from the bench's own results."""
    document = read_json(FIGURES / "feeds.json")
    rows = [
        (
            *one.what.removesuffix(" each").split(", ", 1),
            f"{one.spread.median:,.0f}",
            f"{one.client_us:.1f} + {one.server_us:.1f}",
            one.target or "",
        )
        for one in document.figures
    ]
    heads = ("format", "a record", "records/s", "CPU, client + server, us", "asked")
    return f"{where(document.ran_on)}.\n\n" + table(heads, list(rows))


def serving() -> str:
    """How the service does, from the bench's own results."""
    document = read_json(FIGURES / "http.json")
    heads = serving_table.serving_heads(document)
    return f"{where(document.ran_on)}.\n\n" + table(heads, serving_table.serving_rows(document))


def formats() -> str:
    """Every format, in the order of their names."""
    rows = [
        (f"`{one.name}`", one.title, one.one_report_is)
        for one in sorted(all_formats(), key=lambda one: one.name)
    ]
    return table(("`--format`", "what", "one report is"), rows)


def mappings() -> str:
    """What each format makes a report of."""
    parts = []
    for one in sorted(all_formats(), key=lambda one: one.name):
        rows = [(_fields(fields), source) for fields, source in one.mapping]
        parts.append(f"### {one.title} (`{one.name}`)\n\n" + table(("report", "source"), rows))
    return "\n\n".join(parts)


def _fields(names: str) -> str:
    return ", ".join(f"`{name.strip()}`" for name in names.split(","))


def severities() -> str:
    """Words and numbers of each format, from severity.toml."""
    rows: list[tuple[Any, ...]] = []
    for name, part in sorted(SeverityTable.load().formats.items()):
        for field, known in part.fields.items():
            rows.append((f"`{name}`", f"`{field}`", _meanings(known)))
        rows.append((f"`{name}`", "none stated", part.missing or "refused"))
    return table(("format", "field", "severity"), rows)


def _meanings(known: FieldTable) -> str:
    words = [f"{word} {severity or 'as if missing'}" for word, severity in known.words.items()]
    scale = known.scale
    if scale is not None:
        steps = zip(scale.bounds, scale.severities, strict=True)
        words += [f"from {bound:g} {severity}" for bound, severity in steps]
        words.append(f"at most {scale.at_most:g}")
    return ", ".join(words)


def feed_fields() -> str:
    """Every field of a feed."""
    rows = [
        (f"`{name}`", f"`{kind}`", f"`{default}`" if default else "", kinds_of(kinds), text)
        for name, kind, default, text, kinds in describe_feeds()
    ]
    return table(("field", "type", "default", "kinds", "meaning"), rows)


def kinds_of(kinds: tuple[str, ...]) -> str:
    """Which feeds have a field."""
    return "all" if kinds == KINDS else ", ".join(kinds)


def metrics() -> str:
    """Every metric, by group."""
    parts = []
    for title, group in GROUPS.items():
        rows = [
            (f"`{one.name}`", one.kind, one.unit, ", ".join(f"`{n}`" for n in one.labels), one.help)
            for one in group
        ]
        heads = ("metric", "type", "unit", "labels", "meaning")
        parts.append(f"### {title}\n\n" + table(heads, rows))
    return "\n\n".join(parts)


def routes() -> str:
    """Every route of the HTTP API, from the application itself."""
    rows = [
        (f"`{one.method}`", f"`{one.path}`", scopes_of(one), one.summary)
        for one in operations_of(assembled(1))
    ]
    return table(("method", "path", "scope", "what"), rows)


def scopes_of(one: Operation) -> str:
    """Which scope an operation needs."""
    return " or ".join(f"`{scope.value}`" for scope in one.scopes) or "open"


def problem_types() -> str:
    """Every type of problem that the HTTP API answers with."""
    rows = [(one.status, f"`{one.kind}`", one.when) for one in all_kinds()]
    return table(("status", f"`{PREFIX}`", "when"), rows)


CONSOLE = Path(console.__file__).parent / "static" / "js"
ELSEWHERE = {"EXTRAS": "Filter", "help.js": "Everywhere", "parts.js": "Tables"}
"""Groups of the modules, and of the lists in them, whose commands another one binds."""
BOUND = re.compile(r"""(?:bind|useRows)\(\s*"([^"]+)",\s*(?:([a-z]\w*)\()?""")
COMMAND = re.compile(
    r"""\{ keys: (\[(?:"(?:[^"\\]|\\.)+"(?:, )?)+\]|\[String\(.*?\)\]|\w+\.map\(.*?\)\)),"""
    r"""\s*label(?:: ("(?:[^"\\]|\\.)*"|`[^`]*`))?[,\s}]"""
)
NAMED = re.compile(r"^(?:export )?(?:default )?(?:async )?(?:function|const) (\w+)", re.MULTILINE)
PAGE = re.compile(r"""name: "\w+", title: "([^"]+)", key: "(\w)\"""")
QUOTED = re.compile(r"""\"((?:[^"\\]|\\.)*)\"""")


def console_terms() -> str:
    """Every name of the console's query language, from its own table."""
    text = (CONSOLE / "core" / "query.js").read_text()
    terms = re.search(r"^export const NAMES = \{\n(.*?)^\};", text, re.MULTILINE | re.DOTALL)
    rows = [
        (f"`{name}:`", "".join(QUOTED.findall(said)), "yes" if "not: true" in line else "")
        for name, said, line in _terms(terms[1] if terms else "")
    ]
    return table(("name", "takes", "can be excluded (`-name:`)"), list(rows))


def _terms(text: str) -> list[tuple[str, str, str]]:
    starts = [*re.finditer(r"^  (\w+): \{", text, re.MULTILINE)]
    ends = [*(one.start() for one in starts[1:]), len(text)]
    pieces = [(one[1], text[one.start() : end]) for one, end in zip(starts, ends, strict=True)]
    return [
        (name, re.split(r"\b(?:values|not|some|facet):", rest)[0], rest) for name, rest in pieces
    ]


def console_keys() -> str:
    """Every key of the console with what it does, from the tables that bind them."""
    rows = [("Go to", f"`g` `{key}`", title) for title, key in pages_of_console()]
    for path in sorted(CONSOLE.rglob("*.js")):
        rows += [(group, pressed(keys), label) for group, keys, label in bound(path)]
    return table(("group", "keys", "what they do"), list(rows))


def pages_of_console() -> list[tuple[str, str]]:
    """Title and key of every page."""
    return PAGE.findall((CONSOLE / "shell" / "pages.js").read_text())


def bound(path: Path) -> list[tuple[str, str, str]]:
    """Group, keys and label of each command that a module binds."""
    text = path.read_text()
    makers = {maker: group for group, maker in BOUND.findall(text) if maker}
    usual = next(iter(makers.values()), ELSEWHERE.get(path.name, ""))
    found = []
    for one in COMMAND.finditer(text):
        here = [*NAMED.finditer(text, 0, one.start())][-1]
        called = BOUND.findall(text[here.start() : one.start()])
        group = called[-1][0] if called else makers.get(here[1], ELSEWHERE.get(here[1], usual))
        found.append((group, one[1], said(one[2])))
    return found


def said(label: str | None) -> str:
    """A label as a reader has it: what is only known in the page is left open."""
    return re.sub(r"\$\{.*?\}", "…", label[1:-1]) if label else "each by its name"


def pressed(keys: str) -> str:
    """Keys as they are written in a page; numbered ones as the first two."""
    if "String(" in keys:
        return "`1`, `2` …"
    ways = [" ".join(f"`{key}`" for key in way.split(" ")) for way in QUOTED.findall(keys)]
    return " or ".join(ways)


TABLES = {
    "console_keys": console_keys,
    "console_terms": console_terms,
    "problem_types": problem_types,
    "routes": routes,
    "client_calls": client_calls,
    "client_errors": client_errors,
    "feed_fields": feed_fields,
    "formats": formats,
    "reading": reading,
    "serving": serving,
    "mappings": mappings,
    "metrics": metrics,
    "severities": severities,
    "seed": seed,
    "costs": costs,
    "settings": settings,
    "errors": error_table,
    "error_tree": error_tree,
    "keys": keys,
    "functions": functions,
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables in; an unknown name fails the build."""
    return re.sub(r"(?m)^\{\{ (\w+) \}\}$", lambda found: TABLES[found[1]](), markdown)


def table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A Markdown table."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def first_line(text: str | None) -> str:
    """The first paragraph of a docstring."""
    return inspect.cleandoc(text or "").split("\n\n")[0].replace("\n", " ")
