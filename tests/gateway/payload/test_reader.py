"""A body read as its head announces it: unframed, in chunks, signed or not, with a trailer or without."""

import hashlib

import pytest

from gateway.payload.mode import read_payload
from gateway.payload.reader import PayloadReader, open_payload
from gateway.s3.errors import Code, S3Error
from tests.support.admitted import parsed
from tests.support.chunks import unsigned
from tests.support.streaming import CRC32, SIGNED, UNSIGNED_TRAILER, crc32

BODY = b"the payload"
SHA256 = hashlib.sha256(BODY).hexdigest()


class Accepting:
    """A chain in which every signature holds."""

    def check_chunk(self, sha256: bytes, signature: bytes) -> None: ...
    def check_trailers(self, sha256: bytes, signature: bytes) -> None: ...


def reader(
    mode: str, headers: dict[str, str] | None = None, length: int | None = None, *, signed: bool = False
) -> PayloadReader:
    return open_payload(
        parsed("PUT", "/bucket/k", headers or {}),
        read_payload(mode.encode()),
        length,
        Accepting() if signed else None,
        checksum_in_headers=True,
        signed_chunk=1000,
    )


def framed_headers(**more: str) -> dict[str, str]:
    return {
        "x-amz-decoded-content-length": str(len(BODY)),
        "x-amz-trailer": CRC32.decode(),
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


def text(pieces: list[bytes]) -> bytes:
    return b"".join(bytes(piece) for piece in pieces)


def test_an_unframed_body_is_its_payload() -> None:
    opened = reader(SHA256, length=len(BODY))
    assert (opened.length, opened.framed, opened.signed, opened.trailer) == (len(BODY), False, False, None)
    assert opened.feed(BODY) == [BODY]
    assert not opened.all_decoded
    assert opened.finish() == {}


def test_an_unframed_body_of_unknown_length_is_read_too() -> None:
    opened = reader(SHA256)
    assert opened.length is None
    opened.feed(BODY)
    opened.finish()


def test_an_unframed_body_that_is_another_does_not_hold() -> None:
    opened = reader(SHA256)
    opened.feed(b"another")
    with pytest.raises(S3Error) as caught:
        opened.finish()
    assert caught.value.code is Code.XAMZ_CONTENT_SHA256_MISMATCH


def test_a_framed_body_has_the_decoded_length_whatever_http_says() -> None:
    opened = reader(UNSIGNED_TRAILER, framed_headers(), length=12345)
    assert (opened.length, opened.framed, opened.signed, opened.trailer) == (len(BODY), True, False, CRC32)


def test_a_framed_body_gives_its_payload_and_its_trailer() -> None:
    opened = reader(UNSIGNED_TRAILER, framed_headers())
    body = unsigned([BODY], {CRC32: crc32(BODY)})
    got = text(opened.feed(body[:9]))
    assert opened.verified == len(got) > 0
    assert not opened.all_decoded
    assert got + text(opened.feed(body[9:])) == BODY
    assert opened.all_decoded
    assert opened.finish() == {CRC32: crc32(BODY)}


def test_the_trailer_is_compared_with_the_payload() -> None:
    opened = reader(UNSIGNED_TRAILER, framed_headers())
    opened.feed(unsigned([BODY], {CRC32: crc32(b"another")}))
    with pytest.raises(S3Error) as caught:
        opened.finish()
    assert caught.value.code is Code.BAD_DIGEST


def test_what_a_header_declares_is_compared_with_the_payload_not_with_its_frames() -> None:
    headers = {"x-amz-decoded-content-length": str(len(BODY)), "content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    opened = reader(SIGNED, headers, signed=True)
    signature = b"0" * 64
    frame = b"%x;chunk-signature=%b\r\n%b\r\n0;chunk-signature=%b\r\n\r\n" % (len(BODY), signature, BODY, signature)
    assert text(opened.feed(frame)) == BODY
    with pytest.raises(S3Error) as caught:
        opened.finish()
    assert caught.value.code is Code.BAD_DIGEST


def test_of_signed_chunks_only_whole_ones_are_verified() -> None:
    opened = reader(SIGNED, {"x-amz-decoded-content-length": str(len(BODY))}, signed=True)
    assert opened.signed
    line = b"%x;chunk-signature=%b\r\n" % (len(BODY), b"0" * 64)
    opened.feed(line + BODY[:-1])
    assert opened.verified == 0
    opened.feed(BODY[-1:])
    assert opened.verified == len(BODY)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-trailer": CRC32.decode()}, Code.MISSING_CONTENT_LENGTH),
        (framed_headers(x_amz_checksum_crc32="AAAAAA=="), Code.INVALID_REQUEST),
        ({"x-amz-decoded-content-length": "1", "x-amz-trailer": "x-amz-checksum-crc99"}, Code.NOT_IMPLEMENTED),
        ({"x-amz-decoded-content-length": "1", "x-amz-trailer": "x-amz-meta-a"}, Code.MALFORMED_TRAILER_ERROR),
    ],
)
def test_what_is_declared_wrongly_is_refused_before_the_body(headers: dict[str, str], code: Code) -> None:
    with pytest.raises(S3Error) as caught:
        reader(UNSIGNED_TRAILER, headers)
    assert caught.value.code is code
