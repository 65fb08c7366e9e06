"""An HTTP/1.1 client made of one socket: it sends the bytes it is given, well formed or not, and reads one reply.

Signatures are botocore's, never our own: it is the foreign judge.
"""

import contextlib
import hashlib
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from xml.etree import ElementTree

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.server_process import LOOPBACK

REGION = "us-east-1"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
READ_SIZE = 65_536
TIMEOUT = 15.0
BESIDE_MANY = 60.0  # seconds for one of hundreds of clients


@dataclass(frozen=True, slots=True)
class RawReply:
    """One reply. `headers` in the order received, names lower-cased; `body` without its framing."""

    line: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def status(self) -> int:
        return int(self.line.split(b" ")[1])

    def values(self, name: bytes) -> list[bytes]:
        return [value for sent, value in self.headers if sent == name]

    def header(self, name: bytes) -> bytes:
        """The value of a header that must be there exactly once."""
        values = self.values(name)
        assert len(values) == 1, f"{name!r} came {len(values)} times in {self.headers}"
        return values[0]

    @property
    def code(self) -> str:
        """`<Code>` of an S3 error document, or "" when the body is none."""
        return self._element("Code")

    @property
    def message(self) -> str:
        return self._element("Message")

    def _element(self, name: str) -> str:
        return (ElementTree.fromstring(self.body).findtext(name) or "") if self.body.startswith(b"<?xml") else ""


class RawConnection:
    """One TCP connection to `host`:`port`. Use as a context manager."""

    def __init__(self, host: str, port: int, *, timeout: float = TIMEOUT, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer is not None:  # before connect: it sets the window
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect((host, port))
        except OSError:
            self.socket.close()
            raise
        self._ahead = bytearray()

    def begin_tls(self, context: ssl.SSLContext) -> None:
        """From here on everything is encrypted. ssl.SSLError when the other side is not trusted or does not agree."""
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_slowly(self, data: bytes, *, piece: int, pause: float) -> None:
        """`piece` bytes at a time; stops early, without an error, when the other side has closed."""
        for start in range(0, len(data), piece):
            try:
                self.socket.sendall(data[start : start + piece])
            except (BrokenPipeError, ConnectionResetError):
                return
            time.sleep(pause)

    def reply(self, *, head_request: bool = False) -> RawReply:
        """Read one reply, interim ones included; `head_request` says that no body follows the head."""
        head = self._read_to(b"\r\n\r\n")
        line, *lines = head[:-4].split(b"\r\n")
        pairs = (line.partition(b":") for line in lines)
        headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
        return RawReply(line, headers, b"" if head_request else self._read_body(line, dict(headers)))

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; EOFError if the connection ends before."""
        while len(self._ahead) < size:
            self._fill()
        return self._take(size)

    def read_some(self, limit: int = READ_SIZE) -> bytes:
        """What is there, at most `limit` bytes; b"" at the end."""
        if self._ahead:
            return self._take(min(limit, len(self._ahead)))
        return self.socket.recv(limit)

    def nothing_arrives(self, seconds: float) -> bool:
        """True if not one byte comes, and the connection stays open, for `seconds`."""
        if self._ahead:
            return False
        self.socket.settimeout(seconds)
        try:
            self._ahead += self.socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(TIMEOUT)
        return False

    def end_sending(self) -> None:
        """Close the sending side; what was sent already may still be answered."""
        with contextlib.suppress(OSError):  # the other side was faster
            self.socket.shutdown(socket.SHUT_WR)

    def read_to_end(self) -> bytes:
        """Everything until the other side ends the connection; a reset counts as an end."""
        with contextlib.suppress(ConnectionResetError):
            while block := self.socket.recv(READ_SIZE):
                self._ahead += block
        return self._take(len(self._ahead))

    def is_reset(self) -> bool:
        """True once the other side has reset the connection, False when it ends it cleanly; waits for either."""
        try:
            while self.socket.recv(READ_SIZE):
                pass
        except ConnectionResetError:
            return True
        return False

    def is_closed(self) -> bool:
        """True once the other side has ended the connection and nothing is left to read; waits for it."""
        if self._ahead:
            return False
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_body(self, line: bytes, headers: dict[bytes, bytes]) -> bytes:
        status = line.split(b" ")[1]
        if status in (b"204", b"304") or status.startswith(b"1"):
            return b""
        if headers.get(b"transfer-encoding") == b"chunked":
            return self._read_chunks()
        if b"content-length" in headers:
            return self.read(int(headers[b"content-length"]))
        return self.read_to_end()

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := int(self._read_to(b"\r\n"), 16):
            body += self.read(size)
            self.read(2)
        self.read(2)
        return bytes(body)

    def _read_to(self, mark: bytes) -> bytes:
        while mark not in self._ahead:
            self._fill()
        return self._take(self._ahead.index(mark) + len(mark))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._ahead[:size])
        del self._ahead[:size]
        return taken

    def _fill(self) -> None:
        block = self.socket.recv(READ_SIZE)
        if not block:
            raise EOFError(f"the connection ended after {bytes(self._ahead)!r}")
        self._ahead += block


class UnixConnection(RawConnection):
    """The same to the Unix socket at `path`."""

    def __init__(self, path: Path, *, timeout: float = TIMEOUT) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self._ahead = bytearray()


class FromAddress(RawConnection):
    """The same to a port on loopback, from another address of it. `receive_buffer`: bytes, the system's when None."""

    def __init__(
        self, port: int, source: str, *, timeout: float = BESIDE_MANY, receive_buffer: int | None = None
    ) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        try:
            self.socket.bind((source, 0))
            self.socket.connect((LOOPBACK, port))
        except OSError:
            self.socket.close()
            raise
        self._ahead = bytearray()


@dataclass(frozen=True, slots=True)
class Signer:
    """Heads signed by botocore for one access key, one Host and one service."""

    host: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    service: str = "s3"

    def head(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]] = (),
        *,
        body: bytes | None = None,
        sha256: str | None = None,
        unsigned: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """A complete request head, ending with the empty line.

        `body`, if given, sets Content-Length and the hash; `sha256` replaces the hash. `target` must be in canonical
        encoding already. `unsigned` headers are added after the signature was made.
        """
        request = AWSRequest(method=method, url=f"http://{self.host}{target}", data=body or b"")
        for name, value in headers:
            request.headers[name] = value
        declared = sha256 or hashlib.sha256(body or b"").hexdigest()
        credentials = Credentials(self.access_key_id, self.secret_access_key)
        _HashAsGiven(credentials, self.service, declared).add_auth(request)
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in (*request.headers.items(), *unsigned)]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class _HashAsGiven(S3SigV4Auth):
    """botocore's S3 signer, except that a wrong x-amz-content-sha256 stays as the test wrote it."""

    def __init__(self, credentials: Credentials, service: str, declared: str) -> None:
        super().__init__(credentials, service, REGION)
        self._declared = declared

    def payload(self, request: AWSRequest) -> str:
        return self._declared
