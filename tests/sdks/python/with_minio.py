"""minio-py with its defaults."""

from __future__ import annotations  # a call is named `list`

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.datatypes import PostPolicy
from minio.deleteobjects import DeleteObject

PART = 5 << 20


class Client:
    def __init__(self, settings: Any) -> None:
        self._url = settings.endpoint
        self._minio = Minio(
            settings.host,
            settings.access_key_id,
            settings.secret_access_key,
            secure=settings.secure,
            region=settings.region,
            http_client=urllib3.PoolManager(ca_certs=settings.ca, retries=False),
        )

    def put(self, bucket: str, object_key: str, file: str) -> None:
        self._minio.fput_object(bucket, object_key, file)

    def put_stream(self, bucket: str, object_key: str, file: str) -> None:
        with Path(file).open("rb") as body:
            self._minio.put_object(bucket, object_key, body, length=-1, part_size=PART)

    def get(self, bucket: str, object_key: str, file: str) -> None:
        self._minio.fget_object(bucket, object_key, file)

    def get_range(self, bucket: str, object_key: str, first: int, last: int, file: str) -> None:
        reply = self._minio.get_object(bucket, object_key, offset=first, length=last - first + 1)
        Path(file).write_bytes(reply.read())
        reply.close()

    def head(self, bucket: str, object_key: str) -> dict[str, int | None]:
        return {"size": self._minio.stat_object(bucket, object_key).size}

    def multipart(self, bucket: str, object_key: str, file: str) -> None:
        self._minio.fput_object(bucket, object_key, file, part_size=PART)

    def copy(self, bucket: str, source: str, object_key: str) -> None:
        self._minio.copy_object(bucket, object_key, CopySource(bucket, source))

    def list(self, bucket: str, prefix: str) -> list[str | None]:
        return [found.object_name for found in self._minio.list_objects(bucket, prefix, recursive=True)]

    def delete_many(self, bucket: str, object_keys: list[str]) -> None:
        errors = list(self._minio.remove_objects(bucket, [DeleteObject(name) for name in object_keys]))
        if errors:
            raise RuntimeError(errors)

    def presign_get(self, bucket: str, object_key: str) -> str:
        return str(self._minio.presigned_get_object(bucket, object_key))

    def presign_put(self, bucket: str, object_key: str) -> str:
        return str(self._minio.presigned_put_object(bucket, object_key))

    def presign_post(self, bucket: str, object_key: str) -> dict[str, Any]:
        policy = PostPolicy(bucket, datetime.now(UTC) + timedelta(minutes=10))
        policy.add_equals_condition("key", object_key)
        fields = self._minio.presigned_post_policy(policy)
        return {"url": f"{self._url}/{bucket}", "fields": {"key": object_key, **fields}}
