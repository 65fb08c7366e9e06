"""A TCP proxy in threads that a test can cut: what arrives is passed on, held back, or the connections are reset."""

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Final, Self

from tests.support.server_process import LOOPBACK

RESET: Final = struct.pack("ii", 1, 0)


class Partition:
    """Between its clients and `port`. While it is cut nothing passes in either direction, and nobody is told; or in one
    direction only. Use as a context manager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._there, self._back = threading.Event(), threading.Event()
        self.heal()
        self._open: set[socket.socket] = set()

    def cut(self, *, there: bool = True, back: bool = True) -> None:
        """`there`: what clients send; `back`: what they are answered."""
        if there:
            self._there.clear()
        if back:
            self._back.clear()

    def heal(self) -> None:
        """What was held back arrives now, late."""
        self._there.set()
        self._back.set()

    def reset(self) -> None:
        """Every connection is reset; new ones are served."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self._there.wait()
        try:
            far = socket.create_connection((LOOPBACK, self._target))
        except OSError:
            near.close()
            return
        self._open |= {near, far}
        back = threading.Thread(target=self._pour, args=(far, near, self._back), daemon=True)
        back.start()
        self._pour(near, far, self._there)
        back.join()
        for one in (near, far):
            self._open.discard(one)
            one.close()

    @staticmethod
    def _pour(source: socket.socket, sink: socket.socket, whole: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(65536):
                whole.wait()
                sink.sendall(block)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
