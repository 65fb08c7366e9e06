"""What every client is asked to do. The store itself, asked by boto3, says whether it was done."""

import http.client
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from urllib3.filepost import encode_multipart_formdata

from tests.sdks.access import Client, Failed, Unsupported
from tests.support.bodies import body_of

SMALL = body_of(100_001)
LARGE = body_of((11 << 20) + 5)  # three parts of 5 MiB, the smallest there is
ODD_KEYS = ("a b", "ü/€", "a+b", "a%2Fb", "q?x=1&y=2", "it's (1)!*", "<&>\"'", "~-_.:@$,;=")
YES, NO, NONE = "✓", "✗", "–"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`cell`: as the table has it. `why`: the client's words, or what was wrong."""

    cell: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """`direct`: boto3 at the store. `parts_show`: it marks the ETags of what came in parts. `ca`: to trust when a URL
    is fetched."""

    client: Client
    direct: Any
    bucket: str
    folder: Path
    ca: Path | None
    parts_show: bool = True

    def file(self, name: str, body: bytes = b"") -> str:
        path = self.folder / name
        path.write_bytes(body)
        return str(path)

    def stored(self, object_key: str) -> bytes:
        return bytes(self.direct.get_object(Bucket=self.bucket, Key=object_key)["Body"].read())

    def store(self, object_key: str, body: bytes = SMALL) -> None:
        self.direct.put_object(Bucket=self.bucket, Key=object_key, Body=body)

    def uploaded(self, call: str, object_key: str, body: bytes) -> None:
        self.client.call(call, bucket=self.bucket, object_key=object_key, file=self.file("sent", body))
        assert self.stored(object_key) == body, f"other bytes in {object_key}"

    def fetched(self, object_key: str, body: bytes) -> None:
        got = self.folder / "got"
        got.unlink(missing_ok=True)
        self.client.call("get", bucket=self.bucket, object_key=object_key, file=str(got))
        assert got.read_bytes() == body, f"other bytes of {object_key}"

    def listed(self, prefix: str) -> list[str]:
        return sorted(self.client.call("list", bucket=self.bucket, prefix=prefix))

    def requested(self, method: str, url: str, body: bytes | None = None, content_type: str = "") -> tuple[int, bytes]:
        """Status and body, asked without a header that http.client does not need."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        trusted = None if self.ca is None else ssl.create_default_context(cafile=self.ca)
        connection = (
            http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
            if parts.scheme == "http"
            else http.client.HTTPSConnection(parts.hostname, parts.port, timeout=30, context=trusted)
        )
        try:
            headers = {"Content-Type": content_type} if content_type else {}
            connection.request(method, url[url.index("/", 8) :], body, headers)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()


def put(bench: Bench) -> None:
    for size in (0, 1, len(SMALL)):
        bench.uploaded("put", f"put-{size}", SMALL[:size])


def put_stream(bench: Bench) -> None:
    bench.uploaded("put_stream", "put-stream", SMALL)


def get(bench: Bench) -> None:
    bench.store("get")
    bench.fetched("get", SMALL)


def get_empty(bench: Bench) -> None:
    bench.store("empty", b"")
    bench.fetched("empty", b"")


def get_range(bench: Bench) -> None:
    bench.store("range")
    file = bench.file("got")
    bench.client.call("get_range", bucket=bench.bucket, object_key="range", first=1000, last=50_000, file=file)
    assert Path(file).read_bytes() == SMALL[1000:50_001]


def head(bench: Bench) -> None:
    bench.store("head")
    assert bench.client.call("head", bucket=bench.bucket, object_key="head") == {"size": len(SMALL)}


def multipart(bench: Bench) -> None:
    bench.uploaded("multipart", "parts", LARGE)
    if bench.parts_show:
        assert "-" in bench.direct.head_object(Bucket=bench.bucket, Key="parts")["ETag"], "it went in one piece"


def copy(bench: Bench) -> None:
    bench.store("source")
    bench.client.call("copy", bucket=bench.bucket, source="source", object_key="copied")
    assert bench.stored("copied") == SMALL


def list_objects(bench: Bench) -> None:
    object_keys = [f"list/{number}" for number in range(4)] + ["list/deeper/1"]
    for object_key in [*object_keys, "lister", "other/1"]:
        bench.store(object_key, b"x")
    assert bench.listed("list/") == sorted(object_keys)


def delete_many(bench: Bench) -> None:
    object_keys = [f"many/{number}" for number in range(3)]
    for object_key in [*object_keys, "kept"]:
        bench.store(object_key, b"x")
    bench.client.call("delete_many", bucket=bench.bucket, object_keys=object_keys)
    left = bench.direct.list_objects_v2(Bucket=bench.bucket, Prefix="many/").get("Contents", [])
    assert [found for found in left if not found["Key"].endswith("/")] == []
    assert bench.stored("kept") == b"x"


def presigned_get(bench: Bench) -> None:
    bench.store("signed url")
    url = bench.client.call("presign_get", bucket=bench.bucket, object_key="signed url")
    assert bench.requested("GET", url) == (HTTPStatus.OK, SMALL)


def presigned_put(bench: Bench) -> None:
    url = bench.client.call("presign_put", bucket=bench.bucket, object_key="put url")
    status, said = bench.requested("PUT", url, SMALL)
    assert status == HTTPStatus.OK, said[:300]
    assert bench.stored("put url") == SMALL


def presigned_post(bench: Bench) -> None:
    made = bench.client.call("presign_post", bucket=bench.bucket, object_key="posted")
    body, content_type = encode_multipart_formdata([*made["fields"].items(), ("file", ("f", SMALL))])
    status, said = bench.requested("POST", made["url"], body, content_type)
    assert status in (HTTPStatus.OK, HTTPStatus.NO_CONTENT), said[:300]
    assert bench.stored("posted") == SMALL


def odd_keys(bench: Bench) -> Outcome:
    """Put, get, copied and listed, each under a prefix of its own. The cell names those that do not work."""
    failed: dict[str, str] = {}
    for number, object_key in enumerate(ODD_KEYS):
        try:
            _odd_key(bench, f"odd-{number}/{object_key}", f"odd-{number}/")
        except (AssertionError, Failed, bench.direct.exceptions.ClientError, OSError) as error:
            failed[object_key] = str(error).partition("\n")[0]
    if not failed:
        return Outcome(YES)
    if len(failed) == len(ODD_KEYS):
        return Outcome(NO, str(failed))
    return Outcome("all but " + " ".join(f"`{object_key}`" for object_key in failed), str(failed))


def _odd_key(bench: Bench, object_key: str, prefix: str) -> None:
    bench.uploaded("put", object_key, b"odd")
    bench.fetched(object_key, b"odd")
    assert bench.listed(prefix) == [object_key], f"listed as {bench.listed(prefix)}"
    bench.client.call("copy", bucket=bench.bucket, source=object_key, object_key=f"{object_key} 2")
    assert bench.stored(f"{object_key} 2") == b"odd"


OPERATIONS: dict[str, Callable[[Bench], Outcome | None]] = {
    "put": put,
    "put a stream": put_stream,
    "get": get,
    "get nothing": get_empty,
    "range": get_range,
    "head": head,
    "multipart": multipart,
    "copy": copy,
    "list": list_objects,
    "delete many": delete_many,
    "presigned GET": presigned_get,
    "presigned PUT": presigned_put,
    "form": presigned_post,
    "odd keys": odd_keys,
}


def run(bench: Bench) -> dict[str, Outcome]:
    """Every operation once."""
    return {name: _outcome(operation, bench) for name, operation in OPERATIONS.items()}


def _outcome(operation: Callable[[Bench], Outcome | None], bench: Bench) -> Outcome:
    try:
        return operation(bench) or Outcome(YES)
    except Unsupported:
        return Outcome(NONE)
    except (AssertionError, Failed, bench.direct.exceptions.ClientError, OSError) as error:
        return Outcome(NO, f"{type(error).__name__}: {error}"[:300])
