"""Every request that ends is told once, with what is known of it, however it ends."""

import random
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.iam.request import IamAnswer, IamRequest
from gateway.telemetry.request_record import End, RequestRecord
from gateway.wire.cutting import Cutter
from keystore.access_key import KnownKey
from keystore.scope import BucketGrant, SpecificBuckets
from tests.support.iam import Signing
from tests.support.recording_upstream import (
    Exchange,
    RecordingUpstream,
    canned,
    chunked,
    close_without_answer,
    early,
    never_answers,
    ok,
    short_body,
)
from tests.support.wire import ACCESS_KEY_ID, SECRET, RunningEngine, wait_until

LARGE = random.Random(3).randbytes(3 << 20)
NO_SUCH_KEY = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>m</Message></Error>"


def half(exchange: Exchange) -> None:
    """500 bytes of 1000, and the connection stays."""
    exchange.send(ok(b"x" * 1000)[:-500])
    exchange.wait_for_end()


class Told:
    """What the engine told, in order."""

    def __init__(self, gateway: RunningEngine) -> None:
        self.records: list[RequestRecord] = []
        self._gateway = gateway
        gateway.engine.on_ended = (self.records.append,)

    def only(self) -> RequestRecord:
        """The one record there is, and nothing comes after it."""
        [record] = self.all(1)
        return record

    def all(self, number: int) -> list[RequestRecord]:
        wait_until(lambda: len(self.records) >= number)
        self._gateway.call(lambda: None)
        wait_until(lambda: all(client.exchange is None for client in self._gateway.engine.clients))
        assert len(self.records) == number
        return self.records


@pytest.fixture
def told(gateway: RunningEngine) -> Iterator[Told]:
    heard = Told(gateway)
    yield heard
    assert len({record.request_id for record in heard.records}) == len(heard.records), "one was told twice"


def times_are_in_order(record: RequestRecord) -> bool:
    return 0 < record.began <= record.asked <= record.replied <= record.ended


# ---- answered ----


def test_a_download_is_told_with_all_that_is_known(gateway: RunningEngine, told: Told) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        request_id = client.reply().header(b"x-amz-request-id")
    record = told.only()
    assert (record.request_id, record.method, record.source) == (request_id, b"GET", "127.0.0.1")
    assert (record.operation, record.access_key_id, record.bucket) == ("GetObject", ACCESS_KEY_ID, "bucket")
    assert (record.status, record.code, record.reason, record.end) == (200, "", "", End.WHOLE)
    assert (record.received, record.sent, record.from_store) == (0, 5, True)
    assert times_are_in_order(record)


@pytest.mark.parametrize("size", [100, 100_000, len(LARGE)])
def test_an_upload_is_told_with_its_bytes_however_it_travels(gateway: RunningEngine, told: Told, size: int) -> None:
    body = LARGE[:size]
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=body) + body)
        assert client.reply().status == 200
    record = told.only()
    assert (record.operation, record.status, record.received, record.sent) == ("PutObject", 200, size, 5)
    assert times_are_in_order(record)


@pytest.mark.parametrize("large", [False, True])
def test_what_is_relayed_block_by_block_is_counted(
    gateway: RunningEngine, upstream: RecordingUpstream, told: Told, *, large: bool
) -> None:
    upstream.script = canned(ok(LARGE)) if large else chunked(b"abc", b"de")
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        sent = len(client.reply().body)
    record = told.only()
    assert (record.status, record.sent, record.end) == (200, sent, End.WHOLE)
    assert sent in (len(LARGE), 5)


