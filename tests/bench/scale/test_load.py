from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.proc import CpuTime
from bench.scale import load as loading
from bench.scale.load import load
from bench.scale.site import Site
from bench.wrk import WrkResult

HEADS = [b"GET /1 HTTP/1.1\r\n\r\n", b"GET /2 HTTP/1.1\r\n\r\n"]


class _Site(Site):
    def cpu(self) -> CpuTime:
        return CpuTime(frozenset({1}), next(TIMES))


TIMES = iter([1.0, 1.5, 2.0, 3.0])


def _answering(monkeypatch: pytest.MonkeyPatch, result: WrkResult) -> None:
    monkeypatch.setattr(loading, "run_wrk", lambda *_, **__: result)


def test_the_cost_is_that_of_all_processes_per_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _answering(monkeypatch, WrkResult(1_000, 10**6, 10**9, 5, 9, 0, 0, 0, 0, 0))
    spent = load(_Site(1, 1, 1, 1, tmp_path), tmp_path, HEADS, 1)
    assert (spent.requests, spent.p99_us) == (1_000, 9)
    assert spent.cpu_us == pytest.approx(500.0)
    assert (tmp_path / "heads").read_bytes() == b"".join(HEADS)


def test_one_refused_request_spoils_the_measurement(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _answering(monkeypatch, WrkResult(1_000, 10**6, 10**9, 5, 9, 0, 0, 0, 1, 0))
    with pytest.raises(BenchError, match="not every answer"):
        load(_Site(1, 1, 1, 1, tmp_path), tmp_path, HEADS, 1)
