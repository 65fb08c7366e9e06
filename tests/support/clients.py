"""boto3 and aws-cli pointed at one endpoint, with nothing taken from the machine's own AWS settings."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

REGION = "us-east-1"
_SESSION = boto3.session.Session()  # shared: it reads the model of S3 once, which takes longer than most tests
_MAKING = threading.Lock()  # sessions are for one thread at a time, clients for all


@contextmanager
def s3_client(
    endpoint: str, access_key_id: str, secret_access_key: str, *, trusted: Path | None = None, **settings: Any
) -> Iterator[Any]:  # boto3 builds its client classes at run time
    """A boto3 S3 client without retries, so that the first answer is the one a test sees. `trusted`: a CA's PEM."""
    chosen = {"retries": {"max_attempts": 0}, "connect_timeout": 10, "read_timeout": 120, **settings}
    with _MAKING:
        client = _SESSION.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            region_name=REGION,
            verify=None if trusted is None else str(trusted),
            config=Config(**chosen),
        )
    try:
        yield client
    finally:
        client.close()


@dataclass(frozen=True, slots=True)
class AwsCli:
    """`aws` run in `home`, where it finds no configuration and leaves its own."""

    endpoint: str
    access_key_id: str
    home: Path
    secret_access_key: str = field(repr=False)
    trusted: Path | None = None

    def run(self, *arguments: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run `aws ARGUMENTS…` and give back exit code, stdout and stderr; raises only when it is late."""
        command = [sys.executable, str(Path(sys.executable).parent / "aws"), "--endpoint-url", self.endpoint]
        return subprocess.run(
            [*command, *arguments],
            env=self._environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def ok(self, *arguments: str, timeout: float = 120.0) -> str:
        """Like `run`, for commands that must succeed: stdout."""
        done = self.run(*arguments, timeout=timeout)
        assert done.returncode == 0, f"aws {' '.join(arguments)} → {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _environment(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **kept,
            "HOME": str(self.home),
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
            **({} if self.trusted is None else {"AWS_CA_BUNDLE": str(self.trusted)}),
        }