def test_a_head_sends_no_body(gateway: RunningEngine, upstream: RecordingUpstream, told: Told) -> None:
    upstream.script = canned(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
    with gateway.connect() as client:
        client.send(gateway.signer.head("HEAD", "/bucket/k"))
        assert client.reply(head_request=True).status == 200
    record = told.only()
    assert (record.operation, record.method, record.status, record.sent) == ("HeadObject", b"HEAD", 200, 0)


def test_many_on_one_connection_are_told_one_by_one(gateway: RunningEngine, told: Told) -> None:
    with gateway.connect() as client:
        for number in range(20):
            client.send(gateway.signer.head("GET", f"/bucket/{number}"))
            client.reply()
        client.send(b"".join(gateway.signer.head("GET", f"/bucket/{number}") for number in range(20)))
        replies = [client.reply() for _ in range(20)]
    records = told.all(40)
    assert [record.request_id for record in records[20:]] == [reply.header(b"x-amz-request-id") for reply in replies]
    assert all(record.status == 200 and times_are_in_order(record) for record in records)


def test_a_client_that_waits_for_100_continue_is_told_once(gateway: RunningEngine, told: Told) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=b"hello", unsigned=[("Expect", "100-continue")]))
        assert client.read(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.reply().status == 200
    record = told.only()
    assert (record.status, record.received) == (200, 5)


def test_an_error_of_the_store_is_told_as_the_stores(
    gateway: RunningEngine, upstream: RecordingUpstream, told: Told
) -> None:
    upstream.script = canned(ok(NO_SUCH_KEY, status=b"404 Not Found"))
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        reply = client.reply()
    record = told.only()
    assert (record.status, record.code, record.reason, record.from_store) == (404, "NoSuchKey", "", True)
    assert record.sent == len(reply.body)


def test_an_error_inside_a_200_is_told_with_its_code(
    gateway: RunningEngine, upstream: RecordingUpstream, told: Told
) -> None:
    error = NO_SUCH_KEY.replace(b"NoSuchKey", b"InternalError")
    upstream.script = chunked(b"<?xml version='1.0'?>", b" ", error.partition(b"?>")[2])
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", [("x-amz-copy-source", "/bucket/other")], body=b""))
        reply = client.reply()
    record = told.only()
    assert (record.operation, record.status, record.code, record.from_store) == (
        "CopyObject",
        200,
        "InternalError",
        True,
    )
    assert record.sent == len(reply.body)


# ---- refused ----


def test_a_signature_that_does_not_hold_proves_nothing(gateway: RunningEngine, told: Told) -> None:
    head = gateway.signer.head("GET", "/bucket/k").replace(b"/bucket/k", b"/bucket/x")
    with gateway.connect() as client:
        client.send(head)
        client.reply()
    record = told.only()
    assert (record.status, record.code, record.from_store) == (403, "SignatureDoesNotMatch", False)
    assert (record.operation, record.access_key_id, record.bucket) == ("", "", "")
    assert record.reason
    assert (record.asked, record.replied) == (0.0, 0.0)
    assert 0 < record.began <= record.ended


def test_a_request_out_of_scope_is_told_with_whose_it_was(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, scope=SpecificBuckets((BucketGrant("other"),))) as gateway:
        told = Told(gateway)
        with gateway.connect() as client:
            client.send(gateway.signer.head("PUT", "/bucket/k", body=LARGE))
            client.reply()
        record = told.only()
    assert (record.status, record.code) == (403, "AccessDenied")
    assert (record.operation, record.access_key_id, record.bucket) == ("PutObject", ACCESS_KEY_ID, "bucket")
    assert record.received == 0


def test_a_request_that_is_no_operation_is_told_without_one(gateway: RunningEngine, told: Told) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k?nothing"))
        client.reply()
    record = told.only()
    assert (record.status, record.operation, record.access_key_id) == (501, "", ACCESS_KEY_ID)


def test_a_body_that_is_not_what_was_signed_is_told_with_its_bytes(gateway: RunningEngine, told: Told) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=b"hello") + b"HELLO")
        client.reply()
    record = told.only()
    assert (record.status, record.code) == (400, "XAmzContentSHA256Mismatch")
    assert (record.operation, record.received, record.asked) == ("PutObject", 5, 0.0)


def test_a_body_that_ends_early_is_told_once(gateway: RunningEngine, told: Told) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=b"hello") + b"he")
        client.end_sending()
        client.reply()
    record = told.only()
    assert (record.status, record.code, record.received) == (400, "IncompleteBody", 2)


