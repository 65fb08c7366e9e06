import pytest

from bench.errors import BenchError
from bench.scenario import QUICK, SCENARIOS, select


def test_patterns_choose_in_table_order_and_once() -> None:
    assert [scenario.name for scenario in select(["get-64k", "get-1k*", "get-1k"])] == [
        "get-1k",
        "get-1k-c1",
        "get-1k-c256",
        "get-64k",
    ]


def test_everything_is_the_whole_table() -> None:
    assert select(["*"]) == list(SCENARIOS)


def test_a_pattern_that_names_nothing_is_an_error_that_lists_what_there_is() -> None:
    with pytest.raises(BenchError, match=r"'put-9'.*get-1k"):
        select(["get-1k", "put-9"])


def test_names_are_unique_and_the_quick_one_is_32_connections_of_1_kib() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    [quick] = select([QUICK])
    assert (quick.size, quick.connections) == (1024, 32)
