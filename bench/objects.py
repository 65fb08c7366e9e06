"""The objects of a run: many names per size, so that no contender answers from what it knows of one request."""

import os
import random
from functools import lru_cache
from pathlib import Path
from typing import Final

BUCKET: Final = "bench"
KEPT: Final = "kept"  # what is uploaded below this prefix can be looked at afterwards
NAMES: Final = 256
# The load generator holds every upload whole, in each of its threads: so many bytes, or four names.
UPLOADS: Final = 64 << 20


def object_keys(size: int) -> list[str]:
    """The object keys that hold `size` bytes."""
    return [f"{size}/object-{number:04}" for number in range(NAMES)]


def upload_keys(size: int) -> list[str]:
    """The object keys under which `size` bytes are uploaded."""
    return [f"put-{size}/object-{number:04}" for number in range(max(4, min(NAMES, UPLOADS // size)))]


@lru_cache(maxsize=1)
def content(size: int) -> bytes:
    """The bytes of every object of this size: the same in each run, and not compressible."""
    return random.Random(size).randbytes(size)


def write_objects(root: Path, size: int) -> None:
    """Make `root`/bench/… for one size: one file under all its names, so 256 names of 1 MiB cost 1 MiB."""
    first, *others = (root / BUCKET / object_key for object_key in object_keys(size))
    first.parent.mkdir(parents=True, exist_ok=True)
    first.write_bytes(content(size))
    for other in others:
        os.link(first, other)