def test_a_keystore_that_cannot_answer_is_told_as_503(gateway: RunningEngine, told: Told) -> None:
    gateway.directory.broken = True
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        client.reply()
    record = told.only()
    assert (record.status, record.code, record.from_store) == (503, "ServiceUnavailable", False)
    assert "keystore" in record.reason


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"GET\r\n\r\n", "BadRequest"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n", "RequestHeaderSectionTooLarge"),
        (b"\r\n" * 20, "BadRequest"),
        (b"GET / HTTP/1.1\r\nHost", "RequestTimeout"),
    ],
    ids=["malformed", "endless", "empty lines", "slow"],
)
def test_a_head_that_cannot_be_read_is_told(gateway: RunningEngine, told: Told, head: bytes, code: str) -> None:
    with gateway.connect() as client:
        client.send(head)
        request_id = client.reply().header(b"x-amz-request-id")
    record = told.only()
    assert (record.request_id, record.method, record.source) == (request_id, b"", "127.0.0.1")
    assert (record.status, record.code, record.operation) == (400, code, "")


def test_a_connection_too_many_is_told(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, connections=1) as gateway, gateway.connect() as first:
        told = Told(gateway)
        first.send(gateway.signer.head("GET", "/bucket/k"))
        first.reply()
        with gateway.connect() as second:
            assert second.reply().code == "SlowDown"
        records = told.all(2)
    assert [(record.status, record.code) for record in records] == [(200, ""), (503, "SlowDown")]


# ---- cut, left, failed ----


def test_a_store_that_closes_without_an_answer_is_told_as_503(
    gateway: RunningEngine, upstream: RecordingUpstream, told: Told
) -> None:
    upstream.script = close_without_answer
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=b"hello") + b"hello")
        assert client.reply().status == 503
    record = told.only()
    assert (record.status, record.code, record.from_store, record.end) == (503, "ServiceUnavailable", False, End.WHOLE)
    assert record.asked > 0
    assert record.replied == 0.0


def test_a_store_that_cannot_be_reached_is_told_as_503() -> None:
    with RunningEngine(1) as gateway, gateway.connect() as client:
        told = Told(gateway)
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 503
        record = told.only()
    assert (record.operation, record.status, record.asked) == ("GetObject", 503, 0.0)


def test_a_store_that_closes_in_the_middle_is_told_as_cut(
    gateway: RunningEngine, upstream: RecordingUpstream, told: Told
) -> None:
    upstream.script = short_body(1000, b"x" * 500)
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.is_reset()
    record = told.only()
    assert (record.status, record.sent, record.end) == (200, 500, End.CUT)
    assert "closed the connection" in record.reason


def test_nonsense_of_the_store_is_told(gateway: RunningEngine, upstream: RecordingUpstream, told: Told) -> None:
    upstream.script = canned(b"nonsense\r\n\r\n")
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 500
    record = told.only()
    assert (record.status, record.code, record.from_store) == (500, "InternalError", False)


def test_an_early_answer_of_the_store_is_told_once(
    gateway: RunningEngine, upstream: RecordingUpstream, told: Told
) -> None:
    upstream.script = early(ok(NO_SUCH_KEY.replace(b"NoSuchKey", b"NoSuchBucket"), status=b"404 Not Found"))
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=LARGE, sha256="UNSIGNED-PAYLOAD"))
        assert client.reply().code == "NoSuchBucket"
    record = told.only()
    assert (record.status, record.code, record.from_store) == (404, "NoSuchBucket", True)


@pytest.mark.parametrize("answered", [False, True])
def test_a_client_that_leaves_is_told(
    gateway: RunningEngine, upstream: RecordingUpstream, told: Told, *, answered: bool
) -> None:
    upstream.script = half if answered else never_answers
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        upstream.wait_for_requests(1)
        if answered:
            client.read(100)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    record = told.only()
    assert (record.operation, record.end, record.status) == ("GetObject", End.LEFT, 200 if answered else 0)
    assert record.sent == (500 if answered else 0)


