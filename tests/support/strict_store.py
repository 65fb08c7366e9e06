"""A store as old ones are: no body without Content-Length, no chunked payload modes; objects in memory."""

import hashlib
import threading
from dataclasses import dataclass, field

from tests.support.recording_upstream import Exchange, ok


@dataclass(slots=True)
class StrictStore:
    """The script of a RecordingUpstream. PutObject, GetObject, HeadObject, DeleteObject and multipart uploads;
    nothing is ever unfinished."""

    objects: dict[bytes, bytes] = field(default_factory=dict)  # path without its query → body
    _parts: dict[bytes, dict[int, bytes]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, exchange: Exchange) -> None:
        method, target, _ = exchange.request.line.split(b" ")
        path, _, query = target.partition(b"?")
        parameters = dict(one.partition(b"=")[::2] for one in query.split(b"&"))
        if method in (b"PUT", b"POST"):
            if not exchange.request.values(b"content-length"):
                exchange.send(ok(_error(b"MissingContentLength"), status=b"411 Length Required"))
                exchange.close()
                return
            if exchange.request.header(b"x-amz-content-sha256").startswith(b"STREAMING-"):
                exchange.send(ok(_error(b"InvalidArgument"), status=b"400 Bad Request"))
                exchange.close()
                return
        body = exchange.read_body()
        with self._lock:
            exchange.send(self._answer(method, path, parameters, body))

    def _answer(self, method: bytes, path: bytes, parameters: dict[bytes, bytes], body: bytes) -> bytes:
        if method == b"POST" and b"uploads" in parameters:
            self._parts[path] = {}
            return ok(b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
        if method == b"POST" and b"uploadId" in parameters:
            self.objects[path] = b"".join(part for _, part in sorted(self._parts.pop(path).items()))
            found = b"<Location>http://strict%b</Location><ETag>&quot;x&quot;</ETag>" % path
            return ok(b"<CompleteMultipartUploadResult>%b</CompleteMultipartUploadResult>" % found)
        if method == b"PUT":
            if b"partNumber" in parameters:
                self._parts[path][int(parameters[b"partNumber"])] = body
            else:
                self.objects[path] = body
            return ok(b"", _etag(body))
        if method == b"GET" and b"uploads" in parameters:
            return ok(b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>")
        if path not in self.objects:
            return ok(_error(b"NoSuchKey") if method == b"GET" else b"", status=b"404 Not Found")
        if method == b"DELETE":
            del self.objects[path]
            return ok(status=b"204 No Content")
        found = self.objects[path]
        whole = ok(found, _etag(found), b"Last-Modified: Mon, 23 Nov 2026 10:00:00 GMT")
        return whole if method == b"GET" else whole[: len(whole) - len(found)]


def _etag(body: bytes) -> bytes:
    return b'ETag: "%b"' % hashlib.md5(body).hexdigest().encode()


def _error(code: bytes) -> bytes:
    return b"<Error><Code>%b</Code><Message>strict</Message></Error>" % code
