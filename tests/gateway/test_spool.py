"""First in, first out, within budgets that are given back; nothing of it has a name on the disk."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.errors import Code, S3Error
from gateway.spool import Budget, Spool, SpoolRoom


def room(directory: Path | None = None, *, memory: int = 1000, files: int = 10_000) -> SpoolRoom:
    return SpoolRoom(Budget(memory, "memory"), Budget(files, "files"), directory)


def spent(room: SpoolRoom) -> tuple[int, int]:
    return room.memory.taken, room.files.taken


def test_a_budget_refuses_what_is_more_than_it_has_and_keeps_what_it_had() -> None:
    budget = Budget(10, "the test's budget is spent")
    budget.take(10)
    with pytest.raises(S3Error) as refused:
        budget.take(1)
    assert (refused.value.code, refused.value.retry_after) == (Code.SLOW_DOWN, 1)
    assert refused.value.reason == "the test's budget is spent"
    assert budget.taken == 10
    budget.give_back(4)
    budget.take(4)


def test_what_is_small_stays_in_memory() -> None:
    ours = room()
    spool = Spool(ours, 100)
    spool.append(b"a" * 60)
    spool.append(bytearray(b"b" * 40))
    assert not spool.spilled
    assert spent(ours) == (100, 0)
    assert spool.take_memory() == b"a" * 60 + b"b" * 40
    assert spent(ours) == (100, 0)  # its bytes are still somebody's
    spool.close()
    assert spent(ours) == (0, 0)


def test_what_is_larger_goes_to_a_file_without_a_name(tmp_path: Path) -> None:
    ours = room(tmp_path)
    spool = Spool(ours, 100)
    spool.append(b"a" * 100)
    spool.append(memoryview(b"b"))
    assert spool.spilled
    assert spent(ours) == (0, 101)
    assert list(tmp_path.iterdir()) == []
    assert spool.read(1000) == b"a" * 100 + b"b"
    assert spent(ours) == (0, 0)
    spool.close()


def test_a_closed_spool_gives_everything_back_and_may_be_closed_again(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    ours = room(tmp_path)
    spool = Spool(ours, 10)
    spool.append(b"x" * 50)
    spool.close()
    spool.close()
    assert (spool.size, spent(ours)) == (0, (0, 0))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_spent_budget_for_files_slows_down_and_loses_nothing_of_the_account(tmp_path: Path) -> None:
    ours = room(tmp_path, files=100)
    spool = Spool(ours, 10)
    spool.append(b"x" * 90)
    with pytest.raises(S3Error) as refused:
        spool.append(b"y" * 11)
    assert refused.value.code is Code.SLOW_DOWN
    spool.close()
    assert spent(ours) == (0, 0)


def test_a_spent_budget_for_memory_slows_down() -> None:
    spool = Spool(room(memory=50), 100)
    with pytest.raises(S3Error) as refused:
        spool.append(b"x" * 51)
    assert refused.value.code is Code.SLOW_DOWN
    spool.close()


def test_a_folder_that_is_gone_slows_down(tmp_path: Path) -> None:
    ours = room(tmp_path / "gone")
    spool = Spool(ours, 10)
    with pytest.raises(S3Error) as refused:
        spool.append(b"x" * 50)
    assert refused.value.code is Code.SLOW_DOWN
    spool.close()
    assert spent(ours) == (0, 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_slows_down(tmp_path: Path) -> None:
    ours = room(tmp_path)
    spool = Spool(ours, 10)
    spool.append(b"x" * 50)
    assert spool._file is not None
    with open("/dev/full", "r+b", buffering=0) as full:
        os.dup2(full.fileno(), spool._file.fileno())
    with pytest.raises(S3Error) as refused:
        spool.append(b"y")
    assert refused.value.code is Code.SLOW_DOWN
    assert "No space" in refused.value.reason
    spool.close()
    assert spent(ours) == (0, 0)


@given(
    steps=st.lists(st.tuples(st.sampled_from(["append", "read"]), st.integers(1, 300)), max_size=40),
    in_memory=st.integers(0, 400),
)
def test_bytes_come_out_as_they_went_in(steps: list[tuple[str, int]], in_memory: int) -> None:
    source = random.Random(0)
    ours = room(memory=100_000, files=100_000)
    spool = Spool(ours, in_memory)
    expected = b""
    for step, size in steps:
        if step == "append":
            block = source.randbytes(size)
            expected += block
            spool.append(block)
        else:
            piece = spool.read(size)
            assert piece == expected[: len(piece)]
            assert len(piece) == min(size, len(expected))
            expected = expected[len(piece) :]
        assert spool.size == len(expected)
        assert sum(spent(ours)) >= spool.size
        if not spool.size:
            assert spent(ours) == (0, 0)
    spool.close()
    assert spent(ours) == (0, 0)
