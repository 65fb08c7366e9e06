"""The disk of the crash tests: what was synced is there, what was not may be."""

from pathlib import Path

import pytest

from tests.support.power_cut import SECTOR, Call, Disk, read_trace

A, B = b"a" * SECTOR, b"b" * SECTOR


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    (tmp_path / "old").write_bytes(A)
    return Disk(tmp_path, ["old", "new"])


def left(disk: Disk) -> list[dict[str, bytes]]:
    """With nothing that is not sure, and with all of it."""
    return list(disk.images(0, 0))


def test_a_write_is_sure_from_the_sync_of_its_file_on(disk: Disk, tmp_path: Path) -> None:
    old = str(tmp_path / "old")
    disk.take(Call("pwrite64", old, B, 0))
    assert left(disk) == [{"old": A}, {"old": B}]
    disk.take(Call("fdatasync", str(tmp_path / "new")))
    assert left(disk) == [{"old": A}, {"old": B}]
    disk.take(Call("fdatasync", old))
    assert left(disk) == [{"old": B}, {"old": B}]


def test_a_file_is_sure_to_be_there_from_the_sync_of_its_folder_on(disk: Disk, tmp_path: Path) -> None:
    disk.take(Call("pwrite64", str(tmp_path / "new"), B, SECTOR))
    disk.take(Call("fdatasync", str(tmp_path / "new")))
    assert left(disk) == [{"old": A}, {"old": A, "new": bytes(SECTOR) + B}]
    disk.take(Call("fsync", str(tmp_path)))
    assert left(disk) == [{"old": A, "new": bytes(SECTOR) + B}] * 2


def test_a_deleted_file_may_come_back_until_the_sync_of_its_folder(disk: Disk, tmp_path: Path) -> None:
    disk.take(Call("unlink", str(tmp_path / "old")))
    assert left(disk) == [{"old": A}, {}]
    disk.take(Call("fsync", str(tmp_path)))
    assert left(disk) == [{}, {}]


def test_a_new_length_is_as_unsure_as_a_write(disk: Disk, tmp_path: Path) -> None:
    disk.take(Call("ftruncate", str(tmp_path / "old"), b"", 3))
    assert left(disk) == [{"old": A}, {"old": b"aaa"}]


def test_of_several_writes_each_may_be_lost_or_torn_by_itself(disk: Disk, tmp_path: Path) -> None:
    disk.take(Call("pwrite64", str(tmp_path / "old"), B, 0))
    disk.take(Call("pwrite64", str(tmp_path / "old"), B + B, SECTOR))
    between = {image["old"] for image in disk.images(0, 200)}
    assert {A, B, A + B, A + B + B, B + B, B + B + B} <= between
    assert all(set(content) <= {ord("a"), ord("b")} for content in between)


def test_a_file_of_another_name_or_folder_is_no_concern(disk: Disk, tmp_path: Path) -> None:
    disk.take(Call("pwrite64", str(tmp_path / "else"), B, 0))
    disk.take(Call("pwrite64", str(tmp_path.parent / "old"), B, 0))
    assert left(disk) == [{"old": A}, {"old": A}]


def test_a_trace_is_read_call_by_call() -> None:
    text = r"""
12  pwrite64(7<\x2f\x61>, "\x6f\x6b", 2, 4096) = 2
12  fdatasync(7<\x2f\x61>) = 0
12  ftruncate(7<\x2f\x61>, 0) = 0
12  unlink("\x2f\x61") = 0
12  unlink("\x2f\x62") = -1 ENOENT (No such file or directory)
11  write(1<\x70\x69\x70\x65>, "\x0a", 1) = 1
11  +++ exited with 0 +++
"""
    assert read_trace(text) == [
        Call("pwrite64", "/a", b"ok", 4096),
        Call("fdatasync", "/a"),
        Call("ftruncate", "/a"),
        Call("unlink", "/a"),
        Call("write", "pipe", b"\n", 1),
    ]


def test_a_trace_whose_order_is_not_told_is_refused() -> None:
    with pytest.raises(AssertionError):
        read_trace("12  fdatasync(7<\\x2f\\x61> <unfinished ...>")
