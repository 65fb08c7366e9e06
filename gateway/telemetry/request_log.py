"""What is said of single requests: gathered in memory, written together. A line by way of `logging` costs as much as
refusing the request it tells of.

Nothing here redacts: whoever says a line knows that it holds no secret.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from select import PIPE_BUF
from typing import Final, Literal

MAX_GATHERED: Final = 1000  # lines; a flood is written as it comes
_LOGGER: Final = "nqgate.s3"


class RequestLog:
    """Lines of level info. `write` takes whole lines, several in PIPE_BUF bytes or one that is longer; None drops them.
    `form` as in `configure_logs`. `access`: of which requests the access log has a line, which says the same."""

    def __init__(
        self,
        write: Callable[[str], object] | None,
        form: Literal["json", "text"] = "text",
        access: Literal["off", "refused", "all"] = "off",
    ) -> None:
        self._write = write
        self._refused = access == "off"
        self._of_store = access != "all"
        self._written = _as_json if form == "json" else _as_text
        self._lines: list[tuple[float, bytes, str]] = []

    def refused(self, request_id: bytes, reason: str) -> None:
        """Why the gateway refused a request."""
        if self._refused:
            self.say(request_id, f"refused: {reason}")

    def of_store(self, request_id: bytes, words: str) -> None:
        """What the store refused."""
        if self._of_store:
            self.say(request_id, words)

    def add(self, line: str) -> None:
        """One that is written already, with its end."""
        if self._write is not None:
            self._gather((0.0, b"", line))

    def say(self, request_id: bytes, words: str) -> None:
        """Gathered until `write_out`, which somebody calls soon."""
        if self._write is not None:
            self._gather((time.time(), request_id, words))

    def _gather(self, line: tuple[float, bytes, str]) -> None:
        self._lines.append(line)
        if len(self._lines) >= MAX_GATHERED:
            self.write_out()

    def write_out(self) -> None:
        """In blocks of whole lines that a pipe takes at once: workers share one, and may write at the same time."""
        gathered, self._lines = self._lines, []
        write, written = self._write, self._written
        if not gathered or write is None:
            return
        block: list[str] = []
        size = 0
        for at, request_id, words in gathered:
            line = written(at, f"{request_id.decode()} {words}") if request_id else words
            octets = len(line) if line.isascii() else len(line.encode(errors="backslashreplace"))
            size += octets
            if size > PIPE_BUF and block:
                write("".join(block))
                block, size = [], octets
            block.append(line)
        write("".join(block))


def _as_json(at: float, message: str) -> str:
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    line = {"time": moment, "level": "info", "logger": _LOGGER, "message": message}
    return json.dumps(line, ensure_ascii=False) + "\n"


def _as_text(at: float, message: str) -> str:
    """As `logging` writes it, and on one line whatever it holds."""
    second = int(at)
    if not message.isprintable():
        message = " ".join(message.splitlines())
    return f"{local_time(second)},{int((at - second) * 1000):03d} INFO    {_LOGGER}: {message}\n"


@lru_cache(maxsize=4)
def local_time(second: int) -> str:
    """As `logging` begins a line; `second`: Unix time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
