"""What holds for every test here: property tests are never timed, and repeatable unless they are to go on for long.

What a test has measured and does not judge (`record_property`) is told at the end.
"""

import pytest
from hypothesis import HealthCheck, settings

from tests.support.soak import TIMES

settings.register_profile(
    "house", deadline=None, derandomize=TIMES == 1, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("house")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = terminalreporter.getreports("passed")
    for name, value in sorted(reading for report in passed for reading in report.user_properties):
        terminalreporter.write_line(f"{name}: {value}")
