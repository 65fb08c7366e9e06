"""AWS's published examples, every intermediate signature: sigv4-streaming and sigv4-streaming-trailers."""

import hashlib

import pytest

from gateway.s3.errors import Code, S3Error
from gateway.sigv4.chunk_signing import ChunkChain
from gateway.sigv4.signing import keyed_hmac
from keystore.derived import derive_date_key, derive_signing_key
from tests.support.chunks import ChunkWriter

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TIMESTAMP = b"20130524T000000Z"
SCOPE = b"20130524/us-east-1/s3/aws4_request"
KIB = 1024

SEED = b"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
CHUNKS = [
    (b"a" * 64 * KIB, b"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (b"a" * KIB, b"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (b"", b"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
]
TRAILED_SEED = b"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILED = [
    (b"a" * 64 * KIB, b"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
    (b"a" * KIB, b"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
    (b"", b"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
]
TRAILER = (b"x-amz-checksum-crc32c:sOO8/Q==\n", b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435")


def chain(seed: bytes) -> ChunkChain:
    date_key = derive_date_key(SECRET.encode(), b"20130524")
    return ChunkChain(keyed_hmac(derive_signing_key(date_key, b"us-east-1", b"s3")), TIMESTAMP, SCOPE, seed)


def sha256(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def test_the_published_chunks_hold() -> None:
    checked = chain(SEED)
    for data, signature in CHUNKS:
        checked.check_chunk(sha256(data), signature)


def test_the_published_trailers_hold() -> None:
    checked = chain(TRAILED_SEED)
    for data, signature in TRAILED:
        checked.check_chunk(sha256(data), signature)
    checked.check_trailers(sha256(TRAILER[0]), TRAILER[1])


def test_the_tests_own_writer_makes_the_published_signatures() -> None:
    writer = ChunkWriter(SECRET, TIMESTAMP.decode(), SCOPE.decode(), TRAILED_SEED.decode())
    body = writer.body([data for data, _ in TRAILED[:2]], {b"x-amz-checksum-crc32c": b"sOO8/Q=="})
    assert all(signature in body for _, signature in (*TRAILED, TRAILER))


@pytest.mark.parametrize("number", range(3))
def test_a_chunk_with_another_signature_does_not_hold(number: int) -> None:
    checked = chain(SEED)
    for data, signature in CHUNKS[:number]:
        checked.check_chunk(sha256(data), signature)
    data, signature = CHUNKS[number]
    with pytest.raises(S3Error) as caught:
        checked.check_chunk(sha256(data + b"x"), signature)
    assert caught.value.code is Code.SIGNATURE_DOES_NOT_MATCH
    assert signature.decode() not in f"{caught.value!r}{caught.value.reason}{caught.value.message}"


def test_a_chunk_holds_in_its_place_only() -> None:
    with pytest.raises(S3Error):
        chain(SEED).check_chunk(sha256(CHUNKS[1][0]), CHUNKS[1][1])
    with pytest.raises(S3Error):
        chain(TRAILED_SEED).check_chunk(sha256(CHUNKS[0][0]), CHUNKS[0][1])


def test_trailers_do_not_hold_before_the_chunks() -> None:
    with pytest.raises(S3Error):
        chain(TRAILED_SEED).check_trailers(sha256(TRAILER[0]), TRAILER[1])


def test_the_chain_shows_nothing() -> None:
    assert repr(chain(SEED)) == "ChunkChain(<hidden>)"
