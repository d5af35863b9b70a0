"""Dashboard and rules ask for metrics that there are, by labels that they have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest

from periscope.metrics import TABLE
from periscope.models import SEVERITIES
from tests.deploy.files import ALERTS, SCRAPE, dashboard, read_yaml

RULES = [rule for group in read_yaml(ALERTS)["groups"] for rule in group["rules"]]
PANELS = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
OF_PROMETHEUS = {"up"}
ALWAYS = {"job", "instance"}
GRAFANA = {"$__rate_interval": "5m", "$namespace": "periscope", "$job": "periscope"}
WANTED = {  # what must be woken for, by the metric that tells it
    "periscope_unseen_oldest_seconds",
    "periscope_ledger_balanced",
    "periscope_store_up",
    "periscope_feed_since_success_seconds",
    "periscope_store_time_to_full_seconds",
    "periscope_promotion_lag_seconds",
    "periscope_stream_bytes",
    "periscope_request_duration_seconds_count",
}


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    """Every selector of an expression, wherever it stands."""
    found: list[promql_parser.VectorSelector] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def grouped_by(expression: str) -> set[str]:
    """Every label that an expression groups by or matches on."""
    lists = re.findall(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)", expression)
    return {label.strip() for names in lists for label in names.split(",") if label.strip()}


def labels_of(name: str) -> set[str]:
    """The labels of a metric, by the name of one of its samples."""
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    metric = TABLE.get(name) or TABLE.get(base)
    assert metric is not None, f"{name} is not in the table of metrics"
    assert metric.kind == "histogram" or name in TABLE, name
    own = {"namespace"} if metric.is_ours else set[str]()
    return {*metric.labels, *own, *ALWAYS, *({"le"} if name.endswith("_bucket") else ())}


def filled(expression: str) -> str:
    for name, value in GRAFANA.items():
        expression = expression.replace(name, value)
    return expression


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", filled(target["expr"])


@pytest.mark.parametrize(("name", "expression"), list(expressions()))
def test_every_expression_asks_for_what_there_is(name: str, expression: str) -> None:
    found = selectors(expression)
    assert found, name
    known = set[str]()
    for one in found:
        assert one.name is not None
        if one.name in OF_PROMETHEUS:
            known |= ALWAYS
            continue
        labels = labels_of(one.name)
        known |= labels
        assert {matcher.name for matcher in one.matchers.matchers} <= labels, one.name
        for matcher in one.matchers.matchers:
            if matcher.name == "severity":
                assert matcher.value in {severity.value for severity in SEVERITIES}
    assert grouped_by(expression) <= known, name


def test_a_name_that_is_none_is_found_out() -> None:
    (one,) = selectors("rate(periscope_reports_total_total[5m])")
    with pytest.raises(AssertionError, match="not in the table"):
        labels_of(str(one.name))


def test_all_that_must_be_woken_for_has_a_rule() -> None:
    asked = {one.name for rule in RULES for one in selectors(rule["expr"])}
    assert asked >= WANTED


def test_the_dashboard_shows_every_metric_of_ours() -> None:
    shown = {one.name for _, text in expressions() for one in selectors(text) if one.name}
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    hidden = {"periscope_store_info", "periscope_build_info", "periscope_reports_received_total"}
    assert {name for name, one in TABLE.items() if one.is_ours} - bases == hidden


def test_rules_are_whole() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}, rule
        assert re.fullmatch(r"\d+[smh]", rule["for"])
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}
        used = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        assert used <= grouped_by(rule["expr"]) | ALWAYS, rule["alert"]


def test_counters_are_asked_for_their_rate_and_gauges_are_not() -> None:
    for name, text in expressions():
        rated = set(re.findall(r"(?:rate|increase)\((\w+)", text))
        for one in selectors(text):
            metric = TABLE.get(str(one.name))
            if metric is not None:
                assert (str(one.name) in rated) is (metric.kind == "counter"), name


def test_the_dashboard_is_one() -> None:
    found = dashboard()
    rows = [panel["title"] for panel in found["panels"] if panel["type"] == "row"]
    assert rows == ["At a glance", "Ingest", "Queue", "Analysts", "Feeds", "Store", "Requests"]
    assert len({panel["id"] for panel in found["panels"]}) == len(found["panels"])
    assert found["schemaVersion"] >= 39
    taken = set[tuple[int, int]]()
    for panel in found["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells
    variables = {one["name"] for one in found["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", str([panel.get("targets") for panel in PANELS])))
    assert used - {"__rate_interval"} <= variables


def test_prometheus_is_told_where_and_with_what() -> None:
    (job,) = read_yaml(SCRAPE)["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("periscope", "/metrics")
    assert job["authorization"] == {
        "type": "Bearer",
        "credentials_file": "/etc/prometheus/secrets/periscope.key",
    }
    assert seconds(job["scrape_timeout"]) < seconds(job["scrape_interval"])
    assert seconds(job["scrape_timeout"]) > 4  # within which a store that is away is told


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])
