"""One question to one address of the store, to see whether it answers: unsigned, so that it needs no credential, and
about nothing, so that any answer is one. What the answer means is the pool's to judge.
"""

import asyncio

from gateway.wire.endpoints import Endpoint
from gateway.wire.heads import ParsedReply
from gateway.wire.upstream import UpstreamConnection


class Probe:
    """An `UpstreamUser` that wants nothing but the status."""

    wants_upstream = False
    request_sent = True

    def __init__(self) -> None:
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def ask(self, connection: UpstreamConnection, endpoint: Endpoint) -> int:
        """ConnectionError without an answer in HTTP. However long it takes."""
        host = endpoint.host_header or (b"localhost" if endpoint.path is not None else endpoint.shown.encode())
        head = b"HEAD / HTTP/1.1\r\nhost: %b\r\nuser-agent: nqgate\r\nconnection: close\r\n\r\n" % host
        connection.send(self, head, True)
        return await self._status

    # ---- what the connection tells ----

    def connected(self, connection: UpstreamConnection) -> bool:
        return False

    def connect_failed(self, reason: str, *, busy: bool = False) -> None:
        self._failed(reason)

    def reply_whole(self, reply: ParsedReply, body: bytes) -> None:
        self.reply_head(reply)

    def reply_head(self, reply: ParsedReply) -> None:
        if not self._status.done():
            self._status.set_result(reply.head.status)

    def reply_block(self, block: bytes | memoryview) -> None:
        pass

    def reply_end(self) -> None:
        pass

    def flush(self) -> None:
        pass

    def upstream_lost(self, reason: str) -> None:
        self._failed(reason)

    def upstream_nonsense(self, reason: str) -> None:
        self._failed(reason)

    def upstream_paused(self) -> None:
        pass

    def upstream_resumed(self) -> None:
        pass

    def _failed(self, reason: str) -> None:
        if not self._status.done():
            self._status.set_exception(ConnectionError(reason))
