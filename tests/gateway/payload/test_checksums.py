import base64
import hashlib

import pytest
from botocore.httpchecksum import Crc32Checksum, CrtCrc32cChecksum, CrtCrc64NvmeChecksum
from hypothesis import given
from hypothesis import strategies as st

from gateway.payload.checksums import ALGORITHMS

# The check value of each algorithm: its digest of these nine bytes.
NINE = b"123456789"
KNOWN = {
    b"crc32": "cbf43926",
    b"crc32c": "e3069283",
    b"crc64nvme": "ae8b14860a799888",
    b"sha1": hashlib.sha1(NINE).hexdigest(),
    b"sha256": hashlib.sha256(NINE).hexdigest(),
    b"sha512": hashlib.sha512(NINE).hexdigest(),
    b"md5": hashlib.md5(NINE).hexdigest(),
    b"xxhash64": "8cb841db40e6ae83",
    b"xxhash3": None,
    b"xxhash128": None,
}


def digest(algorithm: bytes, *blocks: bytes | bytearray | memoryview) -> bytes:
    begun = ALGORITHMS[algorithm][1]()
    for block in blocks:
        begun.update(block)
    return begun.digest()


def test_every_algorithm_of_the_s3_model_is_here() -> None:
    assert set(ALGORITHMS) == set(KNOWN)


@pytest.mark.parametrize("algorithm", [name for name, value in KNOWN.items() if value])
def test_the_check_value_is_right(algorithm: bytes) -> None:
    assert digest(algorithm, NINE).hex() == KNOWN[algorithm]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_digest_has_the_declared_size(algorithm: bytes) -> None:
    assert len(digest(algorithm, NINE)) == len(digest(algorithm)) == ALGORITHMS[algorithm][0]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_block_is_taken(algorithm: bytes, kind: type) -> None:
    assert digest(algorithm, kind(NINE)) == digest(algorithm, NINE)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(body=st.binary(max_size=200), cut=st.integers(0, 200))
def test_any_split_digests_the_same(algorithm: bytes, body: bytes, cut: int) -> None:
    whole = digest(algorithm, body)
    assert digest(algorithm, body[:cut], body[cut:]) == whole
    assert digest(algorithm, *(body[place : place + 1] for place in range(len(body)))) == whole


@pytest.mark.parametrize(
    ("algorithm", "judge"),
    [(b"crc32", Crc32Checksum), (b"crc32c", CrtCrc32cChecksum), (b"crc64nvme", CrtCrc64NvmeChecksum)],
)
def test_botocore_computes_the_same(algorithm: bytes, judge: type) -> None:
    body = bytes(range(256)) * 40
    checksum = judge()
    checksum.update(body)
    assert base64.b64encode(digest(algorithm, body)) == base64.b64encode(checksum.digest())
