"""The table of metrics: names and labels as Prometheus has them, closed sets, and a place for every number."""

import re

import pytest

from gateway.s3.errors import Code
from gateway.s3.operation_table import OPERATIONS
from gateway.telemetry.metrics import (
    ANSWER,
    BY_NAME,
    CELLS,
    CODE,
    GAUGES_AT,
    GROUP,
    METRICS,
    OPERATION,
    PLACE,
    REASON,
    Kind,
    Metric,
    group_of,
    place_of,
    reason_of,
    shown_name,
)

each = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


@each
def test_names_and_labels_are_those_of_the_field(metric: Metric) -> None:
    """https://prometheus.io/docs/practices/naming/: a prefix, base units, no _total but the one that is added."""
    assert re.fullmatch(r"nqgate_[a-z_]*[a-z]", metric.name)
    assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket", "_ms", "_milliseconds"))
    assert all(re.fullmatch(r"[a-z]+", name) for name, _ in metric.labels)
    assert metric.help.endswith((".", "]"))
    assert list(metric.bounds) == sorted(set(metric.bounds))


@each
def test_no_label_grows_with_what_clients_send(metric: Metric) -> None:
    assert not {"bucket", "key", "access_key_id", "source", "path", "account"} & {name for name, _ in metric.labels}
    assert len(metric.series) <= len(OPERATION) * len(ANSWER)


def test_every_number_has_a_place_of_its_own_and_gauges_come_last() -> None:
    ends = [PLACE[metric.name] + metric.size for metric in METRICS]
    assert ends == [*[PLACE[metric.name] for metric in METRICS[1:]], CELLS]
    outlive = {Kind.COUNTER, Kind.HISTOGRAM}
    assert {metric.kind in outlive for metric in METRICS if PLACE[metric.name] < GAUGES_AT} == {True}
    assert {metric.kind in outlive for metric in METRICS if PLACE[metric.name] >= GAUGES_AT} == {False}
    assert len(BY_NAME) == len(METRICS)


def test_a_series_is_found_by_its_values() -> None:
    assert place_of("nqgate_requests", OPERATION[0], ANSWER[0]) == PLACE["nqgate_requests"]
    assert place_of("nqgate_requests", OPERATION[1], ANSWER[2]) == PLACE["nqgate_requests"] + len(ANSWER) + 2
    with pytest.raises(ValueError, match="not in list"):
        place_of("nqgate_requests", "GetObject", "6xx")


def test_every_operation_and_every_code_of_ours_is_a_value() -> None:
    assert {row.name for row in OPERATIONS} < set(OPERATION)
    assert {code.wire_name for code in Code} < set(CODE)
    assert len(set(OPERATION)) == len(OPERATION)
    assert len(set(CODE)) == len(CODE)


def test_every_operation_is_in_a_group_and_every_group_is_used() -> None:
    assert {group_of(operation) for operation in OPERATION} == set(GROUP)
    assert [group_of(name) for name in ("GetObject", "UploadPart", "ListObjectsV2", "sts", "", "made up")] == [
        "download",
        "upload",
        "list",
        "control",
        "none",
        "none",
    ]


def test_every_refusal_has_a_reason_and_every_reason_is_used() -> None:
    found = {reason_of(code.wire_name, "") for code in Code}
    found |= {reason_of("ServiceUnavailable", "keystore: the lease ran out")}
    assert found == set(REASON)


@pytest.mark.parametrize(
    ("code", "told", "reason"),
    [
        ("SignatureDoesNotMatch", "", "signature"),
        ("ServiceUnavailable", "keystore: does not answer", "keystore"),
        ("ServiceUnavailable", "the keystore's lease ran out", "keystore"),
        ("ServiceUnavailable", "the store cannot be reached", "store"),
        ("", "the store closed the connection", "store"),
        ("", "the client took no more of the reply", "client"),
        ("MadeUp", "", "request"),
    ],
)
def test_why_it_was_refused_is_one_word(code: str, told: str, reason: str) -> None:
    assert reason_of(code, told) == reason


def test_counters_are_named_as_rules_name_them() -> None:
    assert shown_name(BY_NAME["nqgate_requests"]) == "nqgate_requests_total"
    assert shown_name(BY_NAME["nqgate_connections"]) == "nqgate_connections"
