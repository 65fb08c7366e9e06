"""Revoking and deleting in another process: the next request head that arrives is refused, on any connection."""

import contextlib
import os
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import Recorded, recorded_store
from tests.support.raw_client import RawConnection, RawReply, Signer
from tests.support.recording_upstream import RecordingUpstream, canned, ok

pytestmark = pytest.mark.server  # gateways of its own

TARGET = "/aaa/k"


def _get(connection: RawConnection, signer: Signer) -> RawReply:
    connection.send(signer.head("GET", TARGET))
    return connection.reply()


@pytest.fixture
def issued(recorded: Recorded) -> IssuedKey:
    return recorded.gateway.create_key("aaa", label="to be revoked")


def test_the_next_request_on_an_open_connection_is_refused(recorded: Recorded, issued: IssuedKey) -> None:
    signer = recorded.gateway.signer(issued)
    with recorded.connect() as connection:
        assert _get(connection, signer).status == 200
        recorded.gateway.revoke(issued)
        recorded.upstream.reset()
        revoked = _get(connection, signer)
        assert (revoked.status, revoked.code) == (403, "InvalidAccessKeyId")
        assert "revoked" in revoked.message
        recorded.gateway.delete(issued)
        deleted = _get(connection, signer)
        assert (deleted.status, deleted.code) == (403, "InvalidAccessKeyId")
        assert "revoked" not in deleted.message
    recorded.upstream.assert_untouched()


def test_many_rounds_of_revocation_never_let_one_request_through(recorded: Recorded) -> None:
    with recorded.connect() as connection:
        for _ in range(5):
            issued = recorded.gateway.create_key("aaa")
            signer = recorded.gateway.signer(issued)
            assert _get(connection, signer).status == 200
            recorded.gateway.revoke(issued)
            assert _get(connection, signer).code == "InvalidAccessKeyId"


def test_another_key_is_untouched_by_it(recorded: Recorded, issued: IssuedKey) -> None:
    with recorded.connect() as connection:
        assert _get(connection, recorded.scoped).status == 200
        recorded.gateway.revoke(issued)
        assert _get(connection, recorded.scoped).status == 200


def test_who_cannot_sign_learns_nothing_of_revocation(recorded: Recorded, issued: IssuedKey) -> None:
    recorded.gateway.revoke(issued)
    wrong_secret = Signer(recorded.gateway.host, issued.access_key_id, "x" * 40)
    unknown = Signer(recorded.gateway.host, "NQAK0000000000000000", "x" * 40)
    with recorded.connect() as connection:
        of_revoked, of_unknown = _get(connection, wrong_secret), _get(connection, unknown)
    assert (of_revoked.code, of_unknown.code) == ("InvalidAccessKeyId", "InvalidAccessKeyId")
    assert of_revoked.message == of_unknown.message


def test_outstanding_presigned_urls_die_with_their_key(recorded: Recorded, issued: IssuedKey) -> None:
    with recorded.gateway.boto3(issued, signature_version="s3v4") as client:
        url = client.generate_presigned_url("get_object", Params={"Bucket": "aaa", "Key": "k"}, ExpiresIn=3600)
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.status == 200
    recorded.gateway.revoke(issued)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, timeout=10)
    with refused.value as answer:
        assert answer.code == 403


def test_a_head_half_sent_before_the_revocation_is_refused_when_it_is_whole(
    recorded: Recorded, issued: IssuedKey
) -> None:
    head = recorded.gateway.signer(issued).head("GET", TARGET)
    with recorded.connect() as connection:
        connection.send(head[:40])
        recorded.gateway.revoke(issued)
        connection.send(head[40:])
        assert connection.reply().code == "InvalidAccessKeyId"
    recorded.upstream.assert_untouched()


def test_an_upload_whose_key_is_revoked_before_its_last_byte_is_never_whole(
    recorded: Recorded, issued: IssuedKey
) -> None:
    body = b"x" * (4 << 20)
    with recorded.connect() as connection:
        connection.send(recorded.gateway.signer(issued).head("PUT", TARGET, body=body, sha256="UNSIGNED-PAYLOAD"))
        connection.send(body[:-1])
        recorded.gateway.revoke(issued)
        with contextlib.suppress(ConnectionError, EOFError):  # cut, or told why
            connection.send(body[-1:])
            assert connection.reply().status == 403
    time.sleep(0.2)  # for what must not happen
    assert not any(request.complete for request in recorded.upstream.requests)


# ---- a keystore that cannot be read ----


class Alone:
    """A gateway of its own, because its keystore is about to be spoiled."""

    def __init__(self, gateway: Gateway, upstream: RecordingUpstream) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.issued = gateway.create_key()
        self.signer = gateway.signer(self.issued)

    def ask(self) -> RawReply:
        with self.gateway.connect() as connection:
            return _get(connection, self.signer)

    def becomes(self, wanted: Callable[[RawReply], bool], timeout: float = 10.0) -> set[int]:
        """Ask until the reply is as wanted; every status seen on the way."""
        seen, limit = set(), time.monotonic() + timeout
        while time.monotonic() < limit:
            reply = self.ask()
            seen.add(reply.status)
            if wanted(reply):
                return seen
            time.sleep(0.05)
        raise AssertionError(f"only {seen} in {timeout} s")


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    with (
        RecordingUpstream(canned(ok())) as upstream,
        Gateway(tmp_path, recorded_store(upstream)) as gateway,
    ):
        yield Alone(gateway, upstream)


def test_a_keystore_moved_away_is_503_and_never_403(alone: Alone) -> None:
    assert alone.ask().status == 200
    for path in alone.gateway.folder.glob(f"{alone.gateway.keystore.name}*"):
        path.rename(path.with_name(f"moved-{path.name}"))
    seen = alone.becomes(lambda reply: (reply.status, reply.code) == (503, "ServiceUnavailable"))
    assert seen <= {200, 503}
    time.sleep(0.1)  # every worker looks every 20 ms
    assert alone.ask().header(b"retry-after").isdigit()
    assert alone.gateway.readyz() == 503


def test_a_keystore_replaced_by_an_older_copy_is_503(alone: Alone, tmp_path: Path) -> None:
    older = tmp_path / "older.db"
    with (
        contextlib.closing(sqlite3.connect(alone.gateway.keystore)) as source,
        contextlib.closing(sqlite3.connect(older)) as copy,
    ):
        source.backup(copy)
    alone.gateway.revoke(alone.issued)
    assert alone.ask().code == "InvalidAccessKeyId"
    os.replace(older, alone.gateway.keystore)
    seen = alone.becomes(lambda reply: reply.status == 503)
    assert seen <= {403, 503}


def test_a_restarted_gateway_still_knows_what_was_revoked(alone: Alone) -> None:
    assert alone.ask().status == 200
    alone.gateway.revoke(alone.issued)
    assert alone.gateway.stop() == 0
    alone.gateway.start()
    assert alone.ask().code == "InvalidAccessKeyId"
