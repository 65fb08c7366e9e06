"""Killed without a word: PostgreSQL, a worker in the middle of an upload, the store in the middle of one."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import House, on_stores, recorded_store
from tests.support.postgres import killable
from tests.support.raw_client import RawConnection, RawReply
from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.server_process import LOOPBACK, ServerProcess
from tests.support.sockets import listening
from tests.support.stores import rclone
from tests.support.wire import wait_until

pytestmark = pytest.mark.server

MIB = 1 << 20
BODY = os.urandom(8 * MIB)
OLD = b"the object that was there before"


def ask(gateway: Gateway, issued: IssuedKey, target: str = "/aaa/k") -> RawReply:
    with gateway.connect() as connection:
        connection.send(gateway.signer(issued).head("GET", target))
        return connection.reply()


def answers(wanted: int, asked: Callable[[], RawReply]) -> Callable[[], bool]:
    """Whether it is answered so; a connection that is refused or reset is no answer."""

    def answered() -> bool:
        with suppress(OSError, EOFError):
            return asked().status == wanted
        return False

    return answered


# ---- PostgreSQL ----


def test_a_postgresql_that_is_killed_is_503_after_the_lease_and_never_403_and_heals_by_itself(tmp_path: Path) -> None:
    """Known keys are served until the lease is over; then nobody is, and nobody is told that a good key is none. When
    it is back the gateway goes on: nothing revoked meanwhile, nothing restarted."""
    with killable() as (postgres, processes), RecordingUpstream(canned(ok(b"hello"))) as upstream:
        postgres.sql("postgres", "CREATE DATABASE killed")
        keystore = {"url": postgres.url("killed")}
        with Gateway(tmp_path, recorded_store(upstream), {"keystore": keystore, "workers": {"count": 2}}) as gateway:
            kept, other = gateway.create_key(), gateway.create_key()
            assert (ask(gateway, kept).status, ask(gateway, other).status) == (200, 200)
            processes.kill()
            seen = set()
            until = time.monotonic() + 8
            while time.monotonic() < until:
                reply = ask(gateway, kept)
                seen.add(reply.status)
                last = reply
            assert seen == {200, 503}
            assert (last.status, last.code, last.header(b"retry-after")) == (503, "ServiceUnavailable", b"1")
            assert gateway.readyz() == 503
            revoked = gateway.try_command("keys", "revoke", other.access_key_id, "--yes", "--json")
            assert revoked.returncode != 0
            assert gateway.log_text().count("requests fail: keystore: ") <= 4  # of each worker, each cause
            processes.start()
            wait_until(answers(200, lambda: ask(gateway, kept)), 20)
            wait_until(gateway.is_ready, 20)
            done = gateway.revoke(other)
            assert done["confirmed"] == done["gateways"] == 1
            assert ask(gateway, other).code == "InvalidAccessKeyId"
            assert ask(gateway, kept).status == 200


# ---- workers ----


def _broken(connection: RawConnection) -> bool:
    """Whether an upload that goes on ends without any answer."""
    try:
        connection.send(BODY[6 * MIB :])
        connection.reply()
    except (OSError, EOFError):
        return True
    return False


@on_stores("seaweedfs", "rclone")
def test_a_worker_that_is_killed_in_the_middle_of_an_upload_stores_nothing_of_it(
    tmp_path: Path, house: House, store_name: str, direct: Any, bucket: str
) -> None:
    """The client sees its connection break, the store keeps the older object, and another worker takes the place."""
    store = house.store(store_name)
    direct.put_object(Bucket=bucket, Key="k", Body=OLD)
    with Gateway(tmp_path, store, {"workers": {"count": 1}}) as gateway:
        issued = gateway.create_key()
        signer = gateway.signer(issued)
        before = gateway.workers()
        with gateway.connect() as connection:
            connection.send(signer.head("PUT", f"/{bucket}/k", body=BODY, sha256="UNSIGNED-PAYLOAD"))
            connection.send(BODY[: 6 * MIB])
            time.sleep(0.3)
            for worker in before:
                os.kill(worker, signal.SIGKILL)
            assert _broken(connection)
        wait_until(answers(200, lambda: ask(gateway, issued, f"/{bucket}/k")), 20)
        assert ask(gateway, issued, f"/{bucket}/k").body == OLD
        assert not set(before) & set(gateway.workers())
        assert "worker 0 ended; another takes its place" in gateway.log_text()
    got = direct.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == OLD


# ---- the store ----


def test_a_store_that_is_killed_in_the_middle_of_an_upload_is_503_and_serves_when_it_is_back(tmp_path: Path) -> None:
    """`rclone serve s3`, killed and started again on the same folder and port."""
    (tmp_path / "store").mkdir()
    own = tmp_path / "gateway"
    own.mkdir()
    with rclone(tmp_path / "store") as store, Gateway(own, store, {"workers": {"count": 1}}) as gateway:
        issued = gateway.create_key()
        signer = gateway.signer(issued)
        [worker] = gateway.workers()
        with gateway.boto3(issued, retries={"total_max_attempts": 1}) as client:
            client.create_bucket(Bucket="aaa")
            client.put_object(Bucket="aaa", Key="k", Body=OLD)
            files = len(list(Path(f"/proc/{worker}/fd").iterdir()))
            with gateway.connect() as connection:
                connection.send(signer.head("PUT", "/aaa/k", body=BODY, sha256="UNSIGNED-PAYLOAD"))
                connection.send(BODY[: 4 * MIB])
                time.sleep(0.3)
                killed = _kill_listener(int(store.endpoint.rpartition(":")[2]))
                with suppress(OSError):
                    connection.send(BODY[4 * MIB :])
                reply = connection.reply()
                assert (reply.status, reply.code, reply.header(b"retry-after")) == (503, "ServiceUnavailable", b"1")
            with pytest.raises(ClientError, match="ServiceUnavailable"):
                client.get_object(Bucket="aaa", Key="k")
            assert " fails: " in gateway.log_text()
            with _again(killed, tmp_path / "again.log"):
                wait_until(answers(200, lambda: ask(gateway, issued)), 20)
                assert ask(gateway, issued).body == OLD
                assert " answers again" in gateway.log_text()
                wait_until(lambda: len(list(Path(f"/proc/{worker}/fd").iterdir())) <= files + 2)
        assert gateway.workers() == [worker]


def _kill_listener(port: int) -> list[str]:
    """Kill -9 whoever listens there; the words it was started with."""
    for pid in [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()]:
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
            if words and words[0].endswith(b"rclone") and (LOOPBACK, port) in listening(pid):
                os.kill(pid, signal.SIGKILL)
                return [word.decode() for word in words if b"unix://" not in word]  # its socket stays behind
    raise AssertionError(f"no rclone listens on {port}")


def _again(words: list[str], log: Path) -> ServerProcess:
    return ServerProcess("rclone, again", words, log)
