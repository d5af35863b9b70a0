"""GET /openapi.json: valid, complete, and read by programs that we did not write."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from periscope.access import Scope
from periscope.api.openapi import TAGS
from periscope.api.operations import Operation
from periscope.api.problem_table import REFUSALS, all_kinds
from tests.api.conftest import Served
from tests.api.described import DOCUMENT, OPERATIONS, described, resolved

API = Path(__file__).parent.parent.parent / "src" / "periscope" / "api"


def name_of(one: Operation) -> str:
    return one.name


async def test_it_is_served_to_all(served: Served) -> None:
    answer = await served.client(None).get("/openapi.json")
    assert answer.json() == DOCUMENT


def test_it_is_valid() -> None:
    validator = jsonschema_rs.validator_for(OPENAPI_31)
    assert [str(error) for error in validator.iter_errors(DOCUMENT)] == []
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        )


def test_every_reference_leads_somewhere() -> None:
    for part in walk(DOCUMENT):
        assert resolved(part) is not None


def test_operations_are_told_apart() -> None:
    assert len({one.name for one in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize("one", OPERATIONS, ids=name_of)
def test_an_operation_says_all_there_is_to_say(one: Operation) -> None:
    told = described(one)
    assert told["summary"].endswith(".")
    assert told["tags"]
    for tag in told["tags"]:
        assert tag in TAGS, f"say in TAGS what {tag} is about"
    for parameter in told.get("parameters", ()):
        assert parameter["description"], parameter["name"]
    assert all(scope in tuple(Scope) for scope in one.scopes)
    assert bool(told["security"]) == bool(one.scopes)
    assert any(int(status) < 400 for status in told["responses"] if status != "default")
    for form in told.get("requestBody", {}).get("content", {}).values():
        assert form["schema"], "say in opt what the body is"


@pytest.mark.parametrize("one", OPERATIONS, ids=name_of)
def test_an_answer_has_a_shape(one: Operation) -> None:
    for status, answer in described(one)["responses"].items():
        for media_type, form in resolved(answer).get("content", {}).items():
            assert form["schema"], f"{one.name}: {status} as {media_type} is of no shape"


@pytest.mark.parametrize("one", OPERATIONS, ids=name_of)
def test_a_body_is_strict(one: Operation) -> None:
    content = described(one).get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    named = [part for part in (schema, *schema.get("anyOf", ())) if "$ref" in part]
    assert all(resolved(part)["additionalProperties"] is False for part in named)


def test_every_refusal_is_in_the_table() -> None:
    known = {(one.kind, one.status) for one in REFUSALS}
    for path in API.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "RequestRefused":
                status, kind = (getattr(one, "value", None) for one in node.args[:2])
                if isinstance(kind, str):
                    assert (kind, status) in known, f"{path.name}:{node.lineno}: {kind}"


def test_types_of_problems_are_told_apart() -> None:
    kinds = [one.kind for one in all_kinds()]
    assert len(set(kinds)) == len(kinds)


def test_a_generator_of_clients_reads_it(tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT))
    config = {
        "package_name_override": "made",
        "post_hooks": [],
    }
    (tmp_path / "config.yml").write_text(json.dumps(config))
    generate = "generate --path openapi.json --config config.yml --output-path out"
    told = run(["-m", "openapi_python_client", *generate.split()], tmp_path)
    # It sends JSON alone, and says so of each other form; it has nothing else to say.
    assert told.count("WARNING") == told.count("Unsupported content type")
    modules = [
        ".".join(path.relative_to(tmp_path / "out").with_suffix("").parts)
        for path in sorted((tmp_path / "out" / "made").rglob("*.py"))
    ]
    assert {f"made.api.{one.tags[0]}.{one.name}" for one in OPERATIONS} <= set(modules)
    run(["-c", "\n".join(f"import {name}" for name in modules)], tmp_path / "out")


def run(arguments: list[str], where: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=where,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def walk(part: Any) -> Any:
    """Every object of a document."""
    if isinstance(part, dict):
        yield part
        for inner in part.values():
            yield from walk(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from walk(inner)


def test_the_reference_has_every_route_and_problem() -> None:
    page = rendered("http.md")
    for one in OPERATIONS:
        assert f"| `{one.method}` | `{one.path}` |" in page
    for kind in all_kinds():
        assert f"| {kind.status} | `{kind.kind}` |" in page


def rendered(name: str) -> str:
    """A page of the reference with its tables put in, as it is published."""
    docs = API.parent.parent.parent / "docs"
    spec = importlib.util.spec_from_file_location("tables", docs / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    return str(tables.on_page_markdown((docs / "reference" / name).read_text()))


async def test_a_path_names_its_methods(served: Served) -> None:
    client = served.client(None)
    for path in {one.path for one in OPERATIONS}:
        answer = await client.request("OPTIONS", path.replace("{", "").replace("}", ""))
        methods = {one.method for one in OPERATIONS if one.path == path}
        assert answer.status_code == 204
        assert set(answer.headers["allow"].split(", ")) == {"OPTIONS", *methods}, path
