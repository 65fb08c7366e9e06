"""Revoking while requests run, from another process: what is cut, what is counted, and what the answer says."""

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keystore.board import Watcher
from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import Recorded, on_stores, recorded_store
from tests.support.raw_client import Signer
from tests.support.recording_upstream import Exchange, RecordingUpstream, never_answers, ok
from tests.support.wire import wait_until

pytestmark = pytest.mark.server  # gateways of its own

LARGE = random.Random(9).randbytes(8 << 20)


@pytest.fixture
def issued(recorded: Recorded) -> IssuedKey:
    return recorded.gateway.create_key("aaa", label="to be revoked")


def ended(read: Any) -> bytes:
    """What came until the connection was reset; AssertionError when it ended cleanly."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while block := read(65536):
            got += block
        raise AssertionError("a clean end")
    return got


def revoked(gateway: Gateway, issued: IssuedKey) -> dict[str, Any]:
    told = gateway.revoke(issued)
    assert (told["gateways"], told["confirmed"], told["lapsed"]) == (1, 1, 0)
    assert 0 < told["took_ms"] < 5000
    return told


def came_too_late(gateway: Gateway) -> int:
    """How many requests the newest change of this gateway found with the store."""
    watcher = Watcher(gateway.keystore)
    try:
        shown = [seen for slot in watcher.taken() if (seen := watcher.read(slot)) is not None]
        newest = max((seq for seen in shown for seq in seen.cuts), default=0)
        return sum(seen.cuts[newest].in_store for seen in shown if newest in seen.cuts)
    finally:
        watcher.close()


def test_an_idle_gateway_confirms_and_nothing_is_cut(recorded: Recorded, issued: IssuedKey) -> None:
    told = revoked(recorded.gateway, issued)
    assert told["transfers_cut"] == told["in_store_settled"] == 0
    assert told["in_store_unsettled"] == []


def test_downloads_and_uploads_of_the_key_are_cut_and_those_of_others_are_not(
    recorded: Recorded, issued: IssuedKey
) -> None:
    released = threading.Event()

    def script(exchange: Exchange) -> None:
        if exchange.request.line.startswith(b"GET"):
            exchange.send(ok(b"x" * 2000)[:-1000])
            released.wait(20)
            exchange.send(b"x" * 1000)
        else:
            exchange.read_body()
            exchange.send(ok())

    recorded.upstream.script = script
    signer = recorded.gateway.signer(issued)
    with recorded.connect() as down, recorded.connect() as up, recorded.connect() as other:
        down.send(signer.head("GET", "/aaa/k"))
        assert down.socket.recv(15) == b"HTTP/1.1 200 OK"
        up.send(signer.head("PUT", "/aaa/k", body=LARGE, sha256="UNSIGNED-PAYLOAD"))
        up.send(LARGE[: 4 << 20])
        other.send(recorded.scoped.head("GET", "/aaa/k"))
        assert other.socket.recv(15) == b"HTTP/1.1 200 OK"
        recorded.upstream.wait_for_requests(3)
        told = revoked(recorded.gateway, issued)
        assert told["transfers_cut"] == 2
        assert len(ended(down.socket.recv)) < 2000
        with contextlib.suppress(ConnectionError):
            assert up.reply().code == "InvalidAccessKeyId"
        released.set()
        assert b"x" * 1000 in other.socket.recv(65536)
    [put] = [request for request in recorded.upstream.requests if request.line.startswith(b"PUT")]
    assert not put.complete


def test_a_key_that_drains_finishes_its_download_and_begins_no_other(recorded: Recorded, issued: IssuedKey) -> None:
    released = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.send(ok(b"x" * 2000)[:-1000])
        released.wait(20)
        exchange.send(b"x" * 1000)

    recorded.upstream.script = script
    signer = recorded.gateway.signer(issued)
    with recorded.connect() as down:
        down.send(signer.head("GET", "/aaa/k"))
        assert down.socket.recv(15) == b"HTTP/1.1 200 OK"
        told = json.loads(
            recorded.gateway.command("keys", "revoke", issued.access_key_id, "--drain", "--yes", "--json")
        )
        assert (told["confirmed"], told["transfers_cut"]) == (1, 0)
        released.set()
        got = b""
        while b"x" * 2000 not in got:
            got += down.read(1)
        down.send(signer.head("GET", "/aaa/k"))
        assert down.reply().code == "InvalidAccessKeyId"


def test_what_the_store_has_is_named_and_waited_for(recorded: Recorded, issued: IssuedKey) -> None:
    released = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        if exchange.request.line.startswith(b"DELETE /aaa/slow"):
            released.wait(20)
        else:
            wait_until(lambda: came_too_late(recorded.gateway) == 2)
        exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    recorded.upstream.script = script
    signer = recorded.gateway.signer(issued)
    with recorded.connect() as quick, recorded.connect() as slow:
        quick.send(signer.head("DELETE", "/aaa/quick"))
        slow.send(signer.head("DELETE", "/aaa/slow"))
        recorded.upstream.wait_for_requests(2)
        told = revoked(recorded.gateway, issued)
        assert told["transfers_cut"] == 0
        assert told["in_store_settled"] == 1
        assert told["in_store_unsettled"] == ["DeleteObject aaa/slow"]
        assert told["took_ms"] >= 2000
        released.set()
        assert (quick.reply().status, slow.reply().status) == (204, 204)


def test_deleting_and_giving_a_bucket_away_cut_too(recorded: Recorded, issued: IssuedKey) -> None:
    gateway = recorded.gateway
    gateway.command("accounts", "create", "taker")
    kept = gateway.create_key("aaa", "cutbucket")
    recorded.upstream.script = never_answers
    with recorded.connect() as of_deleted, recorded.connect() as of_given:
        of_deleted.send(gateway.signer(issued).head("GET", "/aaa/k"))
        of_given.send(gateway.signer(kept).head("GET", "/cutbucket/k"))
        recorded.upstream.wait_for_requests(2)
        deleted = json.loads(gateway.command("keys", "delete", issued.access_key_id, "--yes", "--json"))
        assert (deleted["confirmed"], deleted["transfers_cut"]) == (1, 1)
        assert of_deleted.reply().code == "InvalidAccessKeyId"
        given = json.loads(gateway.command("buckets", "assign", "cutbucket", "--account", "taker", "--json"))
        assert (given["confirmed"], given["transfers_cut"]) == (1, 1)
        assert of_given.reply().code == "AccessDenied"


@on_stores("seaweedfs", "rclone")
def test_an_upload_cut_on_a_real_store_leaves_the_older_object_as_it_was(
    gateway: Gateway, direct: Any, bucket: str
) -> None:
    direct.put_object(Bucket=bucket, Key="k", Body=b"older")
    issued = gateway.create_key(bucket)
    signer = gateway.signer(issued)
    with gateway.connect() as client:
        client.send(signer.head("PUT", f"/{bucket}/k", body=LARGE, sha256="UNSIGNED-PAYLOAD"))
        client.send(LARGE[: 6 << 20])
        time.sleep(0.3)
        told = revoked(gateway, issued)
        assert told["transfers_cut"] == 1
        with contextlib.suppress(ConnectionError):
            client.send(LARGE[6 << 20 :])
    time.sleep(0.5)  # for what must not happen
    assert direct.get_object(Bucket=bucket, Key="k")["Body"].read() == b"older"


# ---- gateways that cannot confirm ----


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[tuple[Gateway, Signer, IssuedKey]]:
    """A gateway that is about to be stopped or killed."""
    with RecordingUpstream() as upstream:
        gateway = Gateway(tmp_path, recorded_store(upstream))
        gateway.start()
        issued = gateway.create_key()
        yield gateway, gateway.signer(issued), issued
        with contextlib.suppress(ProcessLookupError):
            gateway.signal_all(signal.SIGCONT)
        gateway.stop()


def test_a_stopped_gateway_makes_it_not_proven_and_refuses_when_it_goes_on(
    alone: tuple[Gateway, Signer, IssuedKey],
) -> None:
    gateway, signer, issued = alone
    gateway.signal_all(signal.SIGSTOP)
    done = gateway.try_command("keys", "revoke", issued.access_key_id, "--yes", "--json")
    assert done.returncode == 7
    told = json.loads(done.stdout)
    assert (told["status"], told["gateways"], told["confirmed"], told["lapsed"]) == ("revoked", 1, 0, 1)
    assert "not proven" in done.stderr
    with gateway.connect() as client:
        client.send(signer.head("GET", "/bucket/k"))
        gateway.signal_all(signal.SIGCONT)
        with contextlib.suppress(ConnectionError, EOFError):  # one that was stopped for long may be replaced
            assert client.reply().code == "InvalidAccessKeyId"
    with gateway.connect() as client:
        client.send(signer.head("GET", "/bucket/k"))
        assert client.reply().code == "InvalidAccessKeyId"
    again = gateway.try_command("keys", "revoke", issued.access_key_id, "--yes", "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["confirmed"] == 1


def test_a_dead_gateway_is_none(alone: tuple[Gateway, Signer, IssuedKey]) -> None:
    gateway, _, issued = alone
    gateway.signal_all(signal.SIGKILL)
    time.sleep(0.1)
    done = gateway.try_command("keys", "revoke", issued.access_key_id, "--yes")
    assert done.returncode == 0
    assert "no gateway is running" in done.stderr


def test_a_gateway_whose_file_was_moved_away_makes_it_not_proven(alone: tuple[Gateway, Signer, IssuedKey]) -> None:
    gateway, signer, issued = alone
    moved = gateway.keystore.with_name("moved.db")
    moved.write_bytes(gateway.keystore.read_bytes())
    os.replace(moved, gateway.keystore)
    done = gateway.try_command("keys", "revoke", issued.access_key_id, "--yes")
    assert done.returncode == 7
    assert f"process {gateway.process.pid} has another file open" in done.stderr
    with gateway.connect() as client:
        client.send(signer.head("GET", "/bucket/k"))
        assert client.reply().status == 503


def test_a_gateway_whose_board_was_deleted_is_found_again(alone: tuple[Gateway, Signer, IssuedKey]) -> None:
    gateway, _, issued = alone
    gateway.keystore.with_name(gateway.keystore.name + ".board").unlink()
    revoked(gateway, issued)
