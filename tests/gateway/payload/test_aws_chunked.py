"""The framing, undone: whole, byte by byte, in any cut; what is not the grammar is refused."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.payload.aws_chunked import MAX_TRAILERS, AwsChunkedDecoder
from gateway.s3.errors import Code, S3Error
from gateway.sigv4.chunk_signing import ChunkChain
from gateway.sigv4.signing import keyed_hmac
from tests.support.chunks import ChunkWriter, cut, unsigned

TIMESTAMP = "20261123T101500Z"
SCOPE = "20261123/us-east-1/s3/aws4_request"
SEED = "5" * 64
CRC32 = b"x-amz-checksum-crc32"
PLAIN = ({}, frozenset[bytes]())
TRAILED = ({CRC32: b"AAAAAA=="}, frozenset({CRC32}))


def writer() -> ChunkWriter:
    return ChunkWriter("secret", TIMESTAMP, SCOPE, SEED)


def chain() -> ChunkChain:
    return ChunkChain(keyed_hmac(writer().signing_key()), TIMESTAMP.encode(), SCOPE.encode(), SEED.encode())


def decoder(size: int, *, signed: bool, names: frozenset[bytes] = frozenset(), **limits: int) -> AwsChunkedDecoder:
    return AwsChunkedDecoder(size, signatures=chain() if signed else None, trailer_names=names, **limits)


def decode(decoding: AwsChunkedDecoder, blocks: list[bytes]) -> bytes:
    payload = b"".join(bytes(piece) for block in blocks for piece in decoding.feed(memoryview(block)))
    decoding.finish()
    assert decoding.verified == decoding.decoded == len(payload)
    return payload


def refusal(decoding: AwsChunkedDecoder, *blocks: bytes) -> Code:
    with pytest.raises(S3Error) as caught:
        decode(decoding, list(blocks))
    return caught.value.code


def framed(body: bytes, size: int, *, signed: bool, trailed: bool) -> bytes:
    trailers = {CRC32: b"AAAAAA=="} if trailed else None
    return writer().body(cut(body, size), trailers) if signed else unsigned(cut(body, size), trailers)


@pytest.mark.parametrize("trailed", [False, True])
@pytest.mark.parametrize("signed", [False, True])
@given(body=st.binary(max_size=300), size=st.integers(1, 400), step=st.integers(1, 700))
def test_the_payload_comes_out_however_it_is_cut(
    signed: bool, trailed: bool, body: bytes, size: int, step: int
) -> None:
    names = frozenset({CRC32}) if trailed else frozenset[bytes]()
    sent = framed(body, size, signed=signed, trailed=trailed)
    assert decode(decoder(len(body), signed=signed, names=names), cut(sent, step)) == body


@pytest.mark.parametrize("signed", [False, True])
@given(body=st.binary(max_size=200), data=st.data())
def test_no_truncation_is_taken_for_the_whole(signed: bool, body: bytes, data: st.DataObject) -> None:
    sent = framed(body, 64, signed=signed, trailed=True)
    shortened = sent[: data.draw(st.integers(0, len(sent) - 1))]
    assert refusal(decoder(len(body), signed=signed, names=frozenset({CRC32})), shortened) in {
        Code.INCOMPLETE_BODY,
        Code.MALFORMED_TRAILER_ERROR,
    }


@given(body=st.binary(min_size=1, max_size=200), data=st.data())
def test_any_changed_byte_of_a_signed_body_is_refused(body: bytes, data: st.DataObject) -> None:
    sent = bytearray(framed(body, 64, signed=True, trailed=True))
    place = data.draw(st.integers(0, len(sent) - 1))
    flipped = sent[place] ^ data.draw(st.integers(1, 255))
    if chr(sent[place]).lower() == chr(flipped).lower() and chr(flipped).isalpha():
        return  # the size in capitals, a trailer's name in capitals: the same message
    sent[place] = flipped
    names = frozenset({CRC32})
    try:
        decoded = decode(decoder(len(body), signed=True, names=names), [bytes(sent)])
    except S3Error:
        return
    assert decoded == body  # white space around a trailer's value is not signed, and is not the body either
    assert chr(flipped) in "\t "


@pytest.mark.parametrize("rest", [b"x", b"\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize("trailed", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_what_follows_the_end_is_refused(signed: bool, trailed: bool, rest: bytes) -> None:
    names = frozenset({CRC32}) if trailed else frozenset[bytes]()
    sent = framed(b"body", 64, signed=signed, trailed=trailed)
    for blocks in ([sent + rest], [sent, rest], cut(sent + rest, 1)):
        assert refusal(decoder(4, signed=signed, names=names), *blocks) is Code.MALFORMED_TRAILER_ERROR


def test_what_follows_the_last_chunk_is_bounded() -> None:
    decoding = decoder(0, signed=False)
    decoding.feed(b"0\r\n" + b"a" * MAX_TRAILERS)
    with pytest.raises(S3Error):
        decoding.feed(b"a")


@pytest.mark.parametrize(
    "line",
    [
        *(b"+4", b"-4", b"0x4", b" 4", b"4 ", b"4_0", b"", b"g", b"4;", b"4;x=y", b"4;chunk-signature=", b"\xd9\xa4"),
        *(b"00000000000000004", b"4;chunk-signature=" + b"a" * 64, b"4\r", b"4\n"),
    ],
)
def test_a_line_that_is_no_size_is_refused(line: bytes) -> None:
    sent = line + b"\r\nbody\r\n0\r\n\r\n"
    for blocks in ([sent], cut(sent, 1)):
        assert refusal(decoder(4, signed=False), *blocks) is Code.INCOMPLETE_BODY


@pytest.mark.parametrize(
    "line",
    [
        b"4",
        b"4;chunk-signature=" + b"a" * 63,
        b"4;chunk-signature=" + b"A" * 64,
        b"4;chunk-signature=" + b"a" * 65,
        b"4;chunk-signature=" + b"a" * 64 + b";x=y",
        b"4; chunk-signature=" + b"a" * 64,
    ],
)
def test_a_signed_chunk_without_a_signature_is_refused(line: bytes) -> None:
    assert refusal(decoder(4, signed=True), line + b"\r\nbody\r\n0\r\n\r\n") is Code.INCOMPLETE_BODY


def test_an_endless_line_is_refused_at_once() -> None:
    decoding = decoder(4, signed=False)
    with pytest.raises(S3Error):
        decoding.feed(b"0" * 128)


def test_a_chunk_must_end_where_it_said() -> None:
    assert refusal(decoder(5, signed=False), b"4\r\nbodyX\r\n0\r\n\r\n") is Code.INCOMPLETE_BODY


@pytest.mark.parametrize("announced", [3, 5])
@pytest.mark.parametrize("signed", [False, True])
def test_another_length_than_announced_is_refused(signed: bool, announced: int) -> None:
    sent = framed(b"body", 2, signed=signed, trailed=False)
    assert refusal(decoder(announced, signed=signed), sent) is Code.INCOMPLETE_BODY


def test_more_than_announced_is_refused_before_it_comes() -> None:
    decoding = decoder(4, signed=False)
    with pytest.raises(S3Error):
        decoding.feed(b"ffffffffffffffff\r\n")
    assert decoding.decoded == 0


def test_a_garbage_chunk_signature_is_refused_and_nothing_of_the_chunk_verified() -> None:
    sent = b"4;chunk-signature=" + b"a" * 64 + b"\r\nbody"
    decoding = decoder(4, signed=True)
    with pytest.raises(S3Error) as caught:
        decoding.feed(sent)
    assert caught.value.code is Code.SIGNATURE_DOES_NOT_MATCH
    assert decoding.verified == 0


def test_nothing_of_a_signed_chunk_is_verified_before_its_last_byte() -> None:
    sent = writer().body([b"first", b"second"])
    decoding = decoder(11, signed=True)
    end = sent.index(b"second") + 5
    decoding.feed(sent[:end])
    assert (decoding.decoded, decoding.verified) == (10, 5)
    decoding.feed(sent[end : end + 1])
    assert decoding.verified == 11


def test_a_garbage_signature_of_the_zero_chunk_is_refused() -> None:
    sent = writer().body([b"body"])
    cut_off = sent.rindex(b"0;chunk-signature=")
    assert (
        refusal(decoder(4, signed=True), sent[:cut_off] + b"0;chunk-signature=" + b"a" * 64 + b"\r\n\r\n")
        is Code.SIGNATURE_DOES_NOT_MATCH
    )


def test_a_signed_chunk_over_its_limit_is_refused_before_its_data() -> None:
    sent = writer().body([b"x" * 101])
    decoding = decoder(101, signed=True, signed_chunk=100)
    with pytest.raises(S3Error) as caught:
        decoding.feed(sent[:120])
    assert (caught.value.code, decoding.decoded) == (Code.ENTITY_TOO_LARGE, 0)


def test_an_unsigned_chunk_has_no_limit() -> None:
    assert decode(decoder(101, signed=False, signed_chunk=100), [unsigned([b"x" * 101])]) == b"x" * 101


@pytest.mark.parametrize("ending", [b"\r\n", b"\n", b"\n\r\n"])
def test_a_trailer_ends_as_sdks_end_it(ending: bytes) -> None:
    decoding = decoder(1, signed=False, names=frozenset({CRC32}))
    decoding.feed(b"1\r\nx\r\n0\r\nX-Amz-Checksum-CRC32: AAAAAA== " + ending + b"\r\n")
    assert decoding.finish() == {CRC32: b"AAAAAA=="}


@pytest.mark.parametrize(
    "tail",
    [
        b"\r\n",
        b"x-amz-checksum-crc32:AAAAAA==",
        b"x-amz-checksum-crc32:AAAAAA==\r\n",
        b"x-amz-checksum-crc32\r\n\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-checksum-sha1:AAAAAA==\r\n\r\n",
        b"x-amz-checksum-sha1:AAAAAA==\r\n\r\n",
        b"x-amz-checksum-crc32 :AAAAAA==\r\n\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\rx:y\r\n\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n\r\n",
        b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:" + b"a" * 64 + b"\r\n\r\n",
    ],
)
def test_other_trailers_than_announced_are_refused(tail: bytes) -> None:
    decoding = decoder(1, signed=False, names=frozenset({CRC32}))
    assert refusal(decoding, b"1\r\nx\r\n0\r\n" + tail) is Code.MALFORMED_TRAILER_ERROR


def test_a_trailer_nobody_announced_is_refused() -> None:
    sent = unsigned([b"x"], {CRC32: b"AAAAAA=="})
    assert refusal(decoder(1, signed=False), sent) is Code.MALFORMED_TRAILER_ERROR


@pytest.mark.parametrize("signature", [b"", b"x-amz-trailer-signature:" + b"A" * 64 + b"\r\n"])
def test_signed_trailers_need_their_signature(signature: bytes) -> None:
    sent = writer().body([b"x"]).removesuffix(b"\r\n") + b"x-amz-checksum-crc32:AAAAAA==\r\n" + signature + b"\r\n"
    assert refusal(decoder(1, signed=True, names=frozenset({CRC32})), sent) is Code.MALFORMED_TRAILER_ERROR


def test_a_garbage_signature_of_the_trailers_is_refused() -> None:
    sent = framed(b"x", 1, signed=True, trailed=True)
    wrong = sent.replace(b"AAAAAA==", b"BAAAAA==")
    assert refusal(decoder(1, signed=True, names=frozenset({CRC32})), wrong) is Code.SIGNATURE_DOES_NOT_MATCH


@given(sent=st.binary(max_size=200))
def test_arbitrary_bytes_raise_documented_errors_only(sent: bytes) -> None:
    for signed in (False, True):
        with pytest.raises(S3Error) as caught:
            decode(decoder(1 << 60, signed=signed), [sent])
        assert caught.value.code in {Code.INCOMPLETE_BODY, Code.SIGNATURE_DOES_NOT_MATCH, Code.ENTITY_TOO_LARGE}


def test_the_digest_of_a_large_chunk_is_that_of_its_bytes() -> None:
    body = hashlib.sha256(b"seed").digest() * 40_000
    assert decode(decoder(len(body), signed=True), cut(writer().body([body]), 65_536)) == body
