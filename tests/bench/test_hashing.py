import hashlib

import pytest

from bench import hashing
from bench.errors import BenchError
from bench.hashing import hash_for, measure_hashing
from bench.scenario import select


@pytest.mark.parametrize("size", [1024, 3 << 20])
def test_passes_are_counted_with_the_time_they_took(size: int) -> None:
    passes, seconds, cpu_seconds = hash_for(bytes(size), 0.01)
    assert passes >= 1
    assert seconds >= 0.01
    assert 0 < cpu_seconds < 2 * seconds


def test_it_hashes_what_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []
    sha256 = hashlib.sha256
    monkeypatch.setattr(hashing.hashlib, "sha256", lambda body: hashed.append(body) or sha256(body))
    passes, _, _ = hash_for(b"body" * 1000, 0.0)
    assert passes == len(hashed)


def test_a_process_of_its_own_measures_one_round() -> None:
    [scenario] = select(["put-1k"])
    sample = measure_hashing(scenario, number=4, cpus=())
    assert (sample.scenario, sample.contender, sample.round) == ("put-1k", "sha256", 4)
    assert sample.requests > 1000
    assert 0 < sample.cpu_seconds <= sample.seconds * 1.1
    assert sample.p50_us is None


def test_a_process_that_fails_is_an_error() -> None:
    [scenario] = select(["put-1k"])
    with pytest.raises(BenchError, match="hashing"):
        measure_hashing(scenario._replace(size=-1), number=0, cpus=())
