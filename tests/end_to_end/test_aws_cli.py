"""aws-cli as people type it: mb, cp, ls, sync, rm, rb."""

import hashlib
import os
from pathlib import Path

import pytest

from tests.support.bodies import MIB, blocks, sha256_of
from tests.support.clients import AwsCli
from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import on_stores

LONG_AGO = 1_600_000_000  # stores date objects to the second: a file made just now would look newer than its copy


@pytest.fixture
def aws(gateway: Gateway, access_key: IssuedKey, home: Path) -> AwsCli:
    return gateway.aws_cli(access_key, home)


def _write(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.writelines(blocks(size))
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@on_stores("seaweedfs", "rclone", "moto")
def test_make_copy_list_sync_and_remove(aws: AwsCli, bucket: str, home: Path) -> None:
    made = f"s3://{bucket}-cli"
    assert aws.ok("s3", "mb", made) == f"make_bucket: {bucket}-cli\n"
    _write(home / "one file.bin", 3000)
    aws.ok("s3", "cp", "one file.bin", f"{made}/in/one file.bin")
    assert aws.ok("s3", "ls", f"{made}/in/").endswith(" 3000 one file.bin\n")
    assert f"{bucket}-cli\n" in aws.ok("s3", "ls")
    tree = home / "tree"
    (tree / "sub").mkdir(parents=True)
    _write(tree / "a", 1)
    _write(tree / "sub" / "b ü", MIB)
    aws.ok("s3", "sync", "tree", f"{made}/tree")
    assert aws.ok("s3", "sync", "tree", f"{made}/tree") == ""
    aws.ok("s3", "sync", f"{made}/tree", "back")
    assert _sha256(home / "back" / "sub" / "b ü") == _sha256(tree / "sub" / "b ü")
    assert aws.run("s3", "rb", made).returncode == 1
    aws.ok("s3", "rm", made, "--recursive")
    assert aws.ok("s3", "ls", made, "--recursive") == ""
    aws.ok("s3", "rb", made)
    assert f"{bucket}-cli\n" not in aws.ok("s3", "ls")


@on_stores("seaweedfs")
def test_200_mb_go_up_and_down_in_parts(aws: AwsCli, bucket: str, home: Path) -> None:
    size = 200_000_000
    _write(home / "large", size)
    aws.ok("s3", "cp", "large", f"s3://{bucket}/large", timeout=300)
    aws.ok("s3", "cp", f"s3://{bucket}/large", "fetched", timeout=300)
    assert _sha256(home / "fetched") == sha256_of(size)


@on_stores("seaweedfs")
def test_the_words_of_a_refusal_reach_the_terminal(gateway: Gateway, home: Path, bucket: str) -> None:
    stranger = gateway.aws_cli(IssuedKey("NQAK0000000000000000", "x" * 40), home)
    refused = stranger.run("s3api", "get-object", "--bucket", bucket, "--key", "k", "out")
    assert refused.returncode != 0
    assert "(InvalidAccessKeyId)" in refused.stderr
