"""obstore, the Rust object_store, with its defaults. The caller sets SSL_CERT_FILE."""

from __future__ import annotations  # a call is named `list`

from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

PART = 5 << 20


class Client:
    def __init__(self, settings: Any) -> None:
        @cache
        def store(bucket: str) -> S3Store:
            return S3Store(
                bucket,
                endpoint=settings.endpoint,
                access_key_id=settings.access_key_id,
                secret_access_key=settings.secret_access_key,
                region=settings.region,
                virtual_hosted_style_request=False,
                client_options={"allow_http": True},
                retry_config={"max_retries": 0},
            )

        self._store = store

    def put(self, bucket: str, object_key: str, file: str) -> None:
        obstore.put(self._store(bucket), object_key, Path(file).read_bytes(), use_multipart=False)

    def put_stream(self, bucket: str, object_key: str, file: str) -> None:
        with obstore.open_writer(self._store(bucket), object_key) as written:
            written.write(Path(file).read_bytes())

    def get(self, bucket: str, object_key: str, file: str) -> None:
        Path(file).write_bytes(bytes(obstore.get(self._store(bucket), object_key).bytes()))

    def get_range(self, bucket: str, object_key: str, first: int, last: int, file: str) -> None:
        got = obstore.get_range(self._store(bucket), object_key, start=first, end=last + 1)
        Path(file).write_bytes(bytes(got))

    def head(self, bucket: str, object_key: str) -> dict[str, int]:
        return {"size": obstore.head(self._store(bucket), object_key)["size"]}

    def multipart(self, bucket: str, object_key: str, file: str) -> None:
        obstore.put(self._store(bucket), object_key, Path(file), use_multipart=True, chunk_size=PART)

    def copy(self, bucket: str, source: str, object_key: str) -> None:
        obstore.copy(self._store(bucket), source, object_key)

    def list(self, bucket: str, prefix: str) -> list[str]:
        pages = obstore.list(self._store(bucket), prefix, chunk_size=2)
        return [found["path"] for page in pages for found in page]

    def delete_many(self, bucket: str, object_keys: list[str]) -> None:
        obstore.delete(self._store(bucket), object_keys)

    def presign_get(self, bucket: str, object_key: str) -> str:
        return obstore.sign(self._store(bucket), "GET", object_key, timedelta(minutes=10))

    def presign_put(self, bucket: str, object_key: str) -> str:
        return obstore.sign(self._store(bucket), "PUT", object_key, timedelta(minutes=10))
