"""Bodies of any size that are never whole in memory, whose every MiB differs from every other."""

import hashlib
import random
from collections.abc import Iterator

MIB = 1 << 20
GIB = 1 << 30
_NOISE = random.Random(20130524).randbytes(MIB)  # incompressible, the same in every run


def blocks(size: int) -> Iterator[bytes]:
    """`size` bytes in blocks of at most 1 MiB. Block n begins with n, so that a lost or doubled block shows."""
    for number in range(-(-size // MIB)):
        block = number.to_bytes(8, "big") + _NOISE[8:]
        yield block[: min(MIB, size - number * MIB)]


def sha256_of(size: int) -> str:
    """Lower-case hex of the body of that size."""
    digest = hashlib.sha256()
    for block in blocks(size):
        digest.update(block)
    return digest.hexdigest()


def body_of(size: int) -> bytes:
    """The whole body, for sizes a test may hold in memory."""
    return b"".join(blocks(size))
