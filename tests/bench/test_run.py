import pytest

from bench.errors import BenchError
from bench.measure import Sample
from bench.run import Run, read_run

NGINX = Sample("get-1m", "nginx", 0, requests=60_000, seconds=2.0, cpu_seconds=2.0, p50_us=800, p99_us=1500)
HASHED = NGINX._replace(scenario="put-1m", contender="sha256", p50_us=None, p99_us=None)
RUN = Run(
    {"wrk": "4"},
    {"rounds": 1, "seconds": 2},
    [NGINX, NGINX._replace(contender="gateway", cpu_seconds=3.0), NGINX._replace(scenario="put-1m"), HASHED],
)


def test_what_was_written_is_read_again_as_the_same_run() -> None:
    assert read_run(RUN.json()) == RUN


def test_a_run_knows_its_scenarios_what_follows_and_whether_that_is_enough() -> None:
    assert [scenario.name for scenario in RUN.scenarios] == ["get-1m", "put-1m"]
    assert [comparison.contender for comparison in RUN.comparisons] == ["nginx", "gateway", "nginx", "sha256"]
    assert [(outcome.target.name, outcome.met) for outcome in RUN.outcomes] == [("GET 1 MiB / nginx", False)]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"samples": [{"round": 1}], "machine": {}, "settings": {}}'])
def test_a_file_that_is_no_run_is_an_error(text: str) -> None:
    with pytest.raises(BenchError, match="not a run"):
        read_run(text)
