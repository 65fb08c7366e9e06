"""One request through the engine: what it does when the store answers early, late, wrongly or not at all."""

import base64
import hashlib
import random
import socket
from dataclasses import replace

import pytest

from gateway.pipeline import Lookups
from keystore.scope import BucketGrant, SpecificBuckets
from tests.support.recording_upstream import (
    Exchange,
    RecordingUpstream,
    canned,
    close_without_answer,
    early,
    in_turn,
    never_answers,
    ok,
)
from tests.support.wire import RunningEngine, wait_until

LARGE = random.Random(2).randbytes(4 * 1024 * 1024)
DENIED = ok(b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>", status=b"403 Forbidden")


def test_an_early_refusal_of_the_store_is_relayed_and_the_connection_closed(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = early(DENIED)
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=LARGE) + LARGE[: 2 * 1024 * 1024])
        reply = client.reply()
        assert (reply.status, reply.code) == (403, "AccessDenied")
        assert reply.header(b"connection") == b"close"


def test_an_early_success_of_the_store_is_not_believed(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = early(ok())
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=LARGE) + LARGE[: 2 * 1024 * 1024])
        assert client.reply().status == 500


def test_a_store_that_is_not_there_is_503_with_retry_after() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with RunningEngine(port) as gateway, gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        reply = client.reply()
        assert (reply.status, reply.code) == (503, "ServiceUnavailable")
        assert reply.header(b"retry-after") == b"1"


def test_a_store_that_closes_without_an_answer_is_503(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = close_without_answer
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().code == "ServiceUnavailable"
    assert len(upstream.requests) == 1


def test_a_store_that_never_answers_is_503_in_time(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = never_answers
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().code == "ServiceUnavailable"


def test_a_get_on_a_stale_connection_is_asked_again_on_a_fresh_one(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = in_turn(canned(ok()), close_without_answer, canned(ok(b"again")))
    with gateway.connect() as client:
        for expected in (b"", b"again"):
            client.send(gateway.signer.head("GET", "/bucket/k"))
            reply = client.reply()
            assert (reply.status, reply.body) == (200, expected)
    assert len(upstream.requests) == 3


def test_a_put_on_a_stale_connection_is_never_repeated(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = in_turn(canned(ok()), close_without_answer, canned(ok()))
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 200
        client.send(gateway.signer.head("PUT", "/bucket/k", body=b"body") + b"body")
        assert client.reply().code == "ServiceUnavailable"
    assert len(upstream.requests) == 2


def test_nonsense_from_the_store_is_500(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = canned(b"SSH-2.0-OpenSSH_9\r\n\r\n")
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        reply = client.reply()
        assert (reply.status, reply.code) == (500, "InternalError")
        assert b"SSH" not in reply.body


def test_a_key_revoked_while_the_request_waits_for_a_connection_reaches_nothing(upstream: RecordingUpstream) -> None:
    def slow(exchange: Exchange) -> None:
        gateway.call(gateway.directory.revoke)
        exchange.send(ok())

    upstream.script = slow
    with (
        RunningEngine(upstream.port, upstream_connections=1) as gateway,
        gateway.connect() as first,
        gateway.connect() as second,
    ):
        first.send(gateway.signer.head("GET", "/bucket/first"))
        second.send(gateway.signer.head("GET", "/bucket/second"))
        assert first.reply().status in (200, 403)
        assert second.reply().status in (200, 403)
    assert len(upstream.requests) == 1


def test_the_connection_serves_on_after_a_refusal_without_a_body(gateway: RunningEngine) -> None:
    with gateway.connect() as client:
        client.send(b"GET /bucket/k HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.reply().status == 403
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 200


def test_a_bug_is_500_with_a_request_id_and_no_trace(gateway: RunningEngine) -> None:
    gateway.engine._lookups = Lookups(None, None, None)  # type: ignore[arg-type]  # a bug
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        reply = client.reply()
    assert (reply.status, reply.code) == (500, "InternalError")
    assert b"Traceback" not in reply.body
    assert b"NoneType" not in reply.body


def test_a_key_narrowed_while_its_request_waits_does_not_send_what_was_planned_before(
    upstream: RecordingUpstream,
) -> None:
    """CreateBucket of a key that lost All Buckets meanwhile would otherwise go out as it was planned."""
    upstream.script = never_answers
    with (
        RunningEngine(upstream.port, upstream_connections=1, upstream_wait_timeout=10) as gateway,
        gateway.connect() as first,
        gateway.connect() as second,
    ):
        first.send(gateway.signer.head("GET", "/bucket/1"))
        upstream.wait_for_requests(1)
        second.send(gateway.signer.head("PUT", "/newbucket", [("Content-Length", "0")]))
        wait_until(lambda: bool(gateway.call(lambda: len(gateway.engine.upstream.pool._waiting))))
        record = gateway.directory.held
        assert record is not None
        gateway.directory.held = replace(record, scope=SpecificBuckets((BucketGrant("newbucket"),)))
        upstream.drop_connections()
        assert second.reply().status == 503
    assert all(not request.line.startswith(b"PUT") for request in upstream.requests)


def test_a_delete_of_many_that_waits_does_not_go_out_under_another_record(upstream: RecordingUpstream) -> None:
    """It was decided object by object, under the record of before."""
    upstream.script = never_answers
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    with (
        RunningEngine(upstream.port, upstream_connections=1, upstream_wait_timeout=10) as gateway,
        gateway.connect() as first,
        gateway.connect() as second,
    ):
        first.send(gateway.signer.head("GET", "/bucket/1"))
        upstream.wait_for_requests(1)
        second.send(gateway.signer.head("POST", "/bucket?delete=", [("Content-MD5", digest)], body=body) + body)
        wait_until(lambda: gateway.call(lambda: len(gateway.engine.upstream.pool._waiting)) == 1)
        record = gateway.directory.held
        assert record is not None
        gateway.directory.held = replace(record, scope=SpecificBuckets((BucketGrant("bucket", prefix="team/"),)))
        upstream.drop_connections()
        assert second.reply().status == 503
    assert all(not request.line.startswith(b"POST") for request in upstream.requests)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "requests fail: the store answered nonsense"),
        (b"", "requests fail: the store closed the connection"),
    ],
)
def test_what_many_requests_fail_for_is_one_line_in_the_log(
    gateway: RunningEngine, upstream: RecordingUpstream, caplog: pytest.LogCaptureFixture, reply: bytes, told: str
) -> None:
    def script(exchange) -> None:  # type: ignore[no-untyped-def]
        exchange.read_body()
        exchange.send(reply)
        exchange.close()

    upstream.script = script
    for _ in range(30):
        with gateway.connect() as client:
            client.send(gateway.signer.head("PUT", "/bucket/k", body=b"x") + b"x")
            assert client.reply().status in (500, 503)
    assert len([message for message in caplog.messages if message.startswith(told)]) == 1
    assert len(caplog.messages) <= 3  # and one that the store fails
