"""What leaves of an upload, and when: nothing small before it is verified, never the last block of a large one."""

import base64
import hashlib
import random
import threading
from pathlib import Path

import pytest

from tests.support.raw_client import UNSIGNED_PAYLOAD, RawReply
from tests.support.recording_upstream import Exchange, RecordingUpstream, canned, ok
from tests.support.streaming import as_http_chunks
from tests.support.wire import RunningEngine, wait_until

LARGE = random.Random(1).randbytes(3 * 1024 * 1024 + 17)


def put(gateway: RunningEngine, body: bytes, *, sha256: str | None = None, headers: list[tuple[str, str]]) -> RawReply:
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", headers, body=body, sha256=sha256))
        client.send(body)
        return client.reply()


def test_a_small_body_arrives_whole_with_its_length(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    assert put(gateway, b"body", headers=[]).status == 200
    request = upstream.only_request()
    assert bytes(request.body) == b"body"
    assert request.header(b"content-length") == b"4"
    assert request.header(b"x-amz-content-sha256") == hashlib.sha256(b"body").hexdigest().encode()


def test_an_empty_body_is_an_upload_of_no_bytes(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    assert put(gateway, b"", headers=[]).status == 200
    assert upstream.only_request().header(b"content-length") == b"0"


def test_a_large_body_arrives_whole(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    assert put(gateway, LARGE, headers=[]).status == 200
    request = upstream.only_request()
    assert bytes(request.body) == LARGE
    assert request.header(b"content-length") == str(len(LARGE)).encode()


WRONG_SHA = hashlib.sha256(b"other").hexdigest()
WRONG_MD5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()


@pytest.mark.parametrize("body", [b"", b"x", b"y" * 1024 * 1024], ids=["empty", "one byte", "1 MiB"])
@pytest.mark.parametrize(
    ("sha256", "headers", "code"),
    [
        (WRONG_SHA, [], "XAmzContentSHA256Mismatch"),
        (UNSIGNED_PAYLOAD, [("Content-MD5", WRONG_MD5)], "BadDigest"),
        (None, [("x-amz-checksum-crc32", "AAAAAQ==")], "BadDigest"),
    ],
)
def test_a_small_body_that_does_not_hold_never_reaches_the_store(
    gateway: RunningEngine,
    upstream: RecordingUpstream,
    body: bytes,
    sha256: str | None,
    headers: list[tuple[str, str]],
    code: str,
) -> None:
    reply = put(gateway, body, sha256=sha256, headers=headers)
    assert (reply.status, reply.code) == (400, code)
    upstream.assert_untouched()


def test_a_large_body_that_does_not_hold_stays_short_at_the_store(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    reply = put(gateway, LARGE, sha256=WRONG_SHA, headers=[])
    assert (reply.status, reply.code) == (400, "XAmzContentSHA256Mismatch")
    request = upstream.only_request()
    assert len(request.body) < len(LARGE)
    assert not request.complete


def test_a_key_revoked_before_the_last_block_commits_nothing(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=LARGE) + LARGE[:-1])
        upstream.wait_for_requests(1)
        gateway.call(gateway.directory.revoke)
        client.send(LARGE[-1:])
        reply = client.reply()
    assert (reply.status, reply.code) == (403, "InvalidAccessKeyId")
    assert not upstream.only_request().complete


def test_a_key_revoked_while_a_small_body_comes_in_sends_nothing(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=b"body") + b"bo")
        wait_until(lambda: gateway.call(lambda: gateway.engine.memory.taken) != 0)
        gateway.call(gateway.directory.revoke)
        client.send(b"dy")
        assert client.reply().code == "InvalidAccessKeyId"
    upstream.assert_untouched()


@pytest.mark.parametrize("sent", [b"bo", LARGE[: 2 * 1024 * 1024]], ids=["small", "large"])
def test_a_client_that_leaves_commits_nothing(gateway: RunningEngine, upstream: RecordingUpstream, sent: bytes) -> None:
    body = b"body" if len(sent) == 2 else LARGE
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=body) + sent)
        if body is LARGE:
            upstream.wait_for_requests(1)
    wait_until(lambda: not gateway.call(lambda: gateway.engine.connections))
    assert not any(request.complete for request in upstream.requests)
    assert gateway.call(lambda: gateway.engine.memory.taken) == 0


