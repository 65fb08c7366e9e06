"""A server program as a child process: started, awaited, ended. Knows no program."""

import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.errors import BenchError

LOOPBACK: Final = "127.0.0.1"
# Below Linux's ephemeral range, so that no outgoing connection takes the port between the choice and the bind.
PORTS: Final = range(20_000, 32_000)
READY_SECONDS: Final = 20.0
STOP_SECONDS: Final = 10.0


def free_port() -> int:
    """A TCP port on loopback that nobody listens on. Raises BenchError when none is found."""
    for port in random.sample(PORTS, 1000):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        return port
    raise BenchError("no free TCP port was found on loopback")


def accepts(port: int) -> bool:
    """Whether somebody accepts connections on this loopback port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def child(
    name: str,
    command: Sequence[str],
    log: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """The process id of a running program, once `ready()` holds; SIGTERM when the block ends.

    Raises BenchError with the end of the log if the program is missing, ends early or is not ready in time.
    """
    with log.open("ab") as sink:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=environment)
        except FileNotFoundError as error:
            raise BenchError(f"{name} cannot be started: {error.filename} is not there") from error
    try:
        _await(name, process, log, ready)
        yield process.pid
    finally:
        _stop(process)


def _await(name: str, process: "subprocess.Popen[bytes]", log: Path, ready: Callable[[], bool]) -> None:
    limit = time.monotonic() + READY_SECONDS
    while not ready():
        if process.poll() is not None:
            raise BenchError(f"{name} ended with {process.returncode} before it was ready:\n{_tail(log)}")
        if time.monotonic() > limit:
            raise BenchError(f"{name} was not ready after {READY_SECONDS:.0f} s:\n{_tail(log)}")
        time.sleep(0.05)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])
