"""The digests that S3 knows, one interface: update with blocks, then the digest as bytes, big-endian.

SHA and MD5 are hashlib's, CRC32 is isal's (zlib's takes 20 times as long), the rest is awscrt's, which is what SDKs
compute with.
"""

import hashlib
from collections.abc import Callable
from typing import Final, Protocol

from awscrt import checksums
from isal import isal_zlib

Block = bytes | bytearray | memoryview


class Digest(Protocol):
    def update(self, block: Block) -> None: ...
    def digest(self) -> bytes: ...


class _Crc:
    """A CRC carried along. `width`: bytes of the result."""

    __slots__ = ("_step", "_value", "_width")

    def __init__(self, step: Callable[[Block, int], int], width: int) -> None:
        self._step = step
        self._width = width
        self._value = 0

    def update(self, block: Block) -> None:
        self._value = self._step(block, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width, "big")


class _Xxhash:
    __slots__ = ("_state",)

    def __init__(self, state: checksums.XXHash) -> None:
        self._state = state

    def update(self, block: Block) -> None:
        self._state.update(bytes(block))  # it takes nothing else

    def digest(self) -> bytes:
        return bytes(self._state.finalize())


def md5() -> Digest:
    return hashlib.md5(usedforsecurity=False)


# Name as in x-amz-checksum-… → (bytes of the digest, how to begin one). The names are those of S3's model of 2026.
ALGORITHMS: Final[dict[bytes, tuple[int, Callable[[], Digest]]]] = {
    b"crc32": (4, lambda: _Crc(isal_zlib.crc32, 4)),
    b"crc32c": (4, lambda: _Crc(checksums.crc32c, 4)),
    b"crc64nvme": (8, lambda: _Crc(checksums.crc64nvme, 8)),
    b"sha1": (20, lambda: hashlib.sha1(usedforsecurity=False)),
    b"sha256": (32, hashlib.sha256),
    b"sha512": (64, hashlib.sha512),
    b"md5": (16, md5),
    b"xxhash64": (8, lambda: _Xxhash(checksums.XXHash.new_xxhash64())),
    b"xxhash3": (8, lambda: _Xxhash(checksums.XXHash.new_xxhash3_64())),
    b"xxhash128": (16, lambda: _Xxhash(checksums.XXHash.new_xxhash3_128())),
}
