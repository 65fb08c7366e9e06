"""Messages between the supervisor and one worker: JSON behind its length, on a socket pair that nobody else has.

JSON, for neither side may be made to run what the other sends. Octets travel as hex.
"""

import asyncio
import json
import struct
from collections.abc import Callable
from typing import Any, Final, cast

MAX_MESSAGE: Final = 4 << 20  # bytes; the longest is the configuration with the MAC keys of a thousand KEKs, 0.3 MiB
_LENGTH: Final = struct.Struct(">I")

Message = dict[str, Any]


def encode(message: Message) -> bytes:
    octets = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(octets)) + octets


class MessageReader:
    """Bytes as they come → whole messages."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, block: bytes) -> list[Message]:
        """ValueError for what is no message, or too long for one."""
        pending = self._pending
        pending += block
        messages: list[Message] = []
        while len(pending) >= _LENGTH.size:
            [length] = _LENGTH.unpack_from(pending)
            if length > MAX_MESSAGE:
                raise ValueError(f"a message of {length} bytes")
            end = _LENGTH.size + length
            if len(pending) < end:
                break
            message = json.loads(bytes(pending[_LENGTH.size : end]))
            if not isinstance(message, dict):
                raise ValueError("a message that is no object")
            messages.append(message)
            del pending[:end]
        return messages


class Link(asyncio.Protocol):
    """One end. `take` is called with each message, `lost` once, when the other side is gone or sends no messages."""

    def __init__(self, take: Callable[[Message], None], lost: Callable[[], None]) -> None:
        self._take = take
        self._lost = lost
        self._reader = MessageReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._reader.feed(data):
                self._take(message)
        except ValueError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost()

    def send(self, message: Message) -> None:
        """Nothing, when the other side is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
