import pytest

from gateway.payload.mode import PayloadMode, read_payload
from gateway.s3.errors import Code, S3Error


def test_a_hash_is_lower_cased() -> None:
    assert read_payload(b"AbCd" * 16) == (PayloadMode.SHA256, b"abcd" * 16)


def test_unsigned_declares_nothing() -> None:
    assert read_payload(b"UNSIGNED-PAYLOAD") == (PayloadMode.UNSIGNED, None)


@pytest.mark.parametrize(
    "mode",
    [PayloadMode.SIGNED_CHUNKS, PayloadMode.SIGNED_CHUNKS_TRAILER, PayloadMode.UNSIGNED_CHUNKS_TRAILER],
)
def test_a_chunked_mode_declares_no_hash(mode: PayloadMode) -> None:
    assert read_payload(mode.value) == (mode, None)


@pytest.mark.parametrize("mode", [PayloadMode.ECDSA_CHUNKS, PayloadMode.ECDSA_CHUNKS_TRAILER])
def test_the_chunks_of_sigv4a_are_501_and_named(mode: PayloadMode) -> None:
    with pytest.raises(S3Error) as caught:
        read_payload(mode.value)
    assert caught.value.code is Code.NOT_IMPLEMENTED
    assert mode.value.decode() in caught.value.message


@pytest.mark.parametrize("line", [b"", b"a" * 63, b"a" * 65, b"g" * 64, b"unsigned-payload", b"STREAMING-X", b"sha256"])
def test_anything_else_is_400(line: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        read_payload(line)
    assert caught.value.code is Code.INVALID_ARGUMENT
