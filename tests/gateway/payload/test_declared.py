import pytest

from gateway.payload.checksums import ALGORITHMS
from gateway.payload.declared import announced_trailer, decoded_length
from gateway.payload.mode import read_payload
from gateway.s3.errors import Code, S3Error
from gateway.s3.request import S3Request
from tests.support.admitted import parsed

TRAILED = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def request(**headers: str) -> S3Request:
    return parsed("PUT", "/bucket/key", {name.replace("_", "-"): value for name, value in headers.items()})


def refusal(sent: S3Request, line: bytes = TRAILED) -> Code:
    with pytest.raises(S3Error) as caught:
        announced_trailer(sent, read_payload(line))
    return caught.value.code


def test_the_decoded_length_is_a_decimal_number() -> None:
    assert decoded_length(request(x_amz_decoded_content_length="007")) == 7
    for value in ("", "-1", "+1", " 1", "1_0", "0x1", "1" * 20, "\u00b2"):
        with pytest.raises(S3Error) as caught:
            decoded_length(request(x_amz_decoded_content_length=value))
        assert caught.value.code is Code.INVALID_ARGUMENT


def test_without_a_decoded_length_it_is_411() -> None:
    with pytest.raises(S3Error) as caught:
        decoded_length(request())
    assert caught.value.code is Code.MISSING_CONTENT_LENGTH


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_trailer_names_one_checksum(algorithm: bytes) -> None:
    name = "x-amz-checksum-" + algorithm.decode()
    assert announced_trailer(request(x_amz_trailer=name.upper()), read_payload(TRAILED)) == name.encode()


def test_only_the_modes_with_trailers_announce_one() -> None:
    assert announced_trailer(request(), read_payload(b"UNSIGNED-PAYLOAD")) is None
    sent = request(x_amz_trailer="x-amz-checksum-crc32")
    assert refusal(sent, b"UNSIGNED-PAYLOAD") is Code.MALFORMED_TRAILER_ERROR
    assert refusal(sent, b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD") is Code.MALFORMED_TRAILER_ERROR


def test_a_mode_with_trailers_must_announce_one() -> None:
    assert refusal(request()) is Code.MALFORMED_TRAILER_ERROR
    assert refusal(request(x_amz_trailer="")) is Code.MALFORMED_TRAILER_ERROR
    assert refusal(request(x_amz_trailer="x-amz-meta-a")) is Code.MALFORMED_TRAILER_ERROR


def test_two_trailers_are_refused() -> None:
    assert refusal(request(x_amz_trailer="x-amz-checksum-crc32, x-amz-checksum-sha1")) is Code.INVALID_REQUEST


def test_an_unknown_algorithm_is_501() -> None:
    assert refusal(request(x_amz_trailer="x-amz-checksum-crc99")) is Code.NOT_IMPLEMENTED
