"""Frames whose length is known before their first byte; judged by our own decoder and by botocore's framing."""

import base64
import io

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import given
from hypothesis import strategies as st

from gateway.payload.aws_chunked import AwsChunkedDecoder
from gateway.payload.checksums import ALGORITHMS
from gateway.payload.declared import CHECKSUM
from gateway.payload.reframe import CHUNK, Reframer, reframed_length
from tests.support.chunks import cut

CRC32 = b"x-amz-checksum-crc32"


def framed(payload: bytes, cuts: int, trailer: bytes, value: bytes) -> bytes:
    reframer = Reframer(len(payload), trailer)
    return b"".join([reframer.frame(piece) for piece in cut(payload, cuts)]) + reframer.end(value)


@pytest.mark.parametrize("size", [1, 15, 16, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17])
def test_the_length_is_what_was_said_and_the_frames_are_boto3s(size: int) -> None:
    payload = bytes(size)
    checksum = Crc32Checksum()
    checksum.update(payload)
    ours = framed(payload, 262144, CRC32, checksum.b64digest().encode())
    assert len(ours) == reframed_length(size, CRC32)
    theirs = AwsChunkedWrapper(
        io.BytesIO(payload), checksum_cls=Crc32Checksum, checksum_name="x-amz-checksum-crc32", chunk_size=CHUNK
    )
    assert ours == theirs.read()


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_the_length_is_right_for_every_algorithm(algorithm: bytes) -> None:
    digest = base64.b64encode(ALGORITHMS[algorithm][1]().digest())
    trailer = CHECKSUM + algorithm
    assert len(framed(b"x", 1, trailer, digest)) == reframed_length(1, trailer)


@given(size=st.integers(1, 2 * CHUNK + 100), cuts=st.integers(50_000, 3 * CHUNK))
def test_in_any_cut_the_decoder_gives_the_payload_back(size: int, cuts: int) -> None:
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    body = framed(payload, cuts, CRC32, b"AAAAAA==")
    decoder = AwsChunkedDecoder(len(payload), trailer_names=frozenset({CRC32}))
    assert b"".join(bytes(piece) for piece in decoder.feed(body)) == payload
    assert decoder.finish() == {CRC32: b"AAAAAA=="}
