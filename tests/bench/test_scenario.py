import pytest

from bench.errors import BenchError
from bench.scenario import MIB, QUICK, SCENARIOS, STRETCH, USUAL, Upload, select


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


def test_every_kind_of_upload_is_there_and_the_usual_ones_declare_their_hash() -> None:
    uploads = [scenario for scenario in SCENARIOS if scenario.upload is not None]
    assert {scenario.upload for scenario in uploads} == set(Upload)
    assert {scenario.upload for scenario in uploads if scenario.name in USUAL} == {Upload.SHA256}


def test_a_reply_carries_the_object_and_the_reply_to_an_upload_nothing() -> None:
    assert [scenario.reply_size for scenario in select(["get-1m", "put-1m"])] == [MIB, 0]


def test_large_uploads_run_longer() -> None:
    assert [scenario.stretch for scenario in select(["get-1m", "put-1m", "put-64m"])] == [1, 1, STRETCH]
