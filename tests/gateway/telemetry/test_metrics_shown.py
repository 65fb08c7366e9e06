"""The rules and the dashboard in config/ ask for nothing that no gateway tells."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.telemetry.metrics import METRICS, Kind, shown_name

CONFIG = Path(__file__).resolve().parents[3] / "config"
LABELS = {shown_name(metric): dict(metric.labels) for metric in METRICS} | {"nqgate_info": {"version": ()}}
# As Prometheus stores them: a histogram is three series.
LABELS |= {
    f"{metric.name}_{part}": dict(metric.labels) | {"le": ()}
    for metric in METRICS
    if metric.kind is Kind.HISTOGRAM
    for part in ("bucket", "sum", "count")
}
OF_PROMETHEUS = {"instance", "job", "le"}
_SELECTED = re.compile(r"(nqgate_[a-z_]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'([a-z_]+)(=~|!~|!=|=)"([^"]*)"')
_BY = re.compile(r"(?:by|on) \(([^)]*)\)")


def rules() -> dict[str, dict[str, Any]]:
    told = yaml.safe_load((CONFIG / "prometheus" / "rules.yml").read_text())
    return {rule["alert"]: rule for group in told["groups"] for rule in group["rules"]}


def dashboard() -> dict[str, Any]:
    told: dict[str, Any] = json.loads((CONFIG / "grafana" / "nqgate.json").read_text())
    return told


def expressions() -> Iterator[tuple[str, str]]:
    """Where, and what."""
    for name, rule in rules().items():
        yield name, rule["expr"]
    told = dashboard()
    for panel in told["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for one in told["annotations"]["list"]:
        yield one["name"], one["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_expression_asks_for_what_there_is(where: str, expression: str) -> None:
    """Each metric exists under the name that it is asked by, each label is one of its own, each value can come."""
    found = _SELECTED.findall(re.sub(r"label_values\(", "(", expression))
    assert found or "up{" in expression, where
    for name, matchers in found:
        assert name in LABELS, f"{where} asks for {name}"
        for label, how, value in _MATCHER.findall(matchers):
            if label in OF_PROMETHEUS:
                continue
            assert label in LABELS[name], f"{where}: {name} has no label {label}"
            asked = value.split("|") if "~" in how else [value]
            assert set(asked) <= set(LABELS[name][label]), f"{where}: {value}"
    every = {label for name, _ in found for label in LABELS[name]} | OF_PROMETHEUS
    named = {label.strip() for labels in _BY.findall(expression) for label in labels.split(",")}
    assert named <= every, f"{where} sums by {named - every}"
    assert expression.count("(") == expression.count(")")


def test_every_rule_says_what_it_means_and_whom_it_wakes() -> None:
    for name, rule in rules().items():
        assert name.startswith("Nqgate")
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+[sm]", rule.get("for", "1m"))


def test_what_an_operator_must_hear_of_has_a_rule() -> None:
    asked = "".join(rule["expr"] for rule in rules().values())
    for name in (
        "nqgate_keystore_fresh",
        "nqgate_keystore_lease_seconds",
        "nqgate_requests_total",
        "nqgate_upstream_unreachable_workers",
        "nqgate_worker_restarts_total",
        "nqgate_refusals_total",
        "nqgate_confirmation_seconds_bucket",
        'nqgate_confirmations_total{proven="no"}',
    ):
        assert name in asked, f"no rule looks at {name}"


def test_every_metric_is_shown_or_watched() -> None:
    told = "".join(expression for _, expression in expressions())
    assert [metric.name for metric in METRICS if metric.name not in told] == []


def test_the_scrape_example_reads_the_rules_and_asks_for_metrics() -> None:
    told = yaml.safe_load((CONFIG / "prometheus" / "prometheus.yml").read_text())
    assert told["rule_files"] == ["rules.yml"]
    [job] = told["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("nqgate", "/metrics")
    assert 'up{job="nqgate"}' in rules()["NqgateDown"]["expr"]


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    told = dashboard()
    assert [panel["title"] for panel in told["panels"] if panel["type"] == "row"] == [
        "Now",
        "Traffic",
        "Latency",
        "Refusals",
        "Store",
        "Keystore and revocation",
        "Processes",
    ]
    assert len({panel["id"] for panel in told["panels"]}) == len(told["panels"])
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert all(panel["datasource"] == source for panel in told["panels"] if panel["type"] != "row")
    assert {one["name"] for one in told["templating"]["list"]} == {"datasource", "instance"}


def test_no_two_panels_lie_upon_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for spot in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert taken.setdefault(spot, panel["title"]) == panel["title"]
