"""The clients of the matrix, by the names that the documentation uses."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from tests.sdks import programs
from tests.sdks.access import Access
from tests.sdks.drivers import js_driver, python_driver

CLIENTS: dict[str, Callable[[Access], AbstractContextManager[Any]]] = {
    "boto3": partial(python_driver, "boto3", apart=False),
    "aws-cli v1": programs.AwsCli,
    "awscrt": partial(python_driver, "awscrt", apart=False),
    "AWS JS v3": partial(js_driver, "aws-js"),
    "s3fs": partial(python_driver, "s3fs", apart=True),
    "pyarrow (C++)": partial(python_driver, "pyarrow", apart=True),
    "obstore (Rust)": partial(python_driver, "obstore", apart=True),
    "minio-py": partial(python_driver, "minio-py", apart=True),
    "minio-js": partial(js_driver, "minio-js"),
    "rclone": programs.Rclone,
    "s3cmd": programs.S3cmd,
    "s5cmd": programs.S5cmd,
}
