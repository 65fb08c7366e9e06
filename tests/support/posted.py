"""Upload forms as a browser sends them, made and signed by boto3."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from urllib3.filepost import encode_multipart_formdata

from tests.support.clients import s3_client
from tests.support.streaming import as_http_chunks

BOUNDARY = "----a-boundary"


@dataclass(frozen=True, slots=True)
class PostedForm:
    """`fields`: with those that boto3 signed. `behind`: fields after the file."""

    host: str
    bucket: str
    fields: dict[str, str]
    content: bytes = field(repr=False)
    filename: str = "a file.txt"
    behind: Sequence[tuple[str, str]] = ()
    te_chunked: bool = False

    @property
    def body(self) -> bytes:
        parts: list[tuple[str, Any]] = [*self.fields.items(), ("file", (self.filename, self.content, "text/plain"))]
        return bytes(encode_multipart_formdata([*parts, *self.behind], boundary=BOUNDARY)[0])

    def request(self, body: bytes | None = None, headers: Sequence[str] = ()) -> bytes:
        """`body`: instead of the form's own."""
        sent = self.body if body is None else body
        lines = [f"POST /{self.bucket} HTTP/1.1", f"Host: {self.host}"]
        lines.append(f"Content-Type: multipart/form-data; boundary={BOUNDARY}")
        lines.append("Transfer-Encoding: chunked" if self.te_chunked else f"Content-Length: {len(sent)}")
        head = "\r\n".join([*lines, *headers, "", ""]).encode()
        return head + (as_http_chunks(sent) if self.te_chunked else sent)


def posted_form(
    host: str,
    credential: tuple[str, str],
    content: bytes,
    *,
    bucket: str = "bucket",
    object_key: str = "k",
    fields: Mapping[str, str] | None = None,
    conditions: Sequence[Any] = (),
    signature_version: str = "s3v4",
    **more: Any,
) -> PostedForm:
    """`fields`: beside the key, each under a condition that it is exactly that."""
    given = dict(fields or {})
    exact = [{name: value} for name, value in given.items()]
    with s3_client(f"http://{host}", *credential, signature_version=signature_version) as client:  # default: SigV2
        made = client.generate_presigned_post(
            bucket, object_key, Fields=given, Conditions=[*exact, *conditions], ExpiresIn=600
        )
    return PostedForm(host, bucket, made["fields"], content, **more)
