import os
import struct
from pathlib import Path

import pytest

from keystore.errors import KeystoreUnavailable
from keystore.wal_index import WalIndex

COPY = struct.pack("=I", 3_007_000) + bytes(range(44))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "k.db"
    path.touch()
    Path(f"{path}-shm").write_bytes(COPY + COPY)
    return path


def test_two_equal_copies_are_an_epoch(database: Path) -> None:
    assert WalIndex(database).epoch() == COPY + COPY


def test_a_torn_header_is_no_epoch(database: Path) -> None:
    wal_index = WalIndex(database)
    with open(f"{database}-shm", "r+b") as file:
        file.seek(60)
        file.write(b"\xff")
    assert wal_index.epoch() == b""


@pytest.mark.parametrize("octets", [b"", COPY, bytes(96), struct.pack(">I", 3_007_000) * 24])
def test_another_layout_is_refused(database: Path, octets: bytes) -> None:
    Path(f"{database}-shm").write_bytes(octets)
    with pytest.raises(KeystoreUnavailable):
        WalIndex(database)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        WalIndex(tmp_path / "k.db")


def test_it_is_not_lost_while_nothing_happens(database: Path) -> None:
    assert WalIndex(database).lost() == ""


@pytest.mark.parametrize("suffix", ["", "-shm"])
def test_a_file_moved_away_or_replaced_is_lost(database: Path, suffix: str) -> None:
    wal_index = WalIndex(database)
    path = f"{database}{suffix}"
    os.rename(path, path + ".moved")
    assert "moved or deleted" in wal_index.lost()
    Path(path).write_bytes(COPY + COPY)
    assert "another file" in wal_index.lost()


def test_a_deleted_shm_is_lost_even_if_the_name_is_back(database: Path) -> None:
    wal_index = WalIndex(database)
    os.unlink(f"{database}-shm")
    Path(f"{database}-shm").write_bytes(COPY + COPY)
    assert "deleted" in wal_index.lost()