@pytest.mark.parametrize("answered", [False, True])
def test_a_request_that_a_revocation_ends_is_told_with_why(
    gateway: RunningEngine, upstream: RecordingUpstream, told: Told, *, answered: bool
) -> None:
    upstream.script = half if answered else never_answers
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        upstream.wait_for_requests(1)
        if answered:
            client.read(100)
        gateway.directory.revoke()
        gateway.call(lambda: Cutter(gateway.engine).on_change(7, ACCESS_KEY_ID))
        client.read_to_end()
    record = told.only()
    assert (record.code, record.access_key_id) == ("InvalidAccessKeyId", ACCESS_KEY_ID)
    assert "revoked" in record.reason
    assert (record.status, record.end) == ((200, End.CUT) if answered else (403, End.WHOLE))


def test_a_bug_is_told_as_500(gateway: RunningEngine, upstream: RecordingUpstream, told: Told) -> None:
    def fails(access_key_id: str, date: bytes) -> KnownKey | None:
        raise RuntimeError("a bug")

    gateway.directory.find = fails  # type: ignore[method-assign]
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=b"hello") + b"hello")
        assert client.reply().status == 500
    assert (told.only().status, told.only().code) == (500, "InternalError")


def test_a_drain_that_waited_long_enough_is_told(upstream: RecordingUpstream) -> None:
    upstream.script = never_answers
    with RunningEngine(upstream.port, drain_timeout=0.2) as gateway, gateway.connect() as client:
        told = Told(gateway)
        client.send(gateway.signer.head("GET", "/bucket/k"))
        upstream.wait_for_requests(1)
        assert gateway.drain() == 1
        assert told.only().end is End.LEFT


# ---- beside the road of objects ----


class Control:
    """A control plane that answers 200."""

    async def relay(self, request: IamRequest) -> IamAnswer:
        return IamAnswer(200, [(b"content-type", b"text/xml")], b"<yes/>")


@pytest.mark.parametrize("held", [True, False])
def test_what_is_relayed_to_the_control_plane_is_told(gateway: RunningEngine, told: Told, *, held: bool) -> None:
    form = b"Action=GetCallerIdentity&Version=2011-06-15"
    gateway.engine.control = Control()
    headers = Signing(ACCESS_KEY_ID, SECRET if held else "another", "sts", now=time.time()).request(form).headers
    lines = b"".join(b"%b: %b\r\n" % (name.lower(), value) for name, value in headers)
    with gateway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\n%bcontent-length: %d\r\n\r\n%b" % (lines, len(form), form))
        client.reply()
    record = told.only()
    assert (record.operation, record.received) == ("sts", len(form))
    expected = (200, "", ACCESS_KEY_ID) if held else (403, "SignatureDoesNotMatch", "")
    assert (record.status, record.code, record.access_key_id) == expected


def test_two_questions_to_the_store_are_one_request(
    gateway: RunningEngine, upstream: RecordingUpstream, told: Told
) -> None:
    """CreateBucket asks whether the bucket is there, then makes it."""

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        there = exchange.request.line.startswith(b"PUT")
        exchange.send(ok(status=b"200 OK" if there else b"404 Not Found"))

    upstream.script = script
    assert gateway.directory.held is not None
    gateway.directory.held = replace(gateway.directory.held)
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket", body=b""))
        assert client.reply().status == 200
    record = told.only()
    assert (record.operation, record.status, record.code) == ("CreateBucket", 200, "")


def test_whoever_fails_while_he_is_told_harms_no_request(
    gateway: RunningEngine, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[RequestRecord] = []

    def fails(record: RequestRecord) -> None:
        raise RuntimeError("a bug")

    gateway.engine.on_ended = (fails, heard.append)
    with gateway.connect() as client:
        for _ in range(2):
            client.send(gateway.signer.head("GET", "/bucket/k"))
            assert client.reply().status == 200
    wait_until(lambda: len(heard) == 2)
    assert "could not be told" in caplog.text
