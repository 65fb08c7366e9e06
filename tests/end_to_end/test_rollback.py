"""A keystore put back to an older copy while the gateway was stopped: refused; adopted, what was revoked stays so."""

import contextlib
import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import COMMAND, Gateway, IssuedKey
from tests.support.house import recorded_store
from tests.support.raw_client import RawReply
from tests.support.recording_upstream import RecordingUpstream, canned, ok

pytestmark = pytest.mark.server  # gateways of its own


def _copy(database: Path, to: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(to)) as copy:
        source.backup(copy)


class Restored:
    """`ended`: revoked after the copy was made; `kept`: never. The gateway is stopped, and the copy is in place."""

    def __init__(self, gateway: Gateway, upstream: RecordingUpstream, copy: Path) -> None:
        self.gateway, self.upstream, self.copy = gateway, upstream, copy
        self.ended, self.kept = gateway.create_key(), gateway.create_key()
        _copy(gateway.keystore, copy)
        assert self.ask(self.ended).status == 200
        gateway.revoke(self.ended, "compromised")
        assert self.ask(self.ended).code == "InvalidAccessKeyId"
        assert gateway.stop() == 0
        self.put_back()

    def put_back(self) -> None:
        for name in ("-wal", "-shm"):
            self.gateway.keystore.with_name(self.gateway.keystore.name + name).unlink(missing_ok=True)
        self.gateway.keystore.write_bytes(self.copy.read_bytes())

    def ask(self, access_key: IssuedKey) -> RawReply:
        with self.gateway.connect() as connection:
            connection.send(self.gateway.signer(access_key).head("GET", "/aaa/k"))
            return connection.reply()

    def serve_in_vain(self) -> "subprocess.CompletedProcess[str]":
        command = [COMMAND, "--config", str(self.gateway.config), "serve"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def restored(tmp_path: Path) -> Iterator[Restored]:
    with RecordingUpstream(canned(ok())) as upstream:
        gateway = Gateway(tmp_path, recorded_store(upstream))
        gateway.start()
        opened = Restored(gateway, upstream, tmp_path / "copy")
        upstream.reset()
        yield opened
        gateway.stop()


def test_a_gateway_does_not_start_on_it_and_once_adopted_the_revoked_key_is_refused(restored: Restored) -> None:
    gateway = restored.gateway
    for _ in range(2):
        done = restored.serve_in_vain()
        assert done.returncode == 7
        assert "went back in time" in done.stderr
        assert "nqgate keystore adopt" in done.stderr
    assert gateway.try_command("keys", "list").returncode == 7
    assert gateway.try_command("audit", "verify").returncode == 1
    adopted = json.loads(gateway.command("keystore", "adopt", "--yes", "--json"))
    assert [one["access_key_id"] for one in adopted["revoked_again"]] == [restored.ended.access_key_id]
    gateway.start()
    assert restored.ask(restored.ended).code == "InvalidAccessKeyId"
    assert [request for request in restored.upstream.requests if request.method == "GET"] == []
    assert restored.ask(restored.kept).status == 200
    assert gateway.command("audit", "verify") == ""
    shown = json.loads(gateway.command("keys", "get", restored.ended.access_key_id, "--json"))
    assert (shown["status"], shown["revoked_reason"], shown["revoked_by"]) == ("revoked", "compromised", "adopt")


def test_the_copy_put_back_once_more_is_refused_again(restored: Restored) -> None:
    gateway = restored.gateway
    gateway.command("keystore", "adopt", "--yes")
    gateway.command("keys", "create", "--label", "since", "--all-buckets")
    restored.put_back()
    assert restored.serve_in_vain().returncode == 7


def test_what_a_running_gateway_has_seen_is_in_the_mark_without_the_command_line(restored: Restored) -> None:
    """The gateway releases the names of buckets itself: the mark is raised within a second, and at its end."""
    gateway = restored.gateway
    gateway.command("keystore", "adopt", "--yes")
    state = gateway.keystore.with_name("keystore.db.state")
    before = json.loads(state.read_text())["seq"]
    gateway.start()
    with gateway.connect() as connection:
        connection.send(gateway.signer(restored.kept).head("DELETE", "/bucket-one"))
        connection.reply()
    limit = time.monotonic() + 10
    while json.loads(state.read_text())["seq"] <= before and time.monotonic() < limit:
        time.sleep(0.05)
    seen = json.loads(state.read_text())["seq"]
    assert seen > before
    with gateway.connect() as connection:
        connection.send(gateway.signer(restored.kept).head("DELETE", "/bucket-two"))
        connection.reply()
    assert gateway.stop() == 0
    assert json.loads(state.read_text())["seq"] > seen


def test_the_state_file_is_nobody_elses(restored: Restored) -> None:
    for name in ("keystore.db.state", "keystore.db.state.lock"):
        assert (restored.gateway.folder / name).stat().st_mode & 0o077 == 0
