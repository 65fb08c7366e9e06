"""The key-encryption key changed under a serving gateway: no request fails, and none of it needs a restart."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import recorded_store
from tests.support.recording_upstream import RecordingUpstream, canned, ok

pytestmark = pytest.mark.server  # gateways of its own


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with RecordingUpstream(canned(ok())) as upstream:
        opened = Gateway(tmp_path, recorded_store(upstream))
        opened.start()
        yield opened
        assert opened.stop() == 0


class Asking:
    """boto3 in a thread, one request after the other, each with the next of `issued`; `failed`: what went wrong."""

    def __init__(self, gateway: Gateway, issued: list[IssuedKey]) -> None:
        self.gateway = gateway
        self.issued = issued
        self.answered = 0
        self.failed: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> "Asking":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        number = 0
        while not self._over.is_set():
            with self.gateway.boto3(self.issued[number % len(self.issued)]) as s3:
                for _ in range(5):
                    try:
                        s3.get_object(Bucket="aaa", Key="k")["Body"].read()
                        self.answered += 1
                    except Exception as error:
                        self.failed.append(repr(error))
            number += 1

    def wait_for_more(self) -> None:
        wanted = self.answered + 5
        limit = time.monotonic() + 30
        while self.answered < wanted and time.monotonic() < limit:
            time.sleep(0.01)
        assert self.answered >= wanted


def status(gateway: Gateway) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(gateway.command("kek", "status", "--json"))
    return shown


def answered(gateway: Gateway, issued: IssuedKey, method: str = "GET", target: str = "/aaa/k") -> int:
    with gateway.connect() as connection:
        connection.send(gateway.signer(issued).head(method, target))
        return connection.reply().status


def test_no_request_fails_from_the_first_half_to_the_end_and_after_a_restart(gateway: Gateway) -> None:
    issued = [gateway.create_key(label=f"key {number}") for number in range(4)]
    with Asking(gateway, issued) as asking:
        asking.wait_for_more()
        added = gateway.command("kek", "add").strip()
        during = gateway.create_key(label="between both halves")  # at once: the gateway has not looked yet
        assert answered(gateway, during) == 200
        asking.wait_for_more()
        done = json.loads(gateway.command("kek", "rotate", "--yes", "--json"))
        assert (done["kek_id"], done["resealed"], done["gateways"], done["confirmed"]) == (added, 6, 1, 1)
        after = gateway.create_key(label="after it")
        asking.issued = [*issued, during, after]
        asking.wait_for_more()
        assert answered(gateway, after) == 200
        assert answered(gateway, after, "DELETE", "/bucket-one") < 300  # which the gateway itself writes
        [served] = status(gateway)["gateways"]
        assert served["keks"][-1] == added
        time.sleep(1.5)  # the file with the retired line is loaded
        assert status(gateway)["gateways"][0]["keks"] == [added]
        asking.wait_for_more()
    assert asking.failed == []
    assert "KEK file was changed and is not used" not in gateway.log_text()
    [old, new] = status(gateway)["keks"]
    assert (old["retired"], old["access_keys"], old["accounts"], old["buckets"]) == (True, 0, 0, 0)
    assert (new["seals"], new["access_keys"], new["buckets"]) == (True, 6, 1)
    assert gateway.command("audit", "verify") == ""
    assert gateway.stop() == 0
    gateway.start()
    for each in (*issued, during, after):
        assert answered(gateway, each) == 200


def test_a_restart_without_the_line_that_reads_the_log_says_what_is_missing(gateway: Gateway) -> None:
    issued = gateway.create_key()
    kek_file = gateway.folder / "kek"
    gateway.command("kek", "add")
    gateway.command("kek", "rotate", "--yes")
    whole = kek_file.read_bytes()
    kek_file.write_bytes(b"".join(line for line in whole.splitlines(keepends=True) if b"retired" not in line))
    time.sleep(1.5)
    assert answered(gateway, issued) == 200  # what is loaded is never given up
    assert "no longer holds key-encryption key" in gateway.log_text()
    assert gateway.stop() == 0
    refused = gateway.try_command("serve")
    assert refused.returncode == 7
    assert "a part of the change log was written under key-encryption key" in refused.stderr
    kek_file.write_bytes(whole)
    gateway.start()
    assert answered(gateway, issued) == 200


def test_a_gateway_with_another_kek_file_stops_the_rotation_and_serves_on(gateway: Gateway) -> None:
    issued = gateway.create_key()
    other = gateway.folder / "other-kek"
    other.write_bytes((gateway.folder / "kek").read_bytes())
    other.chmod(0o600)
    config = gateway.folder / "other.toml"
    config.write_text(gateway.config.read_text().replace(str(gateway.folder / "kek"), str(other)))
    gateway.command("--config", str(config), "kek", "add")
    refused = gateway.try_command("--config", str(config), "kek", "rotate", "--yes")
    assert refused.returncode == 5
    assert f"process {gateway.process.pid} has not loaded" in refused.stderr
    assert answered(gateway, issued) == 200
    (gateway.folder / "kek").write_bytes(other.read_bytes())
    gateway.command("--config", str(config), "kek", "rotate", "--yes")
    assert answered(gateway, issued) == 200
