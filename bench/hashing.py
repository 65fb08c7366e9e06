"""What the hash of an upload costs alone: `hashlib.sha256` over the same bytes, again and again, in its own process.

Whoever checks x-amz-content-sha256 pays for one such pass on top of relaying, in whatever language.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.measure import Sample
from bench.objects import content
from bench.placement import pinned
from bench.scenario import MIB, Scenario

NAME: Final = "sha256"
SECONDS: Final = 1.0  # it waits for nobody, so its rounds may be shorter than those of a server
ROOT: Final = Path(__file__).parent.parent


def measure_hashing(scenario: Scenario, *, number: int, cpus: Sequence[int]) -> Sample:
    """One run on the contenders' cores. Raises BenchError if it fails."""
    command = pinned([sys.executable, "-m", "bench.hashing", str(scenario.size)], cpus)
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        passes, seconds, cpu_seconds = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise BenchError(f"hashing was not measured: {error}") from error
    return Sample(scenario.name, NAME, number, passes, seconds, cpu_seconds, p50_us=None, p99_us=None)


def hash_for(body: bytes, seconds: float) -> tuple[int, float, float]:
    """Passes made, seconds gone, seconds of processor time."""
    between_looks = range(max(1, MIB // len(body)))  # the clock must not cost as much as a small body's hash
    passes, begin, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begin < seconds:
        for _ in between_looks:
            hashlib.sha256(body).digest()
        passes += len(between_looks)
    return passes, time.perf_counter() - begin, time.process_time() - used


if __name__ == "__main__":
    print(json.dumps(hash_for(content(int(sys.argv[1])), SECONDS)))
