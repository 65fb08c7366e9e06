"""The page of faults: every test it names is there, and every fault that must have a line has one."""

import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from gateway.telemetry.metrics import METRICS, shown_name

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "reference" / "faults.md"
NUMBERS: Final = "## Which numbers show it"
COLUMNS: Final = ("fault", "what clients get", "what is kept safe", "what the log says", "how it recovers", "held by")
# What the gateway must survive, each with words that its line has.
FAULTS: Final = {
    "the store is dead": "refuses connections, or is dead",
    "slow to connect": "nobody answers the SYN",
    "slow to answer": "never answers",
    "slow in an upload": "takes no more of an upload",
    "slow in a download": "stalls in the middle of a download",
    "reset in a download": "resets in the middle of a download",
    "reset in an upload": "resets in the middle of an upload",
    "early refusal": "4xx or 5xx before the body is there",
    "early success": "2xx before the body is there",
    "nonsense": "talks nonsense",
    "stale connection": "closes an idle connection just as it is used",
    "a dead node": "one is killed under load",
    "all nodes dead": "all are dead",
    "DNS changes": "the name has other addresses",
    "DNS fails": "the name cannot be looked up",
    "full spool": "the disk under the spool is full",
    "full keystore": "the disk under the keystore is full",
    "clock": "the wall clock jumps",
    "midnight": "midnight",
    "memory": "no memory is left",
    "killed worker": "a worker is killed",
    "killed PostgreSQL": "PostgreSQL is killed",
    "connection storm": "a connection storm",
    "slow heads": "heads that come a byte at a time",
    "bad signatures": "bad signatures by the thousand",
    "descriptors": "file descriptors run out",
    "killed supervisor": "the supervisor is killed",
    "a failed upgrade": "an upgrade cannot serve",
}


def rows() -> list[list[str]]:
    """Of all tables of faults, without their heads."""
    found = []
    for line in PAGE.read_text().partition(f"\n{NUMBERS}\n")[0].splitlines():
        if line.startswith("| "):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if tuple(cells) != COLUMNS:
                found.append(cells)
    return found


def written_tests() -> set[str]:
    written = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
    return {name for path in (ROOT / "tests").rglob("test_*.py") for name in written.findall(path.read_text())}


def test_every_line_is_whole_and_held_by_tests_that_exist() -> None:
    known = written_tests()
    for cells in rows():
        assert len(cells) == len(COLUMNS), cells
        named = re.findall(r"`(\w+)`", cells[-1])
        assert named, f"{cells[0]}: no test holds it"
        assert not set(named) - known, f"{cells[0]}: there is no {set(named) - known}"
        assert cells[1], cells


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_its_line(fault: str) -> None:
    assert [cells for cells in rows() if FAULTS[fault] in cells[0]], (
        f"docs/reference/faults.md says nothing of: {fault}"
    )


def test_every_test_of_a_fault_is_named_on_the_page() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    for path in (ROOT / "tests" / "end_to_end").glob("test_fault_*.py"):
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE):
            assert name in named, f"{path.name}: {name} has no line in docs/reference/faults.md"


def test_every_metric_and_every_alert_on_the_page_is_there() -> None:
    told = PAGE.read_text().partition(f"\n{NUMBERS}\n")[2]
    metrics, alerts = set(re.findall(r"\bnqgate_\w+", told)), set(re.findall(r"\bNqgate\w+", told))
    assert len(metrics) > 10
    assert not metrics - {shown_name(metric) for metric in METRICS}
    groups = yaml.safe_load((ROOT / "config" / "prometheus" / "rules.yml").read_text())["groups"]
    rules = {rule.get("alert") for group in groups for rule in group["rules"]}
    assert len(alerts) > 10
    assert not alerts - rules
