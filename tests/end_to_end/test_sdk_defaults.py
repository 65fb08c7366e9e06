"""boto3 as it is, over https: what it sends, what the store gets, and that old stores are no obstacle."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bodies import MIB, blocks, body_of
from tests.support.gateway_process import Gateway
from tests.support.house import House, on_stores, strict_gateway
from tests.support.recording_upstream import RecordingUpstream
from tests.support.strict_store import StrictStore

SIZES = (0, 1, MIB, 8 * MIB + 1, 100 * MIB)


class Stream:
    """A body that is read, of which nothing is whole in memory."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._blocks = blocks(size)
        self._rest = b""
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            self._rest = next(self._blocks, b"")
        piece, self._rest = self._rest[:size], self._rest[size:]
        self._at += len(piece)
        return piece

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Only what boto3 asks for: how long is it, and back to the beginning."""
        self._at = self._size if whence == 2 else offset
        if self._at == 0:
            self._blocks, self._rest = blocks(self._size), b""
        return self._at


def md5_of(size: int) -> str:
    digest = hashlib.md5()
    for block in blocks(size):
        digest.update(block)
    return digest.hexdigest()


@on_stores("seaweedfs", "rclone", "moto")
@pytest.mark.parametrize("size", SIZES)
def test_an_upload_over_https_is_what_the_store_holds(
    house: House, store_name: str, direct: Any, bucket: str, size: int
) -> None:
    secured = house.secured(store_name)
    put = secured.s3.put_object(Bucket=bucket, Key="k", Body=Stream(size), ContentLength=size)
    assert put["ETag"] == f'"{md5_of(size)}"'
    head = direct.head_object(Bucket=bucket, Key="k")
    assert (head["ETag"], head["ContentLength"]) == (put["ETag"], size)
    assert "aws-chunked" not in head.get("ContentEncoding", "")
    got = secured.s3.get_object(Bucket=bucket, Key="k")["Body"]
    digest = hashlib.md5()
    for block in iter(lambda: got.read(MIB), b""):
        digest.update(block)
    assert digest.hexdigest() == md5_of(size)


@on_stores("seaweedfs")
def test_a_hundred_mebibytes_over_https_cost_less_than_32_mib(house: House, store_name: str, bucket: str) -> None:
    secured = house.secured(store_name)
    secured.s3.put_object(Bucket=bucket, Key="warm", Body=Stream(9 * MIB), ContentLength=9 * MIB)
    with secured.gateway.memory_watch() as memory:
        secured.s3.put_object(Bucket=bucket, Key="k", Body=Stream(100 * MIB), ContentLength=100 * MIB)
    assert memory.growth < 32 * MIB


@on_stores("seaweedfs")
def test_files_over_https_in_parts_are_what_the_store_holds(
    house: House, store_name: str, direct: Any, bucket: str, tmp_path: Path
) -> None:
    """Twenty parts at once, each with its checksum in a trailer."""
    body = body_of(160 * MIB)
    file = tmp_path / "large"
    file.write_bytes(body)
    house.secured(store_name).s3.upload_file(str(file), bucket, "k")
    assert direct.get_object(Bucket=bucket, Key="k")["Body"].read() == body


# ---- a store that is strict ----


@pytest.fixture(scope="module")
def strict() -> StrictStore:
    return StrictStore()


@pytest.fixture(scope="module")
def upstream(strict: StrictStore) -> Iterator[RecordingUpstream]:
    with RecordingUpstream(strict) as opened:
        yield opened


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: RecordingUpstream) -> Iterator[Gateway]:
    with strict_gateway(tmp_path_factory.mktemp("strict"), upstream) as opened:
        yield opened


@pytest.fixture
def s3(gateway: Gateway) -> Iterator[Any]:
    with gateway.boto3(gateway.create_key()) as client:
        yield client


@pytest.mark.server
@pytest.mark.xdist_group("strict")
@pytest.mark.parametrize("size", SIZES)
def test_a_strict_store_gets_a_length_and_no_frames(
    s3: Any, strict: StrictStore, upstream: RecordingUpstream, size: int
) -> None:
    upstream.reset(strict)
    assert s3.put_object(Bucket="aaa", Key="k", Body=Stream(size), ContentLength=size)["ETag"] == f'"{md5_of(size)}"'
    request = upstream.only_request()
    assert request.header(b"content-length") == b"%d" % size
    assert not request.header(b"x-amz-content-sha256").startswith(b"STREAMING-")
    for name in (b"transfer-encoding", b"content-encoding", b"x-amz-trailer", b"te", b"trailer"):
        assert request.values(name) == []
    assert hashlib.md5(s3.get_object(Bucket="aaa", Key="k")["Body"].read()).hexdigest() == md5_of(size)


@pytest.mark.server
@pytest.mark.xdist_group("strict")
def test_a_strict_store_gets_files_in_parts(s3: Any, tmp_path: Path) -> None:
    body = body_of(20 * MIB + 3)
    file = tmp_path / "large"
    file.write_bytes(body)
    s3.upload_file(str(file), "aaa", "parts")
    assert s3.get_object(Bucket="aaa", Key="parts")["Body"].read() == body


@pytest.mark.server
@pytest.mark.xdist_group("strict")
def test_aws_cli_uploads_to_a_strict_store(gateway: Gateway, strict: StrictStore, home: Path) -> None:
    file = home / "large"
    file.write_bytes(body_of(9 * MIB))
    cli = gateway.aws_cli(gateway.create_key(), home)
    cli.ok("s3", "cp", str(file), "s3://aaa/cli")
    assert strict.objects[b"/aaa/cli"] == body_of(9 * MIB)
