"""Library clients: each in a process of its own, asked in JSON lines. See python/driver.py and js/driver.mjs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.sdks.access import Access, Failed, Unsupported

HERE = Path(__file__).parent
SDKS = Path(sys.executable).parent.parent / "sdks"  # the environment that `make test` fills from requirements.txt


def sdk_program(name: str) -> str:
    """A program of that environment; one sentence if it is missing."""
    path = SDKS / "bin" / name
    if not path.exists():
        raise RuntimeError(f"{path} is missing: `make test` installs the clients of the matrix there.")
    return str(path)


class Driver:
    """A running driver, and a client: `call`. A context manager."""

    def __init__(self, command: list[str], access: Access) -> None:
        self._command = command
        self._access = access
        self._log = access.home / "driver.log"
        self._process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self._access.home), **self._access.environment}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                self._command,
                env=environment,
                cwd=self._access.home,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def call(self, name: str, **arguments: Any) -> Any:
        """Failed with the library's words; Unsupported where it has no such call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"call": name, **arguments}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the driver ended: {self._log.read_text()[-2000:]}")
        answer = json.loads(line)
        if "unsupported" in answer:
            raise Unsupported(name)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer["result"]


def python_driver(name: str, access: Access, *, apart: bool) -> Driver:
    """`apart`: in the environment of the matrix, not in the gateway's own."""
    python = sdk_program("python") if apart else sys.executable
    return Driver([python, str(HERE / "python" / "driver.py"), name], access)


def js_driver(name: str, access: Access) -> Driver:
    return Driver([sdk_program("node"), str(HERE / "js" / "driver.mjs"), name], access)
