"""The wall clock jumps: forward, back, over midnight, by days. What measures time by itself is not fooled."""

import datetime
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import botocore.auth
import pytest

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import recorded_store
from tests.support.partition import Partition
from tests.support.postgres import running
from tests.support.raw_client import RawReply
from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.wire import wait_until

pytestmark = pytest.mark.server

HOUR = 3600.0
DAY = 24 * HOUR
LEASE = 4.0  # seconds from the cut: the last proof was asked for before it, and is good for three quarters
MIB = 1 << 20


class Clocked:
    """A gateway whose clock is `ahead` of the machine's, and clients who may have the same clock."""

    def __init__(self, gateway: Gateway, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gateway = gateway
        self._file = file
        self._monkeypatch = monkeypatch
        self.key: IssuedKey

    def jump(self, ahead: float) -> None:
        self._file.write_text(str(ahead))

    def clients_jump(self, ahead: float) -> None:
        def now(remove_tzinfo: bool = True) -> datetime.datetime:
            moved = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=ahead)
            return moved.replace(tzinfo=None) if remove_tzinfo else moved

        self._monkeypatch.setattr(botocore.auth, "get_current_datetime", now)

    def ask(self) -> RawReply:
        with self.gateway.connect() as connection:
            connection.send(self.gateway.signer(self.key).head("GET", "/aaa/k"))
            return connection.reply()


def _stepped(folder: Path) -> tuple[Path, tuple[str, ...]]:
    file = folder / "ahead"
    file.write_text("0")
    return file, (sys.executable, "-m", "tests.support.stepped_clock", str(file))


@pytest.fixture
def clocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Clocked, RecordingUpstream]]:
    file, server = _stepped(tmp_path)
    with RecordingUpstream(canned(ok(b"hello"))) as upstream:
        gateway = Gateway(tmp_path, recorded_store(upstream), {"workers": {"count": 1}})
        gateway.server = server
        with gateway:
            clocked = Clocked(gateway, file, monkeypatch)
            clocked.key = gateway.create_key()
            yield clocked, upstream


def test_a_clock_that_jumps_is_told_to_clients_and_nothing_under_way_is_lost(
    clocked: tuple[Clocked, RecordingUpstream],
) -> None:
    """An hour forward and back: what is signed by another clock is refused, with both times in the answer; an upload
    under way goes on, no connection times out, a revoke is confirmed, and it heals with the clock."""
    moved, upstream = clocked
    other = moved.gateway.create_key()
    body = bytes(4 * MIB)
    assert moved.ask().status == 200
    with moved.gateway.connect() as uploading, moved.gateway.connect() as idle:
        uploading.send(moved.gateway.signer(moved.key).head("PUT", "/aaa/k", body=body, sha256="UNSIGNED-PAYLOAD"))
        uploading.send(body[:MIB])
        upstream.wait_for_requests(2)
        for ahead in (HOUR, -HOUR):
            moved.jump(ahead)
            reply = moved.ask()
            assert (reply.status, reply.code) == (403, "RequestTimeTooSkewed")
            assert b"<ServerTime>" in reply.body
            time.sleep(1.2)  # every limit is looked at once a second
        revoked = moved.gateway.revoke(other)
        assert revoked["confirmed"] == revoked["gateways"] == 1
        moved.jump(0)
        uploading.send(body[MIB:])
        assert uploading.reply().status == 200
        idle.send(moved.gateway.signer(moved.key).head("GET", "/aaa/k"))
        assert idle.reply().status == 200
    assert moved.ask().status == 200


def test_over_midnight_both_signatures_change_their_day(clocked: tuple[Clocked, RecordingUpstream]) -> None:
    moved, upstream = clocked
    now = datetime.datetime.now(datetime.UTC)
    midnight = (now + datetime.timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    ahead = (midnight - now).total_seconds() - 4
    moved.jump(ahead)
    moved.clients_jump(ahead)
    days = [(midnight - datetime.timedelta(days=1)).strftime("%Y%m%d"), midnight.strftime("%Y%m%d")]
    assert moved.ask().status == 200
    wait_until(lambda: time.time() + ahead > midnight.timestamp() + 0.5)
    assert moved.ask().status == 200
    scopes = [request.header(b"authorization").split(b"/")[1].decode() for request in upstream.requests]
    assert scopes == days


def test_a_clock_that_jumps_by_days_is_503_until_the_keys_of_the_day_are_there(
    clocked: tuple[Clocked, RecordingUpstream],
) -> None:
    """Workers hold the store's keys of three days; the supervisor hands out new ones every half minute."""
    moved, _ = clocked
    assert moved.ask().status == 200
    moved.jump(5 * DAY)
    moved.clients_jump(5 * DAY)
    reply = moved.ask()
    assert (reply.status, reply.code) in {(503, "ServiceUnavailable"), (200, "")}
    wait_until(lambda: moved.ask().status == 200, 40)


def test_a_lease_is_measured_by_a_clock_that_nobody_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off from its database, a gateway refuses when the lease is over, whatever the wall clock says meanwhile."""
    file, server = _stepped(tmp_path)
    with ExitStack() as stack:
        upstream = stack.enter_context(RecordingUpstream(canned(ok(b"hello"))))
        postgres = stack.enter_context(running())
        postgres.sql("postgres", "CREATE DATABASE clocks")
        cable = stack.enter_context(Partition(postgres.port))
        keystore = {"url": postgres.url("clocks", cable.port)}
        gateway = Gateway(tmp_path, recorded_store(upstream), {"keystore": keystore, "workers": {"count": 1}})
        gateway.server = server
        stack.enter_context(gateway)
        moved = Clocked(gateway, file, monkeypatch)
        moved.key = gateway.create_key()
        for ahead in (HOUR, -HOUR, 0.0):
            moved.jump(ahead)
            moved.clients_jump(ahead)
            wait_until(lambda: moved.ask().status == 200)  # a jump costs nothing; a busy machine may, for a moment
        cable.cut()
        moved.jump(-HOUR)
        moved.clients_jump(-HOUR)
        time.sleep(LEASE)
        assert [moved.ask().status for _ in range(5)] == [503] * 5
        cable.heal()
        wait_until(lambda: moved.ask().status == 200, 20)
