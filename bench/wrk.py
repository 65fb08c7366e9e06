"""The load generator: its script, its run, and what it says afterwards.

wrk's text report rounds to three digits; the script prints the same figures as whole numbers on one line instead.
"""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.errors import BenchError
from bench.placement import pinned

_FIGURES: Final = re.compile(r"^nqbench((?: [a-z0-9_]+=\d+)+)$", re.MULTILINE)

# Up to this size in bytes of a reply's body the script looks at the status of every reply. wrk then hands it every head
# and body: at 1 KiB that took a sixth more of wrk's CPU, at 64 KiB a seventh, at 1 MiB more than twice as much.
WATCHED: Final = 64 << 10

# `setup` runs once per thread, and spreads the threads over the list; `request` answers with the next of the list.
# `delay` is asked before each request how many ms to wait. It hands out the instants of one timetable per thread, with
# gaps of chance (exponential; the same in each run), to whichever connection is free: so the rate is kept however long
# answers take, as long as a connection is free, and what fell behind is caught up. wrk's timers tick in ms.
# `init` runs in each thread; `response`, where there is one, at each reply. A body is read from a file, for a Lua
# literal of it would be thrice as long, and put behind every head once, for doing so at each request lowered the
# generator's pace by a third. LuaJIT has room enough: with four uploads of 64 MiB wrk takes 0.7 GiB.
_SCRIPT: Final = """\
local requests = {{
{requests}
}}
local expected = {expected}
local threads = {{}}
function setup(thread)
  thread:set("offset", #threads * 97)
  table.insert(threads, thread)
end
function init(_)
  math.randomseed(offset)
  unexpected = 0
  if {body_file} then
    local file = assert(io.open({body_file}, "rb"))
    local size = file:seek("end")
    file:seek("set")
    local body = file:read(size)
    file:close()
    for number, head in ipairs(requests) do
      requests[number] = head .. body
    end
  end
end
function request()
  offset = offset % #requests + 1
  return requests[offset]
end
if {gap_ms} then
  local ffi = require("ffi")
  ffi.cdef("typedef struct {{ long s; long ns; }} instant; int clock_gettime(int, instant *);")
  local clock = ffi.new("instant")
  local planned = nil
  function delay()
    ffi.C.clock_gettime(1, clock)
    local now = tonumber(clock.s) * 1000 + tonumber(clock.ns) / 1000000
    planned = (planned or now) - math.log(1 - math.random()) * {gap_ms}
    return math.max(0, math.floor(planned - now + 0.5))
  end
end
if expected then
  function response(status)
    if status ~= expected then
      unexpected = unexpected + 1
    end
  end
end
function done(summary, latency, _)
  local errors = summary.errors
  if expected then
    errors.status = 0
    for _, thread in ipairs(threads) do
      errors.status = errors.status + thread:get("unexpected")
    end
  end
  io.write(string.format(
    "nqbench requests=%d duration_us=%d bytes=%d p50_us=%d p99_us=%d " ..
    "connect=%d read=%d write=%d status=%d timeout=%d\\n",
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
"""


class WrkResult(NamedTuple):
    """One run as wrk saw it. `bytes`: of heads and bodies.

    `status` counts replies of another status than the expected one; of 400 and above, where the script did not look.
    """

    requests: int
    duration_us: int
    bytes: int
    p50_us: int
    p99_us: int
    connect: int
    read: int
    write: int
    status: int
    timeout: int

    @property
    def errors(self) -> dict[str, int]:
        counted = {"connect": self.connect, "read": self.read, "write": self.write}
        counted |= {"status": self.status, "timeout": self.timeout}
        return {kind: count for kind, count in counted.items() if count}


def render_script(
    requests: Sequence[bytes], status: int, size: int, body_file: Path | None = None, gap_ms: float | None = None
) -> str:
    """The Lua script that sends these requests in turn, each followed by what the file holds.

    `status`, `size`: of every reply, the bytes of its body. `gap_ms`: the mean time between two requests of one thread,
    where they are not to follow each other as fast as they are answered.
    """
    return _SCRIPT.format(
        requests=",\n".join(lua_string(request) for request in requests),
        expected=f"{status:d}" if size <= WATCHED else "nil",
        body_file="nil" if body_file is None else lua_string(bytes(body_file)),
        gap_ms="nil" if gap_ms is None else f"{gap_ms:.6f}",
    )


def lua_string(octets: bytes) -> str:
    """A Lua literal of any bytes; what is not plain is a three-digit decimal escape."""
    plain = set(range(0x20, 0x7F)) - set(b'"\\')
    return '"' + "".join(chr(octet) if octet in plain else f"\\{octet:03}" for octet in octets) + '"'


def read_result(output: str) -> WrkResult:
    """Raises BenchError when the script's line is missing or incomplete."""
    found = _FIGURES.search(output)
    if found is None:
        raise BenchError(f"wrk did not report its figures:\n{output.strip()}")
    figures = dict(pair.split("=") for pair in found[1].split())
    try:
        return WrkResult(**{name: int(value) for name, value in figures.items()})
    except TypeError as error:
        raise BenchError(f"wrk reported other figures than expected: {found[1].strip()}") from error


def check_result(result: WrkResult, size: int) -> None:
    """Raises BenchError unless every reply came whole, had the expected status and a body of at least `size` bytes.

    Where the script did not look, 3xx and 204 count among the good ones and are seen by the bodies that are missing.
    """
    if result.errors:
        raise BenchError(f"not every answer was the expected one: {result.requests} requests, errors {result.errors}")
    if result.requests == 0:
        raise BenchError("no request was answered")
    if result.bytes < result.requests * size:
        raise BenchError(f"{result.requests} replies of {size} bytes cannot fit into the {result.bytes} bytes received")


def threads(connections: int, cpus: Sequence[int]) -> int:
    """How many of them a run has."""
    return min(connections, len(cpus) or 1)


def run_wrk(origin: str, script: Path, *, connections: int, seconds: int, cpus: Sequence[int]) -> WrkResult:
    """Load `origin` for `seconds`. Raises BenchError if wrk is missing or fails."""
    sizes = [f"-t{threads(connections, cpus)}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    command = pinned(["wrk", *sizes, "--script", str(script), origin], cpus)
    done = _run(command, timeout=seconds + 30)
    if done.returncode != 0:
        raise BenchError(f"wrk failed: {(done.stderr or done.stdout).strip()}")
    return read_result(done.stdout)


def wrk_version() -> str:
    """Such as "wrk debian/4.1.0-3+b2 [epoll]". Raises BenchError if wrk is not installed."""
    first, *_ = _run(["wrk", "-v"], timeout=10).stdout.splitlines() or ["wrk"]
    return first.partition(" Copyright")[0]


def _run(command: Sequence[str], timeout: float) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except FileNotFoundError as error:
        raise BenchError(f"{error.filename} is not installed (Debian: apt-get install wrk util-linux)") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError("wrk did not end in time") from error
