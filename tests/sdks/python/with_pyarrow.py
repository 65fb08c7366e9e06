"""pyarrow, the C++ SDK, with its defaults. It has neither presigned URLs nor a choice of the size of a part."""

from __future__ import annotations  # a call is named `list`

from pathlib import Path
from typing import Any

from pyarrow import fs


class Client:
    def __init__(self, settings: Any) -> None:
        def opened(**more: Any) -> fs.S3FileSystem:
            return fs.S3FileSystem(
                access_key=settings.access_key_id,
                secret_key=settings.secret_access_key,
                region=settings.region,
                scheme=settings.scheme,
                endpoint_override=settings.host,
                retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
                **({"tls_ca_file_path": settings.ca} if settings.ca else {}),
                **more,
            )

        self._fs = opened()
        self._single = opened(allow_delayed_open=True)  # PutObject for what fits into one part

    def _write(self, opened: fs.S3FileSystem, bucket: str, object_key: str, file: str) -> None:
        with opened.open_output_stream(f"{bucket}/{object_key}") as written:
            written.write(Path(file).read_bytes())

    def put(self, bucket: str, object_key: str, file: str) -> None:
        self._write(self._single, bucket, object_key, file)

    def put_stream(self, bucket: str, object_key: str, file: str) -> None:
        self._write(self._fs, bucket, object_key, file)

    def multipart(self, bucket: str, object_key: str, file: str) -> None:
        self._write(self._fs, bucket, object_key, file)

    def get(self, bucket: str, object_key: str, file: str) -> None:
        with self._fs.open_input_stream(f"{bucket}/{object_key}") as read:
            Path(file).write_bytes(read.read())

    def get_range(self, bucket: str, object_key: str, first: int, last: int, file: str) -> None:
        with self._fs.open_input_file(f"{bucket}/{object_key}") as read:
            Path(file).write_bytes(read.read_at(last - first + 1, first))

    def head(self, bucket: str, object_key: str) -> dict[str, int]:
        return {"size": self._fs.get_file_info(f"{bucket}/{object_key}").size}

    def copy(self, bucket: str, source: str, object_key: str) -> None:
        self._fs.copy_file(f"{bucket}/{source}", f"{bucket}/{object_key}")

    def list(self, bucket: str, prefix: str) -> list[str]:
        selected = fs.FileSelector(f"{bucket}/{prefix}".rstrip("/"), recursive=True)
        files = (found for found in self._fs.get_file_info(selected) if found.type is fs.FileType.File)
        return [found.path.removeprefix(f"{bucket}/") for found in files]

    def delete_many(self, bucket: str, object_keys: list[str]) -> None:
        """All of one folder, which must hold nothing else: this is where it uses DeleteObjects."""
        (folder,) = {object_key.rpartition("/")[0] for object_key in object_keys}
        self._fs.delete_dir_contents(f"{bucket}/{folder}")
