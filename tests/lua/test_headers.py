"""Every function's header says what its typed call does; every file keeps the house's rules."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from periscope.header import FORMAT, HEADER_BYTES, REPORT_BYTES, Header
from periscope.library import read_library
from periscope.specs import SPECS

LUA = {
    entry.name: entry.read_text()
    for entry in (files("periscope") / "lua").iterdir()
    if entry.name.endswith(".lua")
}
HEADER = re.compile(
    r"^-- (?P<name>periscope_\w+): (?P<what>.+?)\n"
    r"-- Why: (?P<why>.+?)\n"
    r"-- KEYS: (?P<keys>.+?)\n"
    r"-- ARGV:(?P<args>.*?)\n"
    r"-- Returns: (?P<returns>.+?)\nlocal function (?P<function>\w+)",
    re.MULTILINE | re.DOTALL,
)
HEADERS = {found["name"]: found for text in LUA.values() for found in HEADER.finditer(text)}


def words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.replace("--", "").split(",") if word.strip())


def test_every_function_has_a_header_and_a_typed_call() -> None:
    registered = set(re.findall(r"'(periscope_\w+)'", "\n".join(LUA.values())))
    assert registered == set(SPECS) == set(HEADERS)


@pytest.mark.parametrize("name", SPECS)
def test_the_header_and_the_typed_call_agree(name: str) -> None:
    header, spec = HEADERS[name], SPECS[name]
    assert words(header["keys"]) == spec.keys
    assert words(header["args"]) == spec.args


@pytest.mark.parametrize("name", SPECS)
def test_only_functions_that_do_not_write_are_registered_so(name: str) -> None:
    whole = "\n".join(LUA.values())
    registered = re.search(rf"function_name = '{name}'[^}}]*?flags = {{([^}}]*)}}", whole)
    read_only = registered is not None and "no-writes" in registered[1]
    assert read_only is not SPECS[name].writes


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.writes])
def test_a_writing_function_says_where_it_first_writes(name: str) -> None:
    function = HEADERS[name]["function"]
    text = next(text for text in LUA.values() if f"local function {function}(" in text)
    body = re.search(rf"local function {function}\(.*?\nend\n", text, re.DOTALL)
    assert body is not None
    assert body[0].count("-- first write") == 1


@pytest.mark.parametrize("name", LUA)
def test_files_and_functions_stay_short(name: str) -> None:
    assert LUA[name].count("\n") <= 250
    for body in re.findall(r"(?m)^(?:local )?function .*?^end$", LUA[name], re.DOTALL):
        assert body.count("\n") < 40, body.splitlines()[0]


@pytest.mark.parametrize("name", LUA)
def test_ids_are_never_ordered_by_the_servers_locale(name: str) -> None:
    assert not re.search(r"\bid\b\s*[<>]|[<>]\s*\w*\.?id\b", LUA[name])


def test_both_sides_have_the_same_header() -> None:
    prelude = LUA["00_prelude.lua"]
    unpacked = re.search(r"local (format, [\w,\s]+) = struct\.unpack\(HEADER", prelude)
    packed = re.search(r"struct\.pack\(HEADER, ([\w.,\s]+)\)", prelude)
    assert unpacked is not None
    assert packed is not None
    assert words(unpacked[1]) == Header._fields
    assert words(packed[1].replace("h.", "")) == Header._fields
    for name, value in (("FORMAT", FORMAT), ("HEADER_BYTES", HEADER_BYTES)):
        assert re.search(rf"local {name} = {value}\b", prelude)
    assert re.search(rf"local REPORT_BYTES = {REPORT_BYTES}\b", prelude)


def test_lines_of_the_whole_are_found_in_their_files() -> None:
    library = read_library()
    for number, line in enumerate(library.code.decode().splitlines(), 1):
        if "redis.register_function" in line:
            name, _, at = library.locate(number).partition(":")
            assert LUA[name].splitlines()[int(at) - 1] == line


@pytest.mark.parametrize("name", SPECS)
def test_each_says_why_it_may_be_repeated(name: str) -> None:
    assert SPECS[name].repeat
    assert (SPECS[name].repeat == "reads only") is not SPECS[name].writes
