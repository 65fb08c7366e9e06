"""A listening Unix socket: what it replaces, what it leaves alone, and that it takes away its own only."""

import fcntl
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.unix_listener import Found, look_at, unix_listener


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "s3.sock")


@contextmanager
def connected(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        yield client


def leave_dead(path: str) -> None:
    """As a process does that was killed."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        dead.listen()


def test_clients_find_it_with_its_mode_and_nothing_is_left_behind(path: str) -> None:
    with unix_listener(path, 0o640) as bound:
        assert stat.S_IMODE(os.lstat(path).st_mode) == 0o640
        with connected(path):
            bound.socket.accept()[0].close()
    assert look_at(path) is Found.NOTHING


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_the_mode_is_the_one_configured_whatever_the_umask(path: str, umask: int) -> None:
    before = os.umask(umask)
    try:
        with unix_listener(path, 0o660):
            assert stat.S_IMODE(os.lstat(path).st_mode) == 0o660
    finally:
        os.umask(before)


def test_what_a_dead_gateway_left_is_replaced(path: str) -> None:
    leave_dead(path)
    assert look_at(path) is Found.DEAD
    with unix_listener(path, 0o600):
        assert look_at(path) is Found.LIVE


def test_a_socket_on_which_somebody_answers_is_in_use_and_stays(path: str) -> None:
    with unix_listener(path, 0o600) as first:
        with (
            pytest.raises(OSError, match=r"s3\.sock cannot be listened on: it is already in use"),
            unix_listener(path, 0o600),
        ):
            pass
        first.socket.accept()[0].close()  # it was asked
        with connected(path):
            first.socket.accept()[0].close()


def test_a_socket_too_busy_to_answer_is_in_use_too(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)
        assert look_at(path) is Found.LIVE


@pytest.mark.parametrize("what", ["file", "folder", "link", "link to a dead socket", "fifo"])
def test_anything_else_there_is_left_alone(path: str, tmp_path: Path, what: str) -> None:
    there = Path(path)
    match what:
        case "file":
            there.write_text("mine")
        case "folder":
            there.mkdir()
        case "link":
            there.symlink_to("nowhere")
        case "link to a dead socket":
            leave_dead(str(tmp_path / "other"))
            there.symlink_to("other")
        case _:
            os.mkfifo(path)
    before = os.lstat(path)
    with pytest.raises(OSError, match="no socket, and stays untouched"), unix_listener(path, 0o600):
        pass
    assert os.path.samestat(before, os.lstat(path))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match=r"the folder .*/none does not exist; make it"),
        unix_listener(str(tmp_path / "none" / "s3.sock"), 0o600),
    ):
        pass


def test_another_gateway_that_has_taken_the_path_keeps_it_when_this_one_ends(path: str) -> None:
    with unix_listener(path, 0o600):
        os.unlink(path)  # somebody tidied up, and another gateway began
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            other.listen()
            theirs = os.lstat(path)
    assert os.path.samestat(theirs, os.lstat(path))


def test_removed_early_it_can_be_bound_by_the_next_before_this_one_ends(path: str) -> None:
    with unix_listener(path, 0o600) as first:
        first.remove()
        assert look_at(path) is Found.NOTHING
        with unix_listener(path, 0o600):
            first.remove()  # again: the other's stays
            assert look_at(path) is Found.LIVE


def test_of_many_that_begin_at_once_over_a_dead_socket_exactly_one_listens(path: str) -> None:
    leave_dead(path)
    begin, end = threading.Barrier(8), threading.Barrier(8)
    listening = []

    def run() -> None:
        begin.wait(10)
        try:
            with unix_listener(path, 0o600) as bound:
                listening.append(os.lstat(path))
                end.wait(10)
                assert bound.socket.fileno() >= 0
        except OSError as error:
            assert "in use" in str(error) or "just beginning" in str(error)  # noqa: PT017 – others must be let go on
            end.wait(10)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(listening) == 1
    assert look_at(path) is Found.NOTHING


def test_the_folder_is_locked_while_it_is_looked_at(path: str, tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="just beginning to listen"), unix_listener(path, 0o600):
            pass
    finally:
        os.close(folder)
    with unix_listener(path, 0o600):
        pass


def test_what_fails_after_the_bind_leaves_nothing_behind(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("os.chmod", fail)
    with pytest.raises(OSError, match="cannot be listened on: Read-only"), unix_listener(path, 0o600):
        pass
    assert look_at(path) is Found.NOTHING
