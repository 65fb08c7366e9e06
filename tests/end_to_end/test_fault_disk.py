"""A full disk, a real one: under the spool, and under the keystore."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import IssuedKey
from tests.support.house import recorded_store
from tests.support.own_mounts import MountedGateway, disk, fill
from tests.support.raw_client import RawReply
from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.wire import wait_until

pytestmark = pytest.mark.server

KIB = 1024
MIB = 1 << 20


class Filled:
    """A gateway, the disk that can be filled as it sees it, and the store behind."""

    def __init__(self, gateway: MountedGateway, folder: Path, upstream: RecordingUpstream) -> None:
        self.gateway = gateway
        self.folder = gateway.inside(folder)
        self.upstream = upstream
        self.key = gateway.create_key()

    def upload(self, body: bytes, key: IssuedKey | None = None) -> RawReply:
        """Of a length that is not announced, so that it must wait."""
        signer = self.gateway.signer(key or self.key)
        head = signer.head("PUT", "/aaa/k", sha256="UNSIGNED-PAYLOAD")[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
        with self.gateway.connect() as connection:
            connection.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
            return connection.reply()

    def download(self, key: IssuedKey | None = None) -> RawReply:
        with self.gateway.connect() as connection:
            connection.send(self.gateway.signer(key or self.key).head("GET", "/aaa/k"))
            return connection.reply()

    def log_count(self, text: str) -> int:
        return self.gateway.log_text().count(text)


# ---- under the spool ----


@pytest.fixture
def spooling(tmp_path: Path) -> Iterator[Filled]:
    folder = tmp_path / "spool"
    settings = {
        "limits": {"spool_dir": str(folder), "spool_memory": 64 * KIB},
        "workers": {"count": 1},
    }
    with (
        RecordingUpstream(canned(ok())) as upstream,
        MountedGateway(tmp_path, recorded_store(upstream), settings, mounts=[disk(folder, 4 * MIB)]) as gateway,
    ):
        yield Filled(gateway, folder, upstream)


def test_a_full_disk_under_the_spool_is_slow_down_for_what_must_wait_and_nothing_else(spooling: Filled) -> None:
    assert spooling.upload(bytes(MIB)).status == 200
    filler = fill(spooling.folder, leave=256 * KIB)
    spooling.upstream.reset()
    for _ in range(5):
        reply = spooling.upload(bytes(MIB))
        assert (reply.status, reply.code, reply.header(b"retry-after")) == (503, "SlowDown", b"1")
    spooling.upstream.assert_untouched()
    assert spooling.upload(bytes(32 * KIB)).status == 200  # waits in memory
    assert spooling.download().status == 200
    assert spooling.log_count("requests fail: the spool: No space left on device") == 1
    filler.unlink()
    assert [spooling.upload(bytes(3 * MIB)).status for _ in range(3)] == [200] * 3  # nothing of the failed takes room


def test_an_upload_that_was_refused_for_a_full_spool_leaves_no_file_open(spooling: Filled) -> None:
    [worker] = spooling.gateway.workers()
    spooling.upload(bytes(MIB))
    before = len(list(Path(f"/proc/{worker}/fd").iterdir()))
    fill(spooling.folder)
    for _ in range(20):
        assert spooling.upload(bytes(MIB)).status == 503
    wait_until(lambda: len(list(Path(f"/proc/{worker}/fd").iterdir())) <= before)


# ---- under the keystore ----


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[Filled]:
    folder = tmp_path / "keys"
    settings = {"keystore": {"url": f"sqlite:///{folder / 'keystore.db'}"}, "workers": {"count": 2}}
    with (
        RecordingUpstream(canned(ok())) as upstream,
        MountedGateway(tmp_path, recorded_store(upstream), settings, mounts=[disk(folder, 8 * MIB)]) as gateway,
    ):
        yield Filled(gateway, folder, upstream)


def test_a_full_disk_under_the_keystore_serves_known_keys_and_says_that_nothing_is_revoked(keeping: Filled) -> None:
    """Never 403 for a good key, never open for one that a failed revoke named as revoked: it stays what it was, and
    the command says so."""
    other = keeping.gateway.create_key()
    assert keeping.download().status == 200
    filler = fill(keeping.folder)
    for _ in range(10):
        assert keeping.download().status == 200
        assert keeping.download(other).status in (200, 503)
    revoked = keeping.gateway.try_command("keys", "revoke", other.access_key_id, "--yes", "--json")
    assert revoked.returncode != 0
    assert "full" in (revoked.stdout + revoked.stderr).lower()
    made = keeping.gateway.try_command("keys", "create", "--label", "no room", "--all-buckets", "--json")
    assert made.returncode != 0
    assert "secret_access_key" not in made.stdout
    assert keeping.download().status == 200
    filler.unlink()
    done = json.loads(keeping.gateway.command("keys", "revoke", other.access_key_id, "--yes", "--json"))
    assert (done["status"], done["confirmed"]) == ("revoked", done["gateways"])
    assert keeping.download(other).status == 403
    assert keeping.download().status == 200
    audited = keeping.gateway.try_command("audit", "verify")
    assert audited.returncode == 0, audited.stdout + audited.stderr


def test_a_gateway_starts_a_worker_anew_though_the_disk_of_the_keystore_is_full(keeping: Filled) -> None:
    keeping.download()
    fill(keeping.folder)
    before = keeping.gateway.workers()
    for worker in before:
        os.kill(worker, signal.SIGKILL)

    def serves() -> bool:
        try:
            return keeping.download().status == 200
        except OSError:
            return False

    wait_until(lambda: not set(before) & set(keeping.gateway.workers()) and serves(), 20)
