"""One server program as a child: its log in a file, its readiness awaited, its end seen. Knows no program."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
# Below Linux's ephemeral range, so that no outgoing connection takes the port between the choice and the bind; beside
# the embedded store's, which chooses for itself; and every worker of a test run draws from ports of its own. Drawn from
# the system: hypothesis seeds `random`, and two workers then drew the same ports.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 16
PORTS = range(10_000 + 600 * _WORKER, 10_600 + 600 * _WORKER)
_random = random.SystemRandom()
_drawn: set[int] = set()


def free_port() -> int:
    """A TCP port on loopback that nobody listens on and that this process was not given before."""
    for _ in range(3000):
        port = _random.choice(PORTS)
        if port in _drawn:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        _drawn.add(port)
        return port
    raise RuntimeError(f"no free TCP port on loopback in {PORTS}")


class ServerProcess:
    """Start a program, wait until it is ready, end it with SIGTERM. Use as a context manager."""

    def __init__(self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as sink:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env={**os.environ, **(env or {})}
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative = the signal that ended it."""
        return self._child.poll()

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], bool], timeout: float = 30.0) -> None:
        """Return once `ready()` holds. RuntimeError with the tail of the log if the program ends or is late."""
        limit = time.monotonic() + timeout
        while not ready():
            if self.exit_code is not None:
                raise RuntimeError(f"{self.name} ended with {self.exit_code} before it was ready:\n{self._tail()}")
            if time.monotonic() > limit:
                raise RuntimeError(f"{self.name} was not ready after {timeout:.0f} s:\n{self._tail()}")
            time.sleep(0.05)

    def send(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def wait(self, timeout: float) -> int:
        """The exit code; TimeoutExpired if it does not end by itself."""
        return self._child.wait(timeout)

    def stop(self, timeout: float = 20.0) -> int:
        """SIGTERM, then the exit code. A program that ignores it is killed and reported as -9."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                self._child.kill()
        return self._child.wait()

    def _tail(self) -> str:
        return "\n".join(self.log_text().splitlines()[-30:])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
