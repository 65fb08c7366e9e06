"""Unix sockets on both sides: real stores, two workers, a worker killed, a gateway killed, a gateway behind another."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.bodies import MIB, body_of
from tests.support.gateway_process import IssuedKey
from tests.support.house import House, on_stores, recorded_store
from tests.support.raw_client import RawConnection, UnixConnection
from tests.support.recording_upstream import RecordingUpstream
from tests.support.server_process import LOOPBACK
from tests.support.unix_gateway import UnixGateway
from tests.support.wire import wait_until

TWO_WORKERS = {"workers": {"count": 2}}


@pytest.fixture
def beside(house: House, store_name: str, tmp_path: Path) -> Iterator[UnixGateway]:
    """Two workers between two sockets, the store's a real store's own."""
    with UnixGateway(tmp_path, house.store(store_name), TWO_WORKERS) as gateway:
        yield gateway


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[RecordingUpstream]:
    with RecordingUpstream(path=tmp_path / "store.sock") as running:
        yield running


def get(gateway: UnixGateway, issued: IssuedKey, target: str = "/aaa/k", forwarded: str | None = None) -> int:
    unsigned = [] if forwarded is None else [("X-Forwarded-For", forwarded)]
    with gateway.connect_here() as connection:
        connection.send(gateway.signer(issued).head("GET", target, unsigned=unsigned))
        return connection.reply().status


def shown(gateway: UnixGateway, issued: IssuedKey) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(gateway.command("keys", "get", issued.access_key_id, "--json"))
    return found


# ---- a real store ----


@on_stores("seaweedfs", "rclone")
def test_a_client_works_with_a_store_and_all_of_it_goes_over_sockets(beside: UnixGateway, bucket: str) -> None:
    assert f"serving S3 on unix:{beside.path}" in beside.log_text()
    issued, body = beside.create_key(), body_of(9 * MIB)
    with beside.boto3_here(issued) as client:
        client.put_object(Bucket=bucket, Key="small", Body=b"hello")
        client.put_object(Bucket=bucket, Key="large", Body=body)  # streamed, its hash in front
        assert client.get_object(Bucket=bucket, Key="small")["Body"].read() == b"hello"
        assert client.get_object(Bucket=bucket, Key="large")["Body"].read() == body
        listed = client.list_objects_v2(Bucket=bucket)["Contents"]
        assert {one["Key"]: one["Size"] for one in listed} == {"small": 5, "large": len(body)}
        upload = client.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
        part = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
        etag = client.upload_part(**part, PartNumber=1, Body=body)["ETag"]
        client.complete_multipart_upload(**part, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
        assert client.get_object(Bucket=bucket, Key="parts", Range="bytes=5-9")["Body"].read() == body[5:10]
    doctor = json.loads(beside.command("doctor", "--json"))
    found = {one["check"]: one["found"] for one in doctor}
    assert found["S3 socket"] == f"a gateway serves on {beside.path}"
    assert found["store"].startswith(f"unix:{beside.store.socket} answers")


@on_stores("seaweedfs", "rclone")
def test_curl_as_the_first_run_prints_it_is_answered(beside: UnixGateway, bucket: str) -> None:
    issued = beside.create_key()
    words = ["curl", "--silent", "--unix-socket", str(beside.path), "--aws-sigv4", "aws:amz:us-east-1:s3"]
    words += ["--user", f"{issued.access_key_id}:{issued.secret_access_key}"]
    words += ["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "http://localhost/"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert f"<Name>{bucket}</Name>" in done.stdout, done


@on_stores("seaweedfs", "rclone")
@pytest.mark.parametrize("how", ["the key is revoked", "the client ends"])
def test_what_is_cut_in_the_middle_is_never_stored(beside: UnixGateway, direct, bucket: str, how: str) -> None:  # type: ignore[no-untyped-def]
    """Without a reset, which a Unix socket does not know: the store sees an end before its Content-Length."""
    issued, body = beside.create_key(), body_of(9 * MIB)
    with beside.connect_here() as client:
        client.send(beside.signer(issued).head("PUT", f"/{bucket}/cut", body=body) + body[: 8 * MIB])
        if how == "the client ends":
            client.close()
        else:
            beside.revoke(issued)
            reply = client.reply()
            assert (reply.status, reply.code) == (403, "InvalidAccessKeyId")
    time.sleep(0.5)
    assert direct.list_objects_v2(Bucket=bucket).get("KeyCount", 0) == 0


# ---- two gateways, one behind the other ----


@on_stores("seaweedfs")
def test_a_gateway_stands_behind_another_gateways_socket(house: House, tmp_path: Path, bucket: str) -> None:
    body = body_of(3 * MIB)
    (tmp_path / "inner").mkdir()
    (tmp_path / "outer").mkdir()
    with UnixGateway(tmp_path / "inner", house.store("seaweedfs")) as inner:
        given = inner.create_key()
        behind = replace(inner.as_store, access_key_id=given.access_key_id, secret_access_key=given.secret_access_key)
        with UnixGateway(tmp_path / "outer", behind, {"upstream": {"host": "inner.internal"}}) as outer:
            issued = outer.create_key()
            with outer.boto3_here(issued) as client:
                client.put_object(Bucket=bucket, Key="k", Body=body)
                assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == body
            with outer.connect_here() as client:
                client.send(outer.signer(issued).head("PUT", f"/{bucket}/cut", body=body) + body[: 2 * MIB])
                client.close()
            time.sleep(0.5)
            assert get(outer, issued, f"/{bucket}/cut") == 404
            inner.revoke(given)
            assert get(outer, issued, f"/{bucket}/k") >= 400


# ---- workers ----


@pytest.mark.server
def test_a_worker_that_is_killed_is_replaced_and_the_socket_answers_all_the_while(
    tmp_path: Path, upstream: RecordingUpstream
) -> None:
    with UnixGateway(tmp_path, recorded_store(upstream), TWO_WORKERS) as gateway:
        issued = gateway.create_key()
        head = gateway.signer(issued).head("GET", "/aaa/k")
        stop = threading.Event()
        statuses: list[int] = []
        cut: list[str] = []

        def ask() -> None:
            while not stop.is_set():
                with gateway.connect_here() as connection:  # never refused
                    try:
                        connection.send(head)
                        statuses.append(connection.reply().status)
                    except (EOFError, OSError) as error:  # the killed one had it
                        cut.append(type(error).__name__)

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        try:
            for _ in range(2):
                before = gateway.workers()
                os.kill(before[0], signal.SIGKILL)
                wait_until(lambda before=before: len(set(gateway.workers()) - set(before)) == 1, 20)  # type: ignore[misc]
                served = len(statuses)
                wait_until(lambda served=served: len(statuses) > served + 50, 20)  # type: ignore[misc]
        finally:
            stop.set()
            for asker in askers:
                asker.join()
        assert set(statuses) == {200}
        assert len(cut) <= 2 * len(askers)
        assert stat.S_ISSOCK(os.lstat(gateway.path).st_mode)


@pytest.mark.server
def test_both_workers_serve_what_comes_by_the_one_socket(tmp_path: Path, upstream: RecordingUpstream) -> None:
    with UnixGateway(tmp_path, recorded_store(upstream), TWO_WORKERS) as gateway:
        issued = gateway.create_key()
        first, second = gateway.workers()
        for stopped, other in ((first, second), (second, first)):
            os.kill(stopped, signal.SIGSTOP)
            try:
                assert get(gateway, issued) == 200, f"{other} does not accept"
            finally:
                os.kill(stopped, signal.SIGCONT)


# ---- beginning and ending ----


@pytest.mark.server
def test_after_a_crash_the_dead_socket_is_replaced_and_a_clean_end_leaves_none(
    tmp_path: Path, upstream: RecordingUpstream
) -> None:
    gateway = UnixGateway(tmp_path, recorded_store(upstream), {"s3": {"socket_mode": "0600"}})
    gateway.start()
    issued = gateway.create_key()
    gateway.signal_all(signal.SIGKILL)
    gateway.process.wait(10)
    assert stat.S_ISSOCK(os.lstat(gateway.path).st_mode)
    with gateway:
        assert stat.S_IMODE(os.lstat(gateway.path).st_mode) == 0o600
        assert get(gateway, issued) == 200
        second = gateway.try_command("serve")
        assert second.returncode == 1
        assert f"{gateway.path} cannot be listened on: it is already in use" in second.stderr
        assert get(gateway, issued) == 200
    assert not gateway.path.exists()


@pytest.mark.server
def test_who_drains_is_not_found_any_more_and_finishes_what_runs(tmp_path: Path, upstream: RecordingUpstream) -> None:
    gateway, going_on = UnixGateway(tmp_path, recorded_store(upstream), TWO_WORKERS), threading.Event()

    def slow(exchange) -> None:  # type: ignore[no-untyped-def]
        going_on.wait(20)
        exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")

    with gateway:
        issued = gateway.create_key()
        upstream.script = slow
        with gateway.connect_here() as client:
            client.send(gateway.signer(issued).head("GET", "/aaa/k"))
            upstream.wait_for_requests(1)
            gateway.process.send(signal.SIGTERM)
            wait_until(lambda: not gateway.path.exists())
            with pytest.raises(FileNotFoundError):
                gateway.connect_here()
            going_on.set()
            assert client.reply().body == b"hello"


@pytest.mark.server
def test_what_is_no_socket_is_never_taken_away(tmp_path: Path, upstream: RecordingUpstream) -> None:
    gateway = UnixGateway(tmp_path, recorded_store(upstream))
    gateway.command("kek", "create", str(tmp_path / "kek"))
    gateway.path.write_text("mine")
    refused = gateway.try_command("serve")
    assert refused.returncode == 1
    assert refused.stderr.strip().endswith("something is there that is no socket, and stays untouched.")
    assert gateway.path.read_text() == "mine"


# ---- where requests come from ----


@pytest.mark.server
@pytest.mark.parametrize("trusted", [[], ["unix"], ["127.0.0.0/8"]])
def test_b36_a_key_with_source_networks_is_good_over_the_socket_only_by_the_word_of_a_trusted_proxy(
    tmp_path: Path, upstream: RecordingUpstream, trusted: list[str]
) -> None:
    settings = {"s3": {"trusted_proxies": trusted}}
    with UnixGateway(tmp_path, recorded_store(upstream), settings) as gateway:
        anywhere, office = gateway.create_key(), gateway.create_key(extra=("--source-cidr", "192.0.2.0/24"))
        everywhere = gateway.create_key(extra=("--source-cidr", "0.0.0.0/0", "--source-cidr", "::/0"))
        assert get(gateway, anywhere) == 200
        assert [get(gateway, one) for one in (office, everywhere)] == [403, 403]
        by_header = 200 if trusted == ["unix"] else 403
        assert get(gateway, office, forwarded="192.0.2.7") == by_header
        assert get(gateway, everywhere, forwarded="192.0.2.7") == by_header
        assert get(gateway, office, forwarded="192.0.2.7, 198.51.100.1") == 403
        assert get(gateway, office, forwarded="unix") == 403
        gateway.stop()
        assert shown(gateway, anywhere)["last_used"]["source"] == "unix"
        assert "may not be used from" in shown(gateway, office)["last_denied"]["reason"]


@pytest.mark.server
def test_the_log_of_refusals_says_that_it_came_over_the_socket(tmp_path: Path, upstream: RecordingUpstream) -> None:
    with UnixGateway(tmp_path, recorded_store(upstream)) as gateway:
        office = gateway.create_key(extra=("--source-cidr", "192.0.2.0/24"))
        with gateway.connect_here() as client:
            client.send(gateway.signer(office).head("GET", "/aaa/k", unsigned=[("X-Forwarded-For", "192.0.2.7")]))
            request_id = client.reply().header(b"x-amz-request-id").decode()
        wait_until(lambda: gateway.try_command("explain", request_id).returncode == 0, 20)
        explained = gateway.command("explain", request_id)
        assert re.search(r"From\s+unix\b", explained), explained


@pytest.mark.server
def test_b36_where_the_socket_is_trusted_a_tcp_client_is_still_a_stranger(
    tmp_path: Path, upstream: RecordingUpstream
) -> None:
    """The word is for the socket: a gateway on a port that has it in its settings believes nobody."""
    settings = {"s3": {"trusted_proxies": ["unix"]}}
    gateway = UnixGateway(tmp_path, recorded_store(upstream), settings)
    text = gateway.config.read_text().replace(f"unix:{gateway.path}", f"{LOOPBACK}:{gateway.port}")
    gateway.config.write_text(text)
    with gateway:
        office = gateway.create_key(extra=("--source-cidr", "192.0.2.0/24"))
        for forwarded in ("192.0.2.7", "unix", "192.0.2.7, unix"):
            with RawConnection(LOOPBACK, gateway.port) as client:
                unsigned = [("X-Forwarded-For", forwarded)]
                client.send(gateway.signer(office).head("GET", "/aaa/k", unsigned=unsigned))
                assert client.reply().status == 403
    upstream.assert_untouched()


@pytest.mark.server
def test_a_client_that_binds_its_own_end_is_still_unix(tmp_path: Path, upstream: RecordingUpstream) -> None:
    """getpeername then says the name it chose."""
    with UnixGateway(tmp_path, recorded_store(upstream)) as gateway:
        home = gateway.create_key(extra=("--source-cidr", "127.0.0.0/8"))
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("\x00127.0.0.1")
            bound.connect(str(gateway.path))
            bound.sendall(gateway.signer(home).head("GET", "/aaa/k"))
            assert bound.recv(12) == b"HTTP/1.1 403"


def test_the_clients_of_these_tests_are_unix_sockets(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s3.sock"))
        listener.listen()
        with UnixConnection(tmp_path / "s3.sock") as client:
            assert client.socket.family == socket.AF_UNIX
