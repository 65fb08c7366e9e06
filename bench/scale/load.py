"""Requests by the hundred thousand: wrk with the heads of many keys, and the processor time they took."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.scale.site import Site
from bench.scenario import KIB
from bench.wrk import check_result, lua_string, run_wrk

CONNECTIONS: Final = 32

# LuaJIT takes no more than 65,536 constants in one function, so the heads are read from a file.
_SCRIPT: Final = """\
local requests, offset = {{}}, 0
local threads = {{}}
function setup(thread)
  table.insert(threads, thread)
end
function init(_)
  local file = assert(io.open({heads}, "rb"))
  local all = file:read("*a")
  file:close()
  for head in all:gmatch("(.-\\r\\n\\r\\n)") do
    requests[#requests + 1] = head
  end
  failed = 0
end
function request()
  offset = offset % #requests + 1
  return requests[offset]
end
function response(status)
  if status ~= 200 then
    failed = failed + 1
  end
end
function done(summary, latency, _)
  local errors, failures = summary.errors, 0
  for _, thread in ipairs(threads) do
    failures = failures + thread:get("failed")
  end
  io.write(string.format(
    "nqbench requests=%d duration_us=%d bytes=%d p50_us=%d p99_us=%d " ..
    "connect=%d read=%d write=%d status=%d timeout=%d\\n",
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, failures, errors.timeout))
end
"""


class Spent(NamedTuple):
    """`cpu_us`: processor time of all of the gateway's processes per request."""

    requests: int
    cpu_us: float
    p99_us: int


def load(site: Site, folder: Path, heads: Sequence[bytes], seconds: int, connections: int = CONNECTIONS) -> Spent:
    """The heads in turn, for 1 KiB each, for so many seconds. Raises BenchError if one answer was not 200 and whole."""
    listed, script = folder / "heads", folder / "load.lua"
    listed.write_bytes(b"".join(heads))
    script.write_text(_SCRIPT.format(heads=lua_string(bytes(listed))))
    before = site.cpu()
    result = run_wrk(site.origin, script, connections=connections, seconds=seconds, cpus=())
    used = site.cpu().since(before)
    check_result(result, KIB)
    return Spent(result.requests, used / result.requests * 1e6, result.p99_us)
