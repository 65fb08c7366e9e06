from pathlib import Path

import pytest

from bench import measure as measured
from bench.contender import Contender
from bench.errors import BenchError
from bench.measure import Sample, measure
from bench.proc import CpuTime
from bench.scenario import MIB, select
from bench.wrk import WrkResult

RESULT = WrkResult(10, 2_000_000, 10 * 64 * MIB, 800, 1500, connect=0, read=0, write=0, status=0, timeout=0)
NGINX = Contender("nginx", 20001, 1, "nginx 1.22.1")


@pytest.fixture(autouse=True)
def one_second_of_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter([CpuTime(frozenset({1}), 4.0), CpuTime(frozenset({1}), 5.0)])
    monkeypatch.setattr(measured, "cpu_time", lambda _: next(used))
    monkeypatch.setattr(measured, "SETTLE_SECONDS", 0.0)


def sample(monkeypatch: pytest.MonkeyPatch, scenario: str, result: WrkResult, contender: Contender = NGINX) -> Sample:
    monkeypatch.setattr(measured, "run_wrk", lambda *_, **__: result)
    [chosen] = select([scenario])
    return measure(contender, chosen, Path("script"), number=3, seconds=2, cpus=())


def test_a_run_is_requests_time_and_what_the_processes_used(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = sample(monkeypatch, "get-1m", RESULT)
    assert (taken.scenario, taken.contender, taken.round) == ("get-1m", "nginx", 3)
    assert (taken.requests, taken.seconds, taken.cpu_seconds) == (10, 2.0, 1.0)
    assert (taken.p50_us, taken.p99_us) == (800, 1500)


def test_what_had_come_of_a_large_download_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off = RESULT._replace(bytes=RESULT.bytes + 96 * MIB)
    assert sample(monkeypatch, "get-64m", cut_off).requests == 11.5


def test_of_a_large_upload_only_whole_ones_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sample(monkeypatch, "put-64m", RESULT).requests == 10


def test_of_a_peer_whose_process_is_not_known_none_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = sample(monkeypatch, "get-1k", RESULT, NGINX._replace(name="peer", pid=None))
    assert (taken.cpu_seconds, taken.cpu_per_request_us, taken.busy) == (None, None, None)


def test_a_run_with_an_answer_that_was_not_expected_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchError, match=r"nginx, GET 1 KiB.*status"):
        sample(monkeypatch, "get-1k", RESULT._replace(status=1))
