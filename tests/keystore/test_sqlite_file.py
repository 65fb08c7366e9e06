import sqlite3
from pathlib import Path

import pytest

from keystore import sqlite_file
from keystore.errors import KeystoreUnavailable
from keystore.sqlite_file import (
    answering,
    bring_schema_up,
    keystore_path,
    migrations,
    open_snapshot,
    open_writer,
    refuse_remote,
    scalar,
    statements,
    write_lock_holder,
)


def test_a_path_is_absolute_and_free_of_links(tmp_path: Path) -> None:
    (tmp_path / "real.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    assert keystore_path(f"sqlite:///{tmp_path}/link.db") == keystore_path(tmp_path / "real.db")
    assert keystore_path("some.db").is_absolute()


def test_every_foreign_error_becomes_unavailable(tmp_path: Path) -> None:
    for error in (sqlite3.OperationalError("disk I/O error"), sqlite3.ProgrammingError("closed"), OSError(5, "I/O")):
        with pytest.raises(KeystoreUnavailable, match=r"some\.db"), answering(tmp_path / "some.db"):
            raise error


def test_nobody_holds_a_lock_that_is_not_there(tmp_path: Path) -> None:
    assert write_lock_holder(tmp_path / "none.db") is None


async def test_a_writer_runs_in_wal_mode_with_full_synchronous(tmp_path: Path) -> None:
    async with open_writer(tmp_path / "k.db", create=True) as connection:
        assert await scalar(connection, "PRAGMA journal_mode") == "wal"
        assert await scalar(connection, "PRAGMA synchronous") == 2


async def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(KeystoreUnavailable, match="too old"):
        async with open_writer(tmp_path / "k.db", create=True):
            pass


@pytest.mark.parametrize("text", [b"not a database, but long enough to be taken for one" * 30, b"SQLite format 3\x00"])
async def test_a_file_that_is_no_database_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "k.db").write_bytes(text)
    with pytest.raises(KeystoreUnavailable):
        async with open_writer(tmp_path / "k.db", create=True):
            pass


async def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    async with open_writer(path, create=True) as connection:
        await connection.execute("CREATE TABLE other (x)")
        with pytest.raises(KeystoreUnavailable, match="no keystore"):
            await bring_schema_up(connection, path)


async def test_a_newer_schema_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    async with open_writer(path, create=True) as connection:
        assert await bring_schema_up(connection, path)
        assert not await bring_schema_up(connection, path)
        await connection.execute("PRAGMA user_version = 99")
        with pytest.raises(KeystoreUnavailable, match="newer gateway"):
            await bring_schema_up(connection, path)


async def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "k.db"
    monkeypatch.setattr(sqlite_file, "migrations", lambda: [*migrations(), "CREATE TABLE store (again);\n"])
    async with open_writer(path, create=True) as connection:
        await connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError):
            await bring_schema_up(connection, path)
        await connection.rollback()
        assert await scalar(connection, "SELECT count(*) FROM sqlite_master") == 0
        assert await scalar(connection, "PRAGMA user_version") == 0


def test_statements_are_split_where_sqlite_says_they_end() -> None:
    text = "-- a; b\nCREATE TABLE a (x);\nCREATE TRIGGER t AFTER INSERT ON a BEGIN\n SELECT 1;\nEND;\n"
    assert [part.split()[-1] for part in statements(text)] == ["(x);", "END;"]


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_remote(tmp_path)
    device = tmp_path.stat().st_dev
    line = f"36 35 {device >> 8 & 0xFFF}:{device & 0xFF} / /mnt rw - nfs4 server:/export rw\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: line)
    with pytest.raises(KeystoreUnavailable, match="nfs4"):
        refuse_remote(tmp_path)


# ---- a snapshot ----


async def made(path: Path) -> None:
    async with open_writer(path, create=True) as connection:
        await bring_schema_up(connection, path)


async def test_a_snapshot_is_of_one_moment_and_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    await made(path)
    async with open_writer(path, create=False) as writer:
        with open_snapshot(path) as connection:
            await writer.execute("CREATE TABLE later (x)")
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master").fetchall()]
            assert "later" not in names
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                connection.execute("DELETE FROM store")
        with open_snapshot(path) as connection:
            assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'later'").fetchall() == [(1,)]


async def test_a_snapshot_is_had_without_wal_and_shm_and_beside_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    await made(path)
    assert not (tmp_path / "k.db-wal").exists()
    with open_snapshot(path) as connection:
        assert connection.execute("SELECT count(*) FROM change").fetchall() == [(0,)]


async def test_there_is_no_snapshot_of_another_schema_or_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    with pytest.raises(KeystoreUnavailable, match="no keystore at"), open_snapshot(path):
        pass
    async with open_writer(path, create=True):
        pass
    with pytest.raises(KeystoreUnavailable, match="schema 0"), open_snapshot(path):
        pass
