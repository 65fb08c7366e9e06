"""boto3 with its defaults."""

from __future__ import annotations  # a call is named `list`

from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

PART = 5 << 20


class Client:
    def __init__(self, settings: Any) -> None:
        self._s3 = boto3.session.Session().client(
            "s3",
            endpoint_url=settings.endpoint,
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=settings.secret_access_key,
            region_name=settings.region,
            verify=settings.ca,
            config=Config(retries={"max_attempts": 0}),
        )

    def put(self, bucket: str, object_key: str, file: str) -> None:
        self._s3.put_object(Bucket=bucket, Key=object_key, Body=Path(file).read_bytes())

    def put_stream(self, bucket: str, object_key: str, file: str) -> None:
        with Path(file).open("rb") as body:
            self._s3.put_object(Bucket=bucket, Key=object_key, Body=body)

    def get(self, bucket: str, object_key: str, file: str) -> None:
        self._s3.download_file(bucket, object_key, file)

    def get_range(self, bucket: str, object_key: str, first: int, last: int, file: str) -> None:
        reply = self._s3.get_object(Bucket=bucket, Key=object_key, Range=f"bytes={first}-{last}")
        Path(file).write_bytes(reply["Body"].read())

    def head(self, bucket: str, object_key: str) -> dict[str, int]:
        return {"size": self._s3.head_object(Bucket=bucket, Key=object_key)["ContentLength"]}

    def multipart(self, bucket: str, object_key: str, file: str) -> None:
        self._s3.upload_file(file, bucket, object_key, Config=TransferConfig(PART, multipart_chunksize=PART))

    def copy(self, bucket: str, source: str, object_key: str) -> None:
        self._s3.copy_object(Bucket=bucket, Key=object_key, CopySource={"Bucket": bucket, "Key": source})

    def list(self, bucket: str, prefix: str) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": 2}
        )
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def delete_many(self, bucket: str, object_keys: list[str]) -> None:
        objects = [{"Key": object_key} for object_key in object_keys]
        reply = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
        if reply.get("Errors"):
            raise RuntimeError(reply["Errors"])

    def presign_get(self, bucket: str, object_key: str) -> str:
        return str(self._s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": object_key}))

    def presign_put(self, bucket: str, object_key: str) -> str:
        return str(self._s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": object_key}))

    def presign_post(self, bucket: str, object_key: str) -> dict[str, Any]:
        return dict(self._s3.generate_presigned_post(bucket, object_key))
