"""s3fs (aiobotocore) with its defaults."""

from __future__ import annotations  # a call is named `list`

from pathlib import Path
from typing import Any

from s3fs import S3FileSystem

PART = 5 << 20


class Client:
    def __init__(self, settings: Any) -> None:
        self._fs = S3FileSystem(
            key=settings.access_key_id,
            secret=settings.secret_access_key,
            endpoint_url=settings.endpoint,
            client_kwargs={"region_name": settings.region, "verify": settings.ca},
            config_kwargs={"retries": {"max_attempts": 0}},
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def put(self, bucket: str, object_key: str, file: str) -> None:
        self._fs.pipe_file(f"{bucket}/{object_key}", Path(file).read_bytes())

    def put_stream(self, bucket: str, object_key: str, file: str) -> None:
        with self._fs.open(f"{bucket}/{object_key}", "wb") as written:
            written.write(Path(file).read_bytes())

    def get(self, bucket: str, object_key: str, file: str) -> None:
        self._fs.get_file(f"{bucket}/{object_key}", file)

    def get_range(self, bucket: str, object_key: str, first: int, last: int, file: str) -> None:
        Path(file).write_bytes(self._fs.cat_file(f"{bucket}/{object_key}", start=first, end=last + 1))

    def head(self, bucket: str, object_key: str) -> dict[str, int]:
        return {"size": self._fs.info(f"{bucket}/{object_key}")["size"]}

    def multipart(self, bucket: str, object_key: str, file: str) -> None:
        self._fs.put_file(file, f"{bucket}/{object_key}", chunksize=PART)

    def copy(self, bucket: str, source: str, object_key: str) -> None:
        self._fs.cp_file(f"{bucket}/{source}", f"{bucket}/{object_key}")

    def list(self, bucket: str, prefix: str) -> list[str]:
        return [path.removeprefix(f"{bucket}/") for path in self._fs.find(f"{bucket}/{prefix}".rstrip("/"))]

    def delete_many(self, bucket: str, object_keys: list[str]) -> None:
        self._fs.rm([f"{bucket}/{object_key}" for object_key in object_keys])

    def presign_get(self, bucket: str, object_key: str) -> str:
        return str(self._fs.sign(f"{bucket}/{object_key}", expiration=600))

    def presign_put(self, bucket: str, object_key: str) -> str:
        return str(self._fs.url(f"{bucket}/{object_key}", expires=600, client_method="put_object"))
