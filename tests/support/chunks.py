"""The aws-chunked framing as a client writes it: plain, or signed with a chain of signatures."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

EMPTY = hashlib.sha256(b"").hexdigest()


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def unsigned(chunks: Iterable[bytes], trailers: Mapping[bytes, bytes] | None = None) -> bytes:
    """Chunks, the zero chunk, trailers, each line with CRLF."""
    framed = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    lines = [b"%b:%b\r\n" % one for one in (trailers or {}).items()]
    return b"".join([*framed, b"0\r\n", *lines, b"\r\n"])


@dataclass(slots=True)
class ChunkWriter:
    """Signs with `secret` for one request: `timestamp`, `scope` and `seed` (its signature, hex) are the request's."""

    secret: str = field(repr=False)
    timestamp: str
    scope: str
    seed: str

    def signing_key(self) -> bytes:
        made = b"AWS4" + self.secret.encode()
        for word in self.scope.split("/"):
            made = hmac.digest(made, word.encode(), "sha256")
        return made

    def sign(self, kind: str, *lines: str) -> str:
        text = "\n".join([kind, self.timestamp, self.scope, self.seed, *lines])
        self.seed = hmac.digest(self.signing_key(), text.encode(), "sha256").hex()
        return self.seed

    def chunk(self, chunk: bytes) -> bytes:
        signature = self.sign("AWS4-HMAC-SHA256-PAYLOAD", EMPTY, hashlib.sha256(chunk).hexdigest())
        line = b"%x;chunk-signature=%b\r\n" % (len(chunk), signature.encode())
        return line + chunk + b"\r\n" if chunk else line

    def trailers(self, trailers: Mapping[bytes, bytes]) -> bytes:
        signed = b"".join(b"%b:%b\n" % one for one in sorted(trailers.items()))
        signature = self.sign("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(signed).hexdigest())
        lines = [b"%b:%b\r\n" % one for one in trailers.items()]
        return b"".join([*lines, b"x-amz-trailer-signature:%b\r\n" % signature.encode()])

    def body(self, chunks: Iterable[bytes], trailers: Mapping[bytes, bytes] | None = None) -> bytes:
        """The whole framed body; with `trailers` (may be empty) those and their signature."""
        framed = [self.chunk(chunk) for chunk in (*chunks, b"")]
        if trailers is not None:
            framed.append(self.trailers(trailers))
        return b"".join([*framed, b"\r\n"])