def test_a_chunked_body_is_sent_with_its_length(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    head = gateway.signer.head("PUT", "/bucket/k", sha256=UNSIGNED_PAYLOAD, unsigned=[("Transfer-Encoding", "chunked")])
    with gateway.connect() as client:
        client.send(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert client.reply().status == 200
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 200
    assert upstream.requests[0].header(b"content-length") == b"5"
    assert bytes(upstream.requests[0].body) == b"abcde"
    assert upstream.requests[0].values(b"transfer-encoding") == []


def chunked(gateway: RunningEngine, body: bytes, sha256: str = UNSIGNED_PAYLOAD) -> RawReply:
    head = gateway.signer.head("PUT", "/bucket/k", sha256=sha256, unsigned=[("Transfer-Encoding", "chunked")])
    with gateway.connect() as client:
        client.send(head + as_http_chunks(body))
        return client.reply()


def test_a_chunked_body_that_does_not_fit_into_memory_waits_in_the_spool(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    assert chunked(gateway, LARGE).status == 200
    request = upstream.only_request()
    assert bytes(request.body) == LARGE
    assert request.header(b"content-length") == str(len(LARGE)).encode()
    assert request.values(b"transfer-encoding") == []
    assert gateway.call(lambda: (gateway.engine.spool_room.files.taken, gateway.engine.memory.taken)) == (0, 0)


def test_a_chunked_body_in_the_spool_that_does_not_hold_never_reaches_the_store(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    reply = chunked(gateway, LARGE, sha256=WRONG_SHA)
    assert (reply.status, reply.code) == (400, "XAmzContentSHA256Mismatch")
    upstream.assert_untouched()
    assert gateway.call(lambda: gateway.engine.spool_room.files.taken) == 0


def test_a_chunked_body_without_a_length_beyond_the_spool_is_411(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, spool_file=2 * 1024 * 1024) as gateway:
        head = gateway.signer.head(
            "PUT", "/bucket/k", sha256=UNSIGNED_PAYLOAD, unsigned=[("Transfer-Encoding", "chunked")]
        )
        with gateway.connect() as client:
            client.send(head + b"%x\r\n" % len(LARGE))
            client.send(LARGE[: 2 * 1024 * 1024 + 1])
            assert client.reply().code == "MissingContentLength"
        wait_until(lambda: not gateway.call(lambda: gateway.engine.spool_room.files.taken))
    upstream.assert_untouched()


def test_a_spool_that_is_full_slows_down(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, spool_total=1024 * 1024) as gateway:
        reply = chunked(gateway, LARGE)
        assert (reply.status, reply.code) == (503, "SlowDown")
        assert chunked(gateway, b"small").status == 200
    assert len(upstream.requests) == 1


def test_a_spool_without_a_folder_slows_down(upstream: RecordingUpstream, tmp_path: Path) -> None:
    with RunningEngine(upstream.port, spool_dir=tmp_path / "gone") as gateway:
        reply = chunked(gateway, LARGE)
    assert (reply.status, reply.code) == (503, "SlowDown")
    upstream.assert_untouched()


def test_a_key_revoked_while_a_spooled_body_comes_in_sends_nothing(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    head = gateway.signer.head("PUT", "/bucket/k", sha256=UNSIGNED_PAYLOAD, unsigned=[("Transfer-Encoding", "chunked")])
    with gateway.connect() as client:
        client.send(head + as_http_chunks(LARGE)[:-2])
        wait_until(lambda: gateway.call(lambda: gateway.engine.spool_room.files.taken) >= len(LARGE))
        gateway.call(gateway.directory.revoke)
        client.send(b"\r\n")
        assert client.reply().code == "InvalidAccessKeyId"
    upstream.assert_untouched()


def test_a_key_revoked_while_a_spooled_body_leaves_commits_nothing(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    body = random.Random(2).randbytes(8 * 1024 * 1024)  # more than the sockets of the way take at once
    reading, gone_on = threading.Event(), threading.Event()

    def script(exchange: Exchange) -> None:
        reading.set()
        assert gone_on.wait(20)
        canned(ok())(exchange)

    upstream.reset(script)
    head = gateway.signer.head("PUT", "/bucket/k", sha256=UNSIGNED_PAYLOAD, unsigned=[("Transfer-Encoding", "chunked")])
    with gateway.connect() as client:
        client.send(head + as_http_chunks(body))
        assert reading.wait(20)
        gateway.call(gateway.directory.revoke)
        gone_on.set()
        reply = client.reply()
    assert (reply.status, reply.code) == (403, "InvalidAccessKeyId")
    assert not upstream.only_request().complete


def test_an_upload_without_any_length_is_411(gateway: RunningEngine) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k"))
        assert client.reply().code == "MissingContentLength"


def test_an_upload_over_the_limit_is_refused_before_its_body(gateway: RunningEngine) -> None:
    head = gateway.signer.head("PUT", "/bucket/k", unsigned=[("Content-Length", str(5 * 2**30 + 1))])
    with gateway.connect() as client:
        client.send(head)
        assert client.reply().code == "EntityTooLarge"


def test_the_memory_for_bodies_is_bounded_and_given_back(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, buffer_total=1024 * 1024) as gateway, gateway.connect() as first:
        first.send(gateway.signer.head("PUT", "/bucket/k", body=b"x" * 1_000_000))
        assert put(gateway, b"y" * 100_000, headers=[]).status == 200  # what is only announced takes nothing
        first.send(b"x" * 999_999)
        wait_until(lambda: gateway.call(lambda: gateway.engine.memory.taken) >= 999_999)
        assert put(gateway, b"y" * 100_000, headers=[]).code == "SlowDown"
        first.send(b"x")
        assert first.reply().status == 200
        assert put(gateway, b"y" * 100_000, headers=[]).status == 200


def test_a_body_on_an_operation_that_takes_none_is_refused(gateway: RunningEngine) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k", body=b"body") + b"body")
        assert client.reply().status == 400
