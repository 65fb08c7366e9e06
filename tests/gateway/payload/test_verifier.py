import base64
import hashlib

import pytest

from gateway.payload.checksums import ALGORITHMS
from gateway.payload.mode import read_payload
from gateway.payload.verifier import BodyVerifier, body_verifier
from gateway.s3.errors import Code, S3Error
from tests.support.admitted import parsed

BODY = b"the body"
SHA256 = hashlib.sha256(BODY).hexdigest().encode()


def verifier(
    headers: dict[str, str] | None = None, line: bytes = b"UNSIGNED-PAYLOAD", *, checksum: bool = True
) -> BodyVerifier:
    return body_verifier(parsed("PUT", "/bucket/key", headers or {}), read_payload(line), checksum_in_headers=checksum)


def declared(algorithm: bytes, body: bytes = BODY) -> dict[str, str]:
    digest = ALGORITHMS[algorithm][1]()
    digest.update(body)
    return {f"x-amz-checksum-{algorithm.decode()}": base64.b64encode(digest.digest()).decode()}


def outcome(checked: BodyVerifier, *blocks: bytes) -> Code | None:
    for block in blocks:
        checked.update(memoryview(block))
    try:
        checked.finish()
    except S3Error as error:
        return error.code
    return None


def refusal(headers: dict[str, str]) -> Code:
    with pytest.raises(S3Error) as caught:
        verifier(headers)
    return caught.value.code


def test_a_body_that_declares_nothing_passes() -> None:
    assert outcome(verifier(), BODY) is None


@pytest.mark.parametrize("blocks", [(BODY,), (b"the", b" ", b"body"), tuple(bytes([byte]) for byte in BODY)])
def test_the_right_hash_holds_however_the_body_is_cut(blocks: tuple[bytes, ...]) -> None:
    assert outcome(verifier(line=SHA256), *blocks) is None


@pytest.mark.parametrize("body", [b"", b"the bodz", b"the body ", b"The body"])
def test_another_body_does_not_hold(body: bytes) -> None:
    assert outcome(verifier(line=SHA256), body) is Code.XAMZ_CONTENT_SHA256_MISMATCH


def test_the_mismatch_names_both_hashes() -> None:
    checked = verifier(line=SHA256)
    with pytest.raises(S3Error) as caught:
        checked.finish()
    empty = hashlib.sha256(b"").hexdigest()
    assert caught.value.extra == (
        ("ClientComputedContentSHA256", SHA256.decode()),
        ("S3ComputedContentSHA256", empty),
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_checksum_holds_for_its_body_only(algorithm: bytes) -> None:
    assert outcome(verifier(declared(algorithm)), BODY) is None
    assert outcome(verifier(declared(algorithm)), BODY + b"x") is Code.BAD_DIGEST


def test_content_md5_holds_for_its_body_only() -> None:
    headers = {"content-md5": base64.b64encode(hashlib.md5(BODY).digest()).decode()}
    assert outcome(verifier(headers), BODY) is None
    assert outcome(verifier(headers), b"x") is Code.BAD_DIGEST


@pytest.mark.parametrize("value", ["", "x", "AAAA", "not base64!", "é", base64.b64encode(b"a" * 15).decode()])
def test_a_content_md5_that_is_none_is_refused_before_the_body(value: str) -> None:
    assert refusal({"content-md5": value}) is Code.INVALID_DIGEST


@pytest.mark.parametrize("value", ["", "AAAA", "not base64!", "AAAAAAAAAAA=", " AAAAAA=="])
def test_a_checksum_of_another_form_is_refused_before_the_body(value: str) -> None:
    assert refusal({"x-amz-checksum-crc32": value}) is Code.INVALID_REQUEST


def test_two_checksums_are_refused() -> None:
    assert refusal(declared(b"crc32") | declared(b"sha1")) is Code.INVALID_REQUEST


def test_an_unknown_algorithm_is_501_never_skipped() -> None:
    assert refusal({"x-amz-checksum-crc99": "AAAA"}) is Code.NOT_IMPLEMENTED
    assert refusal({"x-amz-sdk-checksum-algorithm": "CRC99"}) is Code.NOT_IMPLEMENTED


def test_the_named_algorithm_agrees_with_the_checksum() -> None:
    assert outcome(verifier(declared(b"crc32") | {"x-amz-sdk-checksum-algorithm": "CRC32"}), BODY) is None
    assert refusal(declared(b"crc32") | {"x-amz-sdk-checksum-algorithm": "SHA1"}) is Code.INVALID_REQUEST
    assert refusal({"x-amz-sdk-checksum-algorithm": "CRC32"}) is Code.INVALID_REQUEST


@pytest.mark.parametrize("name", ["algorithm", "type", "mode"])
def test_what_speaks_about_checksums_is_none(name: str) -> None:
    assert outcome(verifier({f"x-amz-checksum-{name}": "x"} | declared(b"crc32")), BODY) is None


def test_a_checksum_that_is_the_objects_is_not_the_bodys() -> None:
    assert outcome(verifier(declared(b"crc32", b"another"), checksum=False), BODY) is None


CRC32 = b"x-amz-checksum-crc32"


def trailed(headers: dict[str, str] | None = None) -> BodyVerifier:
    request = parsed("PUT", "/bucket/key", headers or {})
    checked = body_verifier(request, read_payload(b"UNSIGNED-PAYLOAD"), checksum_in_headers=True, trailer=CRC32)
    checked.update(BODY)
    return checked


def test_a_checksum_behind_the_body_holds_for_its_body_only() -> None:
    right = declared(b"crc32")["x-amz-checksum-crc32"].encode()
    trailed().finish({CRC32: right})
    trailed({"x-amz-sdk-checksum-algorithm": "CRC32"}).finish({CRC32: right})
    with pytest.raises(S3Error) as caught:
        trailed().finish({CRC32: declared(b"crc32", b"other")["x-amz-checksum-crc32"].encode()})
    assert caught.value.code is Code.BAD_DIGEST


@pytest.mark.parametrize("trailers", [{}, {CRC32: b""}, {CRC32: b"AAAA"}, {CRC32: b"not base64"}])
def test_a_trailer_that_is_no_digest_is_refused(trailers: dict[bytes, bytes]) -> None:
    with pytest.raises(S3Error) as caught:
        trailed().finish(trailers)
    assert caught.value.code is Code.MALFORMED_TRAILER_ERROR


def test_a_trailer_beside_a_checksum_is_refused() -> None:
    for headers in (declared(b"sha1"), {"x-amz-sdk-checksum-algorithm": "SHA1"}):
        with pytest.raises(S3Error) as caught:
            trailed(headers)
        assert caught.value.code is Code.INVALID_REQUEST
