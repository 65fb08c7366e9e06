"""Sockets made here and handed over, and who accepts from which."""

import itertools
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config, SettingsError
from gateway.listening import NOTHING, Handed, Listening, activated, listen, listens_at, matched, s3_listening
from tests.support.server_process import LOOPBACK, free_port


def configured(s3: str, console: str = "127.0.0.1:9001") -> Config:
    store: dict[str, Any] = {"endpoint": "http://127.0.0.1:1", "access_key_id": "store", "secret_access_key": "x"}
    return Config.model_validate({"upstream": store, "s3": {"listen": s3}, "console": {"listen": console}})


def test_every_address_of_a_name_is_listened_on() -> None:
    workers = listen("localhost", free_port(), 3)
    try:
        addresses = [[listener.getsockname() for listener in own] for own in workers]
        assert addresses == [addresses[0]] * 3
        assert {address[0] for address in addresses[0]} <= {"127.0.0.1", "::1"}
        assert addresses[0]
    finally:
        for listener in itertools.chain(*workers):
            listener.close()


def test_an_address_that_is_taken_leaves_no_socket_open() -> None:
    """Also where it is taken by another gateway, whose sockets would share it."""
    [[taken]] = listen("127.0.0.1", 0, 1)
    with taken, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", taken.getsockname()[1], 2)


def test_every_socket_has_a_worker_however_many_there_are() -> None:
    listening = Listening(listen(LOOPBACK, 0, 3), shared=False)
    sockets = [group[0] for group in listening.groups]
    assert listening.places(3) == [[one] for one in sockets]
    assert listening.places(2) == [[sockets[0], sockets[2]], [sockets[1]]]
    assert listening.places(1) == [sockets]
    more = listening.places(4)
    assert more[:3] == [[one] for one in sockets]
    assert more[3][0].getsockname() == sockets[0].getsockname()
    listening.close()


def test_no_connection_comes_to_a_socket_that_was_added_before_its_worker_listens() -> None:
    listening = Listening(listen(LOOPBACK, 0, 1), shared=False)
    [_, [added]] = listening.places(2)
    assert not added.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    for _ in range(20):
        socket.create_connection((LOOPBACK, listening.port)).close()
        listening.groups[0][0].accept()[0].close()
    listening.forget(1)
    assert (added.fileno(), len(listening.groups)) == (-1, 1)
    listening.close()


def test_of_one_shared_socket_every_worker_accepts() -> None:
    [[one]] = listen(LOOPBACK, 0, 1)
    listening = Listening([[one]], shared=True)
    assert listening.places(3) == [[one]] * 3
    listening.close()


# ---- handed over ----


def test_sockets_are_taken_only_where_the_configuration_listens() -> None:
    [[s3]] = listen(LOOPBACK, 0, 1)
    [[console]] = listen(LOOPBACK, 0, 1)
    at_s3, at_console = (f"{LOOPBACK}:{one.getsockname()[1]}" for one in (s3, console))
    with s3, console:
        wanted = Handed(((s3,),), shared=True, console=(console,))
        assert matched(configured(at_s3, at_console), [console, s3]) == wanted
        assert listens_at(at_s3, [s3])
        assert not listens_at(at_s3, [s3, console])
        assert not listens_at(at_s3, [])
        with pytest.raises(SettingsError, match=r"console\.listen is 127\.0\.0\.1:9001"):
            matched(configured(at_s3), [console, s3])


def test_a_socket_that_accepts_nothing_is_refused() -> None:
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        with pytest.raises(SettingsError, match="ListenStream="):
            matched(configured(f"{LOOPBACK}:{bound.getsockname()[1]}"), [bound])


def test_what_is_for_another_process_is_left_alone() -> None:
    assert activated(configured("127.0.0.1:9000"), {}) is NOTHING
    assert activated(configured("127.0.0.1:9000"), {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getppid())}) is NOTHING


ACTIVATED = """
import os, sys
from gateway.listening import activated
from tests.gateway.test_listening import configured
handed = activated(configured(sys.argv[1]), {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
[[one]] = handed.s3
print(one.getsockname()[1], handed.shared, os.get_inheritable(one.fileno()), os.path.exists("/proc/self/fd/3"))
"""


def test_the_file_of_systemd_is_taken_and_nobody_who_is_started_inherits_it() -> None:
    [[one]] = listen(LOOPBACK, 0, 1)
    with one:
        port = one.getsockname()[1]
        shell = f'exec 3<&{one.fileno()}; exec "$0" -c "$1" {LOOPBACK}:{port}'
        command = ["bash", "-c", shell, sys.executable, ACTIVATED]
        root = Path(__file__).resolve().parents[2]
        done = subprocess.run(command, cwd=root, pass_fds=[one.fileno()], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(port), "True", "False", "False"]


def test_the_path_of_a_socket_that_was_handed_over_stays_until_it_is_owned(tmp_path: Path) -> None:
    path = tmp_path / "s3.sock"
    config = configured(f"unix:{path}")
    with s3_listening(config, NOTHING, 2) as before:
        handed = Handed(((before.groups[0][0].dup(),),), shared=True, ours=True)
        with s3_listening(config, handed, 2):
            pass
        assert path.exists(), "a successor that failed took the path with it"
        with s3_listening(config, handed._replace(s3=((before.groups[0][0].dup(),),)), 2) as after:
            after.own(str(path))
            assert before.bound is not None
            before.bound.keep()
            before.leave()
            assert path.exists()
        assert not path.exists()
