"""What is measured: one kind of request at one level of concurrency. A table; knows nobody."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from bench.errors import BenchError

KIB: Final = 1 << 10
MIB: Final = 1 << 20


class Scenario(NamedTuple):
    """`size` is the length in bytes of the object that every reply carries."""

    name: str
    title: str
    size: int
    connections: int


# wrk waits for the body of a reply to HEAD, so HEAD cannot stand here.
SCENARIOS: Final = (
    Scenario("get-1k", "GET 1 KiB, 32 connections", KIB, 32),
    Scenario("get-1k-c1", "GET 1 KiB, 1 connection", KIB, 1),
    Scenario("get-1k-c256", "GET 1 KiB, 256 connections", KIB, 256),
    Scenario("get-64k", "GET 64 KiB, 32 connections", 64 * KIB, 32),
    Scenario("get-1m", "GET 1 MiB, 32 connections", MIB, 32),
)
QUICK: Final = "get-1k"


def select(patterns: Sequence[str], scenarios: Iterable[Scenario] = SCENARIOS) -> list[Scenario]:
    """The scenarios whose name matches a shell pattern, in table order. BenchError for a pattern that names none."""
    table = list(scenarios)
    for pattern in patterns:
        if not any(fnmatchcase(scenario.name, pattern) for scenario in table):
            names = ", ".join(scenario.name for scenario in table)
            raise BenchError(f"no scenario matches {pattern!r}; there are: {names}")
    return [scenario for scenario in table if any(fnmatchcase(scenario.name, pattern) for pattern in patterns)]
