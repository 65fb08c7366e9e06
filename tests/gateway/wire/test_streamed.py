"""Uploads in the streaming modes: what leaves, in which form, and that nothing leaves that did not hold."""

import contextlib
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.payload.reframe import reframed_length
from tests.support.chunks import unsigned
from tests.support.raw_client import RawReply
from tests.support.recording_upstream import RecordingUpstream
from tests.support.streaming import (
    CRC32,
    MODES,
    SIGNED,
    SIGNED_TRAILER,
    TRAILER_MODES,
    UNSIGNED_TRAILER,
    StreamingUpload,
    crc32,
    streaming_upload,
)
from tests.support.wire import RunningEngine, wait_until

MIB = 1024 * 1024
RANDOM = random.Random(3)
SMALL = RANDOM.randbytes(200_001)  # four chunks; fits into memory
WAITING = RANDOM.randbytes(3 * MIB + 1)  # with a trailer it waits in the spool
LARGE = RANDOM.randbytes(9 * MIB + 5)  # over the limit of the spool: streamed in every mode
SIZES = {"small": SMALL, "waiting": WAITING, "large": LARGE}
BAD = crc32(b"something else")

sizes = pytest.mark.parametrize("size", list(SIZES))
modes = pytest.mark.parametrize("mode", MODES)
te = pytest.mark.parametrize("te_chunked", [False, True], ids=["content-length", "te-chunked"])


@pytest.fixture
def trailing(upstream: RecordingUpstream) -> Iterator[RunningEngine]:
    """In front of a store that takes trailers."""
    with RunningEngine(upstream.port, trailers=True) as running:
        yield running


def send(gateway: RunningEngine, upload: StreamingUpload) -> RawReply:
    with gateway.connect() as client:
        with contextlib.suppress(OSError):  # the answer was there before the end
            client.send(upload.request)
        return client.reply()


def spent(gateway: RunningEngine) -> tuple[int, int]:
    return gateway.call(lambda: (gateway.engine.memory.taken, gateway.engine.spool_room.files.taken))


def assert_nothing_committed(upstream: RecordingUpstream, payload: bytes) -> None:
    """What is small or waits is not even begun; what is large stays short."""
    if len(payload) <= MIB:
        upstream.assert_untouched()
    for request in upstream.requests:
        assert not request.complete
        assert payload.startswith(bytes(request.body))


# ---- what holds arrives ----


@te
@modes
@sizes
def test_the_payload_arrives_without_its_framing(
    gateway: RunningEngine, upstream: RecordingUpstream, size: str, mode: str, te_chunked: bool
) -> None:
    payload = SIZES[size]
    upload = streaming_upload(gateway.signer, payload, mode, te_chunked=te_chunked)
    assert send(gateway, upload).status == 200
    request = upstream.only_request()
    assert bytes(request.body) == payload
    assert request.header(b"content-length") == b"%d" % len(payload)
    assert request.header(b"x-amz-content-sha256") == b"UNSIGNED-PAYLOAD"
    for name in (b"transfer-encoding", b"content-encoding", b"x-amz-trailer", b"x-amz-decoded-content-length"):
        assert request.values(name) == []
    assert spent(gateway) == (0, 0)


@modes
def test_an_empty_payload_arrives(gateway: RunningEngine, upstream: RecordingUpstream, mode: str) -> None:
    assert send(gateway, streaming_upload(gateway.signer, b"", mode)).status == 200
    assert upstream.only_request().header(b"content-length") == b"0"


@pytest.mark.parametrize("mode", TRAILER_MODES)
@pytest.mark.parametrize("size", ["small", "waiting"])
def test_a_checksum_in_a_trailer_arrives_as_a_header(
    gateway: RunningEngine, upstream: RecordingUpstream, size: str, mode: str
) -> None:
    assert send(gateway, streaming_upload(gateway.signer, SIZES[size], mode)).status == 200
    assert upstream.only_request().header(CRC32) == crc32(SIZES[size])


@pytest.mark.parametrize("mode", TRAILER_MODES)
def test_a_large_payload_is_framed_anew_for_a_store_that_takes_trailers(
    trailing: RunningEngine, upstream: RecordingUpstream, mode: str
) -> None:
    upload = streaming_upload(trailing.signer, LARGE, mode, headers=[("x-amz-sdk-checksum-algorithm", "CRC32")])
    assert send(trailing, upload).status == 200
    request = upstream.only_request()
    chunks = [LARGE[start : start + MIB] for start in range(0, len(LARGE), MIB)]
    assert bytes(request.body) == unsigned(chunks, {CRC32: crc32(LARGE)})
    assert request.header(b"content-length") == b"%d" % reframed_length(len(LARGE), CRC32)
    assert request.header(b"x-amz-content-sha256") == b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert request.header(b"x-amz-decoded-content-length") == b"%d" % len(LARGE)
    assert request.header(b"x-amz-trailer") == CRC32
    assert request.values(b"content-encoding") == []
    assert request.header(b"x-amz-sdk-checksum-algorithm") == b"CRC32"


