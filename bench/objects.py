"""The objects of a run: many names per size, so that no contender answers from what it knows of one request."""

import os
import random
from functools import lru_cache
from pathlib import Path
from typing import Final

BUCKET: Final = "bench"
KEPT: Final = "kept"  # what is uploaded below this prefix can be looked at afterwards
NAMES: Final = 256
LISTED: Final = 100  # keys of a page
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


def listed_keys() -> list[str]:
    """The object keys that the upstream lists, whatever is asked for."""
    return object_keys(1024)[:LISTED]


def listing(*, owners: bool) -> str:
    """A page of ListObjectsV2, as a store writes it."""
    owner = "<Owner><ID>store</ID><DisplayName>store</DisplayName></Owner>" if owners else ""
    entries = "".join(
        f"<Contents><Key>{object_key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;{number:032x}&quot;</ETag><Size>1024</Size>{owner}<StorageClass>STANDARD</StorageClass></Contents>"
        for number, object_key in enumerate(listed_keys())
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{BUCKET}</Name><Prefix></Prefix><KeyCount>{LISTED}</KeyCount><MaxKeys>{LISTED}</MaxKeys>"
        f"<IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
    )


def write_listings(root: Path) -> None:
    """Make the two pages that the upstream answers every ListObjects with."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "list.xml").write_text(listing(owners=False))
    (root / "list-owners.xml").write_text(listing(owners=True))


def write_objects(root: Path, size: int) -> None:
    """Make `root`/bench/… for one size: one file under all its names, so 256 names of 1 MiB cost 1 MiB."""
    first, *others = (root / BUCKET / object_key for object_key in object_keys(size))
    first.parent.mkdir(parents=True, exist_ok=True)
    first.write_bytes(content(size))
    for other in others:
        os.link(first, other)
