"""One run of one contender: load on, processor time before and after."""

import time
from pathlib import Path
from typing import Final, NamedTuple

from bench.contender import Contender
from bench.errors import BenchError
from bench.proc import cpu_time
from bench.scenario import Scenario
from bench.wrk import WrkResult, check_result, run_wrk

# The contender closes its connections after wrk has ended; that work belongs to this run.
SETTLE_SECONDS: Final = 0.1


class Sample(NamedTuple):
    """One run. Processor time is user + system of every process of the contender; the upstream's is nobody's.

    It is None where the contender's processes are not to be seen, latencies are where nobody waited for an answer. Of
    `requests` for large downloads, the parts that had come at the end are counted too.
    """

    scenario: str
    contender: str
    round: int
    requests: float
    seconds: float
    cpu_seconds: float | None
    p50_us: int | None
    p99_us: int | None

    @property
    def cpu_per_request_us(self) -> float | None:
        return None if self.cpu_seconds is None else self.cpu_seconds / self.requests * 1e6

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def busy(self) -> float | None:
        """Cores in use; well below the workers' number, something else limited the throughput."""
        return None if self.cpu_seconds is None else self.cpu_seconds / self.seconds


def _requests(result: WrkResult, scenario: Scenario) -> float:
    """Large downloads are cut off by the end, and paid for: the bytes tell how much of them had come."""
    if scenario.stretch > 1 and scenario.reply_size:
        return result.bytes / scenario.reply_size
    return result.requests


def measure(
    contender: Contender, scenario: Scenario, script: Path, *, number: int, seconds: int, cpus: tuple[int, ...]
) -> Sample:
    """Load the contender for `seconds`. Raises BenchError if a reply was not what the scenario expects."""
    before = None if contender.pid is None else cpu_time(contender.pid)
    result = run_wrk(contender.origin, script, connections=scenario.connections, seconds=seconds, cpus=cpus)
    time.sleep(SETTLE_SECONDS)
    used = None if contender.pid is None or before is None else cpu_time(contender.pid).since(before)
    try:
        check_result(result, scenario.reply_size)
    except BenchError as error:
        raise BenchError(f"{contender.name}, {scenario.title}: {error}") from error
    return Sample(
        scenario=scenario.name,
        contender=contender.name,
        round=number,
        requests=_requests(result, scenario),
        seconds=result.duration_us / 1e6,
        cpu_seconds=used,
        p50_us=result.p50_us,
        p99_us=result.p99_us,
    )