def test_a_large_payload_for_a_store_without_trailers_names_no_checksum_there(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upload = streaming_upload(
        gateway.signer, LARGE, UNSIGNED_TRAILER, headers=[("x-amz-sdk-checksum-algorithm", "CRC32")]
    )
    assert send(gateway, upload).status == 200
    request = upstream.only_request()
    assert request.values(CRC32) == request.values(b"x-amz-sdk-checksum-algorithm") == []


@modes
def test_another_content_encoding_stays(gateway: RunningEngine, upstream: RecordingUpstream, mode: str) -> None:
    assert send(gateway, streaming_upload(gateway.signer, SMALL, mode, encoding="aws-chunked,gzip")).status == 200
    assert upstream.only_request().header(b"content-encoding") == b"gzip"


def test_another_content_encoding_stays_with_what_is_framed_anew(
    trailing: RunningEngine, upstream: RecordingUpstream
) -> None:
    upload = streaming_upload(trailing.signer, LARGE, UNSIGNED_TRAILER, encoding="aws-chunked,gzip")
    assert send(trailing, upload).status == 200
    assert upstream.only_request().header(b"content-encoding") == b"gzip"


def test_a_signed_chunk_that_does_not_fit_into_memory_waits_in_the_spool(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upload = streaming_upload(gateway.signer, LARGE, SIGNED, chunk_size=5 * MIB)
    with gateway.connect() as client:
        client.send(upload.head + upload.chunks[0][:-3])
        upstream.wait_for_requests(1)
        wait_until(lambda: gateway.call(lambda: gateway.engine.spool_room.files.taken) >= 4 * MIB)
        assert bytes(upstream.requests[0].body) == b""
        assert spent(gateway)[0] == 0
        client.send(upload.chunks[0][-3:] + b"".join(upload.chunks[1:]))
        assert client.reply().status == 200
    assert bytes(upstream.only_request().body) == LARGE
    assert spent(gateway) == (0, 0)


# ---- what does not hold is never committed ----


@te
@pytest.mark.parametrize("which", [0, 1, -2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("mode", [SIGNED, SIGNED_TRAILER])
@sizes
def test_a_flipped_byte_in_a_signed_chunk(
    gateway: RunningEngine, upstream: RecordingUpstream, size: str, mode: str, which: int, te_chunked: bool
) -> None:
    upload = streaming_upload(gateway.signer, SIZES[size], mode, te_chunked=te_chunked)
    reply = send(gateway, upload.flipped(which))
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")
    assert_nothing_committed(upstream, SIZES[size])
    before = sum(len(chunk) for chunk in upload.chunks[: which if which >= 0 else len(upload.chunks) + which])
    assert all(len(request.body) <= before for request in upstream.requests)


@te
@pytest.mark.parametrize("which", [0, 1, -2], ids=["first", "middle", "last"])
@sizes
def test_a_flipped_byte_under_a_trailer(
    gateway: RunningEngine, upstream: RecordingUpstream, size: str, which: int, te_chunked: bool
) -> None:
    upload = streaming_upload(gateway.signer, SIZES[size], UNSIGNED_TRAILER, te_chunked=te_chunked)
    reply = send(gateway, upload.flipped(which))
    assert (reply.status, reply.code) == (400, "BadDigest")
    if size == "waiting":
        upstream.assert_untouched()
    assert not any(request.complete for request in upstream.requests)


@pytest.mark.parametrize("mode", TRAILER_MODES)
@sizes
def test_a_wrong_checksum_in_the_trailer(
    gateway: RunningEngine, upstream: RecordingUpstream, size: str, mode: str
) -> None:
    reply = send(gateway, streaming_upload(gateway.signer, SIZES[size], mode, checksum=BAD))
    assert (reply.status, reply.code) == (400, "BadDigest")
    assert_nothing_committed(upstream, SIZES[size])
    assert spent(gateway) == (0, 0)


@pytest.mark.parametrize("mode", TRAILER_MODES)
def test_a_wrong_checksum_in_the_trailer_of_what_is_framed_anew(
    trailing: RunningEngine, upstream: RecordingUpstream, mode: str
) -> None:
    reply = send(trailing, streaming_upload(trailing.signer, LARGE, mode, checksum=BAD))
    assert (reply.status, reply.code) == (400, "BadDigest")
    assert not upstream.only_request().complete


@te
@modes
@sizes
def test_a_body_that_ends_before_its_zero_chunk(
    gateway: RunningEngine, upstream: RecordingUpstream, size: str, mode: str, te_chunked: bool
) -> None:
    reply = send(gateway, streaming_upload(gateway.signer, SIZES[size], mode, te_chunked=te_chunked).without_end())
    assert (reply.status, reply.code) == (400, "IncompleteBody")
    assert_nothing_committed(upstream, SIZES[size])


@modes
@sizes
def test_a_client_that_leaves_before_the_zero_chunk(
    gateway: RunningEngine, upstream: RecordingUpstream, size: str, mode: str
) -> None:
    upload = streaming_upload(gateway.signer, SIZES[size], mode)
    with gateway.connect() as client:
        client.send(upload.head + b"".join(upload.chunks[:-1]))
        client.end_sending()
        client.read_to_end()
    assert_nothing_committed(upstream, SIZES[size])
    wait_until(lambda: not gateway.call(lambda: gateway.engine.connections))
    assert spent(gateway) == (0, 0)


@te
@modes
@sizes
def test_bytes_behind_the_end(
    gateway: RunningEngine, upstream: RecordingUpstream, size: str, mode: str, te_chunked: bool
) -> None:
    upload = streaming_upload(gateway.signer, SIZES[size], mode, te_chunked=te_chunked)
    reply = send(gateway, upload.with_more(b"hello"))
    assert (reply.status, reply.code) == (400, "MalformedTrailerError")
    assert_nothing_committed(upstream, SIZES[size])


@modes
@sizes
def test_a_decoded_length_that_is_not_the_payloads(
    gateway: RunningEngine, upstream: RecordingUpstream, size: str, mode: str
) -> None:
    payload = SIZES[size]
    upload = streaming_upload(gateway.signer, payload, mode)
    shorter = streaming_upload(gateway.signer, payload[:-1], mode)
    length = b"Content-Length: %d"
    head = shorter.head.replace(length % len(b"".join(shorter.chunks)), length % len(b"".join(upload.chunks)))
    reply = send(gateway, StreamingUpload(head, upload.chunks, te_chunked=False))
    assert reply.code == ("IncompleteBody" if mode == UNSIGNED_TRAILER else "SignatureDoesNotMatch")  # another seed
    assert_nothing_committed(upstream, payload)


@pytest.mark.parametrize("size", ["small", "large"])
def test_chunks_in_another_order(gateway: RunningEngine, upstream: RecordingUpstream, size: str) -> None:
    upload = streaming_upload(gateway.signer, SIZES[size], SIGNED)
    first, second, *others = upload.chunks
    reply = send(gateway, StreamingUpload(upload.head, [second, first, *others], te_chunked=False))
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")
    assert_nothing_committed(upstream, SIZES[size])


@modes
def test_a_key_revoked_before_the_zero_chunk_commits_nothing(
    gateway: RunningEngine, upstream: RecordingUpstream, mode: str
) -> None:
    upload = streaming_upload(gateway.signer, LARGE, mode)
    with gateway.connect() as client:
        client.send(upload.head + b"".join(upload.chunks[:-1]))
        upstream.wait_for_requests(1)
        gateway.call(gateway.directory.revoke)
        client.send(upload.chunks[-1])
        reply = client.reply()
    assert (reply.status, reply.code) == (403, "InvalidAccessKeyId")
    assert_nothing_committed(upstream, LARGE)


# ---- what is refused before a byte of the body ----


@modes
def test_a_bad_signature_reaches_no_store(gateway: RunningEngine, upstream: RecordingUpstream, mode: str) -> None:
    stranger = replace(gateway.signer, secret_access_key="s" * 40)
    upload = streaming_upload(stranger, LARGE, mode)
    with gateway.connect() as client:
        client.send(upload.head)
        assert client.reply().code == "SignatureDoesNotMatch"
    upstream.assert_untouched()


def test_a_signed_chunk_over_its_limit_is_refused(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, signed_chunk=MIB) as gateway:
        reply = send(gateway, streaming_upload(gateway.signer, LARGE, SIGNED, chunk_size=MIB + 1))
        assert (reply.status, reply.code) == (400, "EntityTooLarge")
        assert not any(request.complete for request in upstream.requests)


@modes
def test_a_streaming_mode_on_what_is_no_upload_is_refused(
    gateway: RunningEngine, upstream: RecordingUpstream, mode: str
) -> None:
    upload = streaming_upload(gateway.signer, b"<Delete/>", mode, method="POST", target="/bucket?delete=")
    reply = send(gateway, upload)
    assert (reply.status, reply.code) == (400, "InvalidRequest")
    upstream.assert_untouched()
