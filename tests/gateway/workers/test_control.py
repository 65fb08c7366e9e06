"""A real control plane under a real supervisor, killed, stopped and replaced."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.workers.control import with_secrets
from tests.gateway.workers.test_supervisor import Served  # the same gateway
from tests.support.plane import config_in
from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.sockets import family
from tests.support.wire import wait_until


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with RecordingUpstream(canned(ok(b"hello"))) as upstream:
        running = Served(tmp_path, upstream.port, workers=1)
        try:
            yield running
        finally:
            running.end()


def control_of(served: Served) -> int:
    [found] = [
        pid
        for pid in family(served.process.pid)
        if b"gateway.control_plane" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    ]
    return found


def readyz(served: Served) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{served.console}/readyz", timeout=10) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


@pytest.mark.server
def test_one_that_is_killed_is_replaced_and_no_s3_request_hears_of_it(served: Served) -> None:
    dead = control_of(served)
    os.kill(dead, signal.SIGKILL)
    with served.connect() as connection:
        for _ in range(50):
            assert served.get(connection) == 200
    wait_until(lambda: served.ready() and control_of(served) != dead, 20)
    assert "the control plane ended; it is started again" in served.log.read_text()


@pytest.mark.server
def test_one_that_stands_still_stops_no_s3_request(served: Served) -> None:
    os.kill(control_of(served), signal.SIGSTOP)
    try:
        with served.connect() as connection:
            for _ in range(20):
                assert served.get(connection) == 200
                time.sleep(0.1)
    finally:
        os.kill(control_of(served), signal.SIGCONT)
    assert served.ready()


@pytest.mark.server
def test_a_supervisor_that_stands_still_is_not_ready(served: Served) -> None:
    os.kill(served.process.pid, signal.SIGSTOP)
    try:
        status, told = readyz(served)
        assert (status, told["ready"], told["supervisor"]) == (503, False, "not answering")
    finally:
        os.kill(served.process.pid, signal.SIGCONT)
    wait_until(served.ready, 10)


@pytest.mark.server
def test_it_ends_with_its_supervisor(served: Served) -> None:
    alone = control_of(served)
    os.kill(served.process.pid, signal.SIGKILL)
    served.process.wait(10)
    wait_until(lambda: not Path(f"/proc/{alone}").exists() or _is_zombie(alone), 10)


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_what_pydantic_masks_goes_over_the_link_and_comes_back_the_same(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    again = type(config).model_validate(json.loads(json.dumps(with_secrets(config))))
    assert again == config
    assert again.upstream.secret_access_key == SecretStr("x")
