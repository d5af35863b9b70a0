"""What the documents show of the bench: chart, seed table, the README's table, the costs."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from periscope.bench.chart import draw
from periscope.bench.figures import Figure, figure
from periscope.bench.machine import Machine
from periscope.bench.planning import HEADS, cost_rows
from periscope.bench.promises import PROMISED
from periscope.bench.readme import BEGIN, END, put_in, readme_table
from periscope.bench.report import FORMAT, Document, brief_of, read_json, write_json
from periscope.bench.seed import INGEST, MEMORY, TOP
from periscope.bench.seed_table import seed_rows
from periscope.bench.seed_ways import NAIVE, OURS
from periscope.errors import UsageError

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "docs" / "figures"
MACHINE = Machine(
    date="2026-01-02T03:04:05+00:00",
    periscope="0.3.0",
    server="valkey 9.1.2",
    durability="durable",
    cpu="A <fast> & cheap one",
    cores=2,
    memory_bytes=2**33,
    os="Linux",
    python="3.11.7",
    load_1m=0.1,
)


def document(figures: list[Figure]) -> Document:
    return Document(FORMAT, MACHINE, sorted({one.scale for one in figures}), 1, figures)


def seed_figures(*scales: int) -> list[Figure]:
    return [
        figure("seed", what, scale, unit, [value * scale / 1000], on=way)
        for scale in scales
        for way, value in ((OURS, 4.0), (NAIVE, 2.0))
        for what, unit in ((INGEST, "threats/s"), (TOP, "ms"), (MEMORY, "MB"))
    ]


def test_the_chart_of_the_documents_is_that_of_their_results() -> None:
    drawn = draw(read_json(FIGURES / "seed.json"))
    assert drawn == (FIGURES / "growth.svg").read_text(), "run `make figures`, or bench chart"


def test_a_chart_is_well_formed_and_inside_of_its_frame() -> None:
    root = ElementTree.fromstring(draw(document(seed_figures(10_000, 100_000, 5_000_000))))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    dots = root.findall(".//{*}circle")
    assert len(dots) == 3 * 2 * 3 + 4  # panels, series, scales; two more for each in the legend
    assert all(0 < float(dot.attrib["cx"]) < width for dot in dots)
    assert all(0 < float(dot.attrib["cy"]) < height for dot in dots)
    words = " ".join(text.text or "" for text in root.findall(".//{*}text"))
    assert "A <fast> & cheap one" in words
    assert "5M" in words
    assert "prefers-color-scheme:dark" in (root.find("{*}style") or root[0]).text  # type: ignore[operator]


def test_a_chart_needs_two_scales() -> None:
    with pytest.raises(UsageError, match="two scales"):
        draw(document(seed_figures(1000)))


def test_the_seed_table_stands_beside_promises_and_one_call_each() -> None:
    rows = seed_rows(seed_figures(1_000, 100_000))
    assert rows[0] == ("1,000", "ingest", "", "4.0/s", "2.0/s", "2.0")
    at_100k = {row[1]: row for row in rows if row[0] == "100,000"}
    assert at_100k["ingest"][2:] == ("12,000/s", "400/s", "200/s", "2.0")
    assert at_100k["memory of the server"][2] == "500 MB"
    assert {scale for scale, _ in PROMISED} == {10_000, 100_000}


def test_the_readme_gets_its_table_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    results = document([figure("memory", "beyond the body", 1000, "bytes", [250.0])])
    for _ in range(2):  # again: the same
        put_in(page, results)
        text = page.read_text()
        assert text == f"before\n{BEGIN}\n{readme_table(results)}\n{END}\nafter\n"
    assert "| memory for a threat, beyond its body | 250 bytes |" in text
    page.write_text("no marks")
    with pytest.raises(UsageError, match="needs the marks"):
        put_in(page, results)


def test_our_readme_has_the_marks() -> None:
    text = (ROOT / "README.md").read_text()
    assert (text.count(BEGIN), text.count(END)) == (1, 1)


def test_costs_are_told_as_what_a_primary_carries() -> None:
    one = figure("ingest", "new", 1000, "threats/s", [1.0], on="durable")
    top = figure("queries", "top-100", 1000, "ms", [1.0], on="worked")
    costly = [msgspec.structs.replace(f, client_us=2.0, server_us=4.0) for f in (one, top)]
    new, hundred = cost_rows(document(costly))
    assert new[1:] == ("2.0", "4.0", "500,000/s", "250,000/s", "16,000,000/s")
    assert hundred[-1] == ""
    assert len(new) == len(HEADS)


def test_the_results_of_the_documents_have_all_costs() -> None:
    assert len(cost_rows(read_json(FIGURES / "bench.json"))) > 10


def test_results_are_read_back_and_brief_ones_have_no_samples(tmp_path: Path) -> None:
    file = tmp_path / "seed.json"
    whole = document(seed_figures(1000))
    write_json(file, whole)
    assert read_json(file) == whole
    assert all(not one.samples and one.spread for one in brief_of(whole).figures)
    for text in ("", "{}", "[1]", '{"format": 1}'):
        file.write_text(text)
        with pytest.raises(UsageError, match="no results"):
            read_json(file)
    with pytest.raises(UsageError, match="cannot read"):
        read_json(tmp_path / "nowhere.json")
