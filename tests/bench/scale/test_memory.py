import mmap
import os

import pytest

from bench.errors import BenchError
from bench.scale.memory import Memory, memory, read_rollup, read_slab

ROLLUP = """\
5581e1b4d000-7ffd2d3f5000 ---p 00000000 00:00 0                          [rollup]
Rss:               64468 kB
Pss:               40296 kB
Pss_Anon:          33268 kB
"""


def test_rss_and_pss_are_read_in_bytes() -> None:
    assert read_rollup(ROLLUP) == Memory(64468 * 1024, 40296 * 1024)


def test_slabs_of_the_kernel_are_read_in_bytes() -> None:
    assert read_slab("MemTotal: 1 kB\nSlab:              352 kB\nSReclaimable: 9 kB\n") == 352 * 1024


def test_what_a_process_fills_is_seen() -> None:
    with mmap.mmap(-1, 32 << 20) as fresh:  # not from the allocator, which gives what it has still got
        before = memory(os.getpid()).rss
        fresh.write(bytes(len(fresh)))
        assert memory(os.getpid()).rss - before > 30 << 20


def test_a_process_that_is_gone_is_no_measurement() -> None:
    with pytest.raises(BenchError, match="cannot be read"):
        memory(2**22 + 1)
