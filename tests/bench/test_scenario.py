from http import HTTPStatus

import pytest

from bench.errors import BenchError
from bench.scenario import MIB, QUICK, SCENARIOS, STRETCH, USUAL, Read, Refusal, Upload, select, together


def test_patterns_choose_in_table_order_and_once() -> None:
    assert [scenario.name for scenario in select(["get-64k", "get-1k*", "get-1k"])] == [
        "get-1k",
        "get-1k-half",
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


def test_every_kind_of_request_without_a_body_is_there_and_the_usual_ones_are_plain() -> None:
    assert {scenario.read for scenario in SCENARIOS} == set(Read)
    assert {scenario.read for scenario in SCENARIOS if scenario.name in USUAL} == {Read.GET}


def test_a_head_is_of_an_object_without_bytes_because_the_generator_waits_for_them() -> None:
    assert [scenario.size for scenario in SCENARIOS if scenario.read is Read.HEAD] == [0]


def test_every_way_to_upload_is_there_in_three_sizes() -> None:
    plain = [(one.upload, one.size) for one in SCENARIOS if one.upload is not None and not one.tls]
    assert sorted(plain) == sorted((upload, size) for upload in Upload for size in (1024, MIB, 64 * MIB))


def test_tls_is_measured_of_gets_and_puts() -> None:
    assert {scenario.upload for scenario in SCENARIOS if scenario.tls} == {None, Upload.SHA256}


def test_a_reply_carries_the_object_and_the_reply_to_an_upload_nothing() -> None:
    assert [scenario.reply_size for scenario in select(["get-1m", "put-1m"])] == [MIB, 0]


def test_large_uploads_run_longer() -> None:
    assert [scenario.stretch for scenario in select(["get-1m", "put-1m", "put-64m"])] == [1, 1, STRETCH]


def test_every_refusal_is_a_get_like_the_quick_one_and_brings_it_along() -> None:
    quick, *refused = select(["refused-*"])
    assert quick.name == QUICK
    assert {scenario.refusal for scenario in refused} == set(Refusal)
    for scenario in refused:
        assert (scenario.size, scenario.connections, scenario.upload) == (quick.size, quick.connections, None)
        assert (scenario.beside, scenario.usual) == (QUICK, False)


def test_a_refusal_is_403_without_the_object_and_everything_else_200() -> None:
    for scenario in SCENARIOS:
        refused = scenario.refusal is not None
        assert scenario.expected == (HTTPStatus.FORBIDDEN if refused else HTTPStatus.OK)
        assert not refused or scenario.reply_size == 0


def test_half_load_brings_along_what_it_is_the_half_of_and_is_measured_after_it() -> None:
    groups = together(select(["get-1k-half"]))
    assert [[scenario.name for scenario in group] for group in groups] == [["get-1k"], ["get-1k-half"]]
    names = [scenario.name for scenario in SCENARIOS]
    for scenario in SCENARIOS:
        assert scenario.half_of is None or names.index(scenario.half_of) < names.index(scenario.name)


def test_scenarios_are_measured_together_with_what_they_stand_beside() -> None:
    groups = together(select(["get-64k", "refused-scope", "put-1k"]))
    assert [[scenario.name for scenario in group] for group in groups] == [
        ["get-1k", "refused-scope"],
        ["get-64k"],
        ["put-1k"],
    ]


def test_no_scenario_is_lost_by_putting_them_together() -> None:
    assert {scenario for group in together(SCENARIOS) for scenario in group} == set(SCENARIOS)
