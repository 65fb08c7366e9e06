"""The rules of config/prometheus by Prometheus's own tool: what each makes of numbers that are well, and that are not.

Those that a fault of a real gateway brings about within seconds are in `test_alerts`.
"""

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.shipped.test_alerts import HEARD
from tests.support.prometheus import CONFIG, program

pytestmark = pytest.mark.server


class Case(NamedTuple):
    """`series`: in promtool's words, a value each minute, {} = what differs: `well` or `ill`. `at`: minutes, when it
    must fire. `labels`: of the alert, beside instance and severity."""

    at: int
    series: dict[str, str]
    well: str
    ill: str
    severity: str = "ticket"
    labels: str = ""


def histogram(name: str, bound: str, beyond: str, labels: str = "") -> dict[str, str]:
    """Ten observations a minute, {} of them no longer than `bound`, the others no longer than `beyond`."""
    buckets = {bound: "0+{}x60", beyond: "0+10x60", "+Inf": "0+10x60"}
    return {f'{name}_bucket{{instance="a",le="{le}"{labels}}}': values for le, values in buckets.items()}


def gauges(**values: str) -> dict[str, str]:
    return {f'nqgate_{name}{{instance="a"}}': value for name, value in values.items()}


CASES = {
    "NqgateWorkerMissing": Case(
        4, {'nqgate_workers{instance="a",state="starting"}': "{}x60"}, "0", "1", "page", 'state="starting"'
    ),
    "NqgateLoopLate": Case(12, histogram("nqgate_loop_lag_seconds", "0.25", "0.5"), "10", "9"),
    "NqgateRefusalsSurging": Case(
        95,
        {'nqgate_refusals_total{instance="a",reason="signature"}': "0+60x80 4800+{}x40"},
        "60",
        "1200",
        labels='reason="signature"',
    ),
    "NqgateStoreSlow": Case(17, histogram("nqgate_store_reply_seconds", "5", "10", ',group="download"'), "10", "9"),
    "NqgateStoreConnectionsSpent": Case(
        4,
        gauges(upstream_waiting="1x60", upstream_connections_limit="512x60")
        | {'nqgate_upstream_connections{instance="a",state="busy"}': "{}x60"},
        "400",
        "512",
    ),
    "NqgateBodyMemoryShort": Case(4, gauges(body_memory_bytes="{}x60", body_memory_limit_bytes="100x60"), "80", "95"),
    "NqgateSpoolShort": Case(4, gauges(spool_bytes="{}x60", spool_limit_bytes="100x60"), "80", "95"),
    "NqgateLeaseShort": Case(13, gauges(keystore_leased="1x60", keystore_lease_seconds="2.9x10 {}x40"), "2.5", "0.5"),
    "NqgateWorkersBehind": Case(3, gauges(keystore_change="10x60", worker_change="{}x60"), "10", "9", "page"),
    "NqgateNotConfirmed": Case(
        8, {'nqgate_confirmations_total{instance="a",proven="no"}': "0x5 {}x60"}, "0", "1", "page", 'proven="no"'
    ),
    "NqgateConfirmationsSlow": Case(22, histogram("nqgate_confirmation_seconds", "1", "5"), "10", "5"),
}


def judged(case: Case, alert: str, value: str, expected: list[dict[str, Any]], folder: Path) -> None:
    """By promtool; AssertionError with its words."""
    series = [{"series": name, "values": values.format(value)} for name, values in case.series.items()]
    asked = {"expr": f'ALERTS{{alertname="{alert}",alertstate="firing"}}', "eval_time": f"{case.at}m"}
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [{**asked, "exp_samples": expected}]}
    written = folder / "rules_test.yml"
    rules = {"rule_files": [str(CONFIG / "rules.yml")], "evaluation_interval": "1m", "tests": [test]}
    written.write_text(yaml.safe_dump(rules))
    done = subprocess.run([program("promtool"), "test", "rules", str(written)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", CASES)
def test_a_rule_fires_for_what_is_ill_and_not_for_what_is_well(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]
    judged(case, alert, case.well, [], tmp_path)
    more = f",{case.labels}" if case.labels else ""
    labels = f'ALERTS{{alertname="{alert}",alertstate="firing",instance="a",severity="{case.severity}"{more}}}'
    judged(case, alert, case.ill, [{"labels": labels, "value": 1}], tmp_path)


def test_every_rule_was_seen_to_fire() -> None:
    told = yaml.safe_load((CONFIG / "rules.yml").read_text())
    rules = {rule["alert"] for group in told["groups"] for rule in group["rules"]}
    assert rules == HEARD | CASES.keys()


def test_prometheus_takes_the_rules_and_the_example() -> None:
    for what in (("rules", "rules.yml"), ("config", "prometheus.yml")):
        done = subprocess.run(
            [program("promtool"), "check", what[0], str(CONFIG / what[1])], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
