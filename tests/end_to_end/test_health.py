"""What /healthz and /readyz say of a real gateway when a part of it is gone, and that it mends itself."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_process import Gateway
from tests.support.house import recorded_store
from tests.support.partition import Partition
from tests.support.postgres import running
from tests.support.recording_upstream import RecordingUpstream
from tests.support.server_process import LOOPBACK

pytestmark = pytest.mark.server

Answer = tuple[int, dict[str, Any]]


def asked(gateway: Gateway, path: str) -> Answer:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{gateway.console_port}{path}", timeout=10) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def becomes(gateway: Gateway, wanted: Callable[[Answer], bool], seconds: float = 20.0) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while True:
        answer = asked(gateway, "/readyz")
        if wanted(answer):
            return answer[1]
        assert time.monotonic() < end, answer
        time.sleep(0.1)


def is_ready(answer: Answer) -> bool:
    return answer[0] == 200


def is_not_ready(answer: Answer) -> bool:
    return answer[0] == 503


def test_a_sound_gateway_says_what_it_has(tmp_path: Path) -> None:
    with RecordingUpstream() as upstream, Gateway(tmp_path, recorded_store(upstream)) as gateway:
        told = becomes(gateway, lambda answer: answer[1]["workers"]["serving"] == len(gateway.workers()))
        assert (told["ready"], told["not_ready"]) == (True, [])
        assert (told["keystore"], told["listeners"]) == ("fresh", "serving")
        assert told["workers"]["serving"] == told["workers"]["of"]
        assert told["upstream"] == "ok"
        assert asked(gateway, "/healthz") == (200, {"alive": True, "supervisor": "answering"})


def test_a_keystore_that_was_moved_is_named_and_comes_back_with_a_restart(tmp_path: Path) -> None:
    with RecordingUpstream() as upstream, Gateway(tmp_path, recorded_store(upstream)) as gateway:
        files = [path for path in tmp_path.glob("keystore.db*") if not path.name.endswith(".state")]
        for path in files:
            path.rename(tmp_path / f"moved-{path.name}")
        told = becomes(gateway, is_not_ready)
        assert told["keystore"] == "not answering"
        [words] = told["not_ready"]
        assert words.startswith("keystore: ")
        assert asked(gateway, "/healthz")[0] == 200, "a restart without the file would help nobody"
        for path in files:
            (tmp_path / f"moved-{path.name}").rename(path)
        assert "restart the gateway" in becomes(gateway, is_not_ready)["not_ready"][0]
        assert gateway.stop() == 0
        gateway.start()
        assert becomes(gateway, is_ready)["keystore_since"] > told["keystore_since"]


def test_a_database_that_is_gone_is_named_with_the_lease_and_comes_back(tmp_path: Path) -> None:
    with running() as postgres, RecordingUpstream() as upstream, Partition(postgres.port) as cable:
        settings = {"keystore": {"url": postgres.url("postgres", cable.port)}}
        with Gateway(tmp_path, recorded_store(upstream), settings) as gateway:
            assert 0 < becomes(gateway, is_ready)["lease_left_seconds"] <= 3
            cable.cut()
            told = becomes(gateway, is_not_ready)
            assert (told["keystore"], told["lease_left_seconds"]) == ("not answering", 0)
            assert told["not_ready"][0].startswith("keystore: its lease has run out")
            assert asked(gateway, "/healthz")[0] == 200
            cable.heal()
            becomes(gateway, is_ready)


def test_workers_that_stand_still_are_named_and_replaced(tmp_path: Path) -> None:
    with RecordingUpstream() as upstream, Gateway(tmp_path, recorded_store(upstream)) as gateway:
        still = gateway.workers()
        for pid in still:
            os.kill(pid, signal.SIGSTOP)
        told = becomes(gateway, is_not_ready)
        assert (told["workers"], told["listeners"]) == ({"serving": 0, "of": len(still)}, "not serving")
        assert told["not_ready"][0].startswith("workers: none of ")
        assert asked(gateway, "/healthz")[0] == 200
        becomes(gateway, lambda answer: answer[1]["workers"]["serving"] == len(still), 60.0)
        assert not set(still) & set(gateway.workers())


def test_one_worker_that_stands_still_is_counted_and_takes_nobody_out_of_service(tmp_path: Path) -> None:
    settings = {"workers": {"count": 2}}
    with RecordingUpstream() as upstream, Gateway(tmp_path, recorded_store(upstream), settings) as gateway:
        os.kill(gateway.workers()[0], signal.SIGSTOP)
        told = becomes(gateway, lambda answer: answer[1]["workers"]["serving"] == 1)
        assert (told["ready"], told["not_ready"]) == (True, [])
        becomes(gateway, lambda answer: answer[1]["workers"]["serving"] == 2, 60.0)


def test_a_store_that_is_dead_stands_in_the_body_only(tmp_path: Path) -> None:
    with RecordingUpstream() as upstream:
        store = recorded_store(upstream)
    with Gateway(tmp_path, store) as gateway:
        signer = gateway.signer(gateway.create_key())
        with gateway.connect() as connection:
            connection.send(signer.head("GET", "/aaa/k"))
            assert connection.reply().status == 503
        told = becomes(gateway, lambda answer: answer[1]["upstream"] != "ok")
        assert (told["ready"], told["not_ready"]) == (True, [])
        assert gateway.readyz() == 200


def test_a_supervisor_that_stands_still_is_neither_ready_nor_alive(tmp_path: Path) -> None:
    with RecordingUpstream() as upstream, Gateway(tmp_path, recorded_store(upstream)) as gateway:
        os.kill(gateway.process.pid, signal.SIGSTOP)
        try:
            assert asked(gateway, "/healthz") == (503, {"alive": False, "supervisor": "not answering"})
            status, told = asked(gateway, "/readyz")
            assert (status, told["ready"]) == (503, False)
            assert told["not_ready"][0].startswith("supervisor: ")
        finally:
            os.kill(gateway.process.pid, signal.SIGCONT)
        becomes(gateway, is_ready)
