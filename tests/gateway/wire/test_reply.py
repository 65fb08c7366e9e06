"""How replies travel: relayed byte for byte, rebuilt where they name the store, never whole when they are not."""

import random
import time

import pytest

from tests.support.recording_upstream import RecordingUpstream, canned, chunked, in_pieces, in_turn, ok, short_body
from tests.support.wire import RunningEngine, wait_until

LARGE = random.Random(3).randbytes(6 * 1024 * 1024 + 3)
BUCKETS = (
    b"<ListAllMyBucketsResult><Owner><ID>store</ID></Owner><Buckets><Bucket><Name>%b</Name>"
    b"<CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets>%b</ListAllMyBucketsResult>"
)
TOKEN = b"<ContinuationToken>next</ContinuationToken>"


def test_a_large_object_is_relayed_whole(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = canned(ok(LARGE))
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().body == LARGE


def test_a_slow_reader_gets_every_byte(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    """A read buffer reused before its bytes were sent shows exactly here."""
    upstream.script = canned(ok(LARGE))
    with gateway.connect(receive_buffer=4096) as slow, gateway.connect() as other:
        slow.send(gateway.signer.head("GET", "/bucket/k"))
        other.send(gateway.signer.head("GET", "/bucket/other"))
        assert other.reply().body == LARGE
        reply = slow.reply()
    assert reply.body == LARGE


def test_a_reply_without_length_is_chunked_for_http_1_1(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = chunked(b"abc", b"defg")
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        reply = client.reply()
        assert reply.header(b"transfer-encoding") == b"chunked"
        assert reply.body == b"abcdefg"
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().body == b"abcdefg"


def test_a_reply_without_length_ends_with_the_connection_for_http_1_0(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = chunked(b"abc", b"defg")
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k").replace(b"HTTP/1.1", b"HTTP/1.0"))
        reply = client.reply()
        assert reply.values(b"transfer-encoding") == []
        assert reply.body == b"abcdefg"


def test_interim_replies_of_the_store_are_dropped(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = in_pieces([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\n", ok(b"body")])
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        reply = client.reply()
    assert (reply.status, reply.body) == (200, b"body")


def test_a_head_reply_keeps_the_objects_length_and_has_no_body(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = canned(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: x\r\n\r\n")
    with gateway.connect() as client:
        for _ in range(2):
            client.send(gateway.signer.head("HEAD", "/bucket/k"))
            reply = client.reply(head_request=True)
            assert (reply.status, reply.header(b"content-length")) == (200, b"12345")


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_replies_without_a_body_keep_the_connection(
    gateway: RunningEngine, upstream: RecordingUpstream, status: bytes
) -> None:
    upstream.script = canned(b"HTTP/1.1 " + status + b"\r\nETag: x\r\n\r\n")
    with gateway.connect() as client:
        for _ in range(2):
            client.send(gateway.signer.head("GET", "/bucket/k"))
            assert client.reply().status == int(status[:3])


def test_a_short_body_of_the_store_kills_the_client_connection(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = short_body(100, b"only this")
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        with pytest.raises((EOFError, ConnectionResetError)):
            client.reply()


def test_an_error_document_is_rebuilt(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    document = (
        b"<Error><Code>NoSuchKey</Code><Message>gone</Message><HostId>secret-host</HostId>"
        b"<BucketName>bucket</BucketName><Server>10.0.0.7</Server></Error>"
    )
    upstream.script = canned(ok(document, status=b"404 Not Found"))
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        reply = client.reply()
    assert (reply.status, reply.code, reply.message) == (404, "NoSuchKey", "gone")
    assert b"secret-host" not in reply.body
    assert b"10.0.0.7" not in reply.body


def test_all_pages_of_the_stores_buckets_are_asked_for(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = in_turn(canned(ok(BUCKETS % (b"one", TOKEN))), canned(ok(BUCKETS % (b"two", b""))))
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/"))
        reply = client.reply()
    assert reply.status == 200
    assert b"<Name>one</Name>" in reply.body
    assert b"<Name>two</Name>" in reply.body
    assert b"<ID>store</ID>" not in reply.body
    assert b"continuation-token=next" in upstream.requests[1].line


def test_a_copy_trickles_white_space_and_ends_with_its_document(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    result = b"<CopyObjectResult><ETag>&quot;e&quot;</ETag></CopyObjectResult>"
    upstream.script = chunked(b'<?xml version="1.0"?>', b" ", b"\n", result[:20], result[20:])
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", [("x-amz-copy-source", "/bucket/s")], body=b""))
        reply = client.reply()
    assert reply.status == 200
    assert reply.body.startswith(b'<?xml version="1.0"')
    assert b"<ETag>" in reply.body


def test_a_document_over_its_limit_is_nonsense(upstream: RecordingUpstream) -> None:
    upstream.script = canned(ok(b"<Error>" + b"x" * 5000, status=b"404 Not Found"))
    with RunningEngine(upstream.port, reply_document=4096) as gateway, gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 500


def test_white_space_is_passed_on_however_long_it_lasts(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    result = b"<CompleteMultipartUploadResult><Location>x</Location></CompleteMultipartUploadResult>"
    declaration = b'<?xml version="1.0" encoding="UTF-8"?>'
    upstream.script = chunked(declaration, b" " * 20_000, *[b" "] * 3, result)
    body = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>"
    with gateway.connect() as client:
        client.send(gateway.signer.head("POST", "/bucket/k?uploadId=u", body=body) + body)
        reply = client.reply()
    assert reply.status == 200
    assert reply.body.count(b" ") >= 2
    assert reply.body.endswith(b"</CompleteMultipartUploadResult>")


def test_pages_of_buckets_are_not_asked_for_after_a_revoke(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    def script(exchange) -> None:  # type: ignore[no-untyped-def]
        exchange.read_body()
        gateway.call(gateway.directory.revoke)
        exchange.send(ok(BUCKETS % (b"aaa", TOKEN)))

    upstream.script = script
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/"))
        assert client.reply().code == "InvalidAccessKeyId"
    assert len(upstream.requests) == 1


def test_documents_that_nobody_reads_count_as_memory_until_they_are_sent(upstream: RecordingUpstream) -> None:
    document = b"<ListBucketResult>" + b"<Contents><Key>k</Key></Contents>" * 100_000 + b"</ListBucketResult>"
    upstream.script = canned(ok(document))
    with RunningEngine(upstream.port, buffer_total=5 * 1024 * 1024) as gateway:
        with gateway.connect(receive_buffer=4096) as deaf, gateway.connect() as other:
            deaf.send(gateway.signer.head("GET", "/bucket"))
            wait_until(lambda: bool(deaf.read_some(1)))
            assert gateway.call(lambda: gateway.engine.memory.taken) == len(document)
            other.send(gateway.signer.head("GET", "/bucket"))
            assert other.reply().code == "SlowDown"
        deadline = time.monotonic() + 5
        while gateway.call(lambda: gateway.engine.memory.taken) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert gateway.call(lambda: gateway.engine.memory.taken) == 0
