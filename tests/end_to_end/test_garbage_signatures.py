"""A signature that is none, in every form of authentication and every payload mode: 403, and the store hears nothing.

The bodies are announced with Expect: 100-continue: the first bytes of an answer must be those of the refusal.
"""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from tests.support.clients import s3_client
from tests.support.house import Recorded
from tests.support.posted import posted_form
from tests.support.raw_client import UNSIGNED_PAYLOAD, Signer
from tests.support.streaming import MODES, streaming_upload

OBJECT, PART = "/aaa/k", "/aaa/k?partNumber=1&uploadId=u"
EXPECT = ("Expect", "100-continue")
PINNED = "ab" * 32
Head = Callable[[Signer], bytes]


def plain(target: str, sha256: str) -> Head:
    return lambda signer: signer.head("PUT", target, sha256=sha256, unsigned=[("Content-Length", "5"), EXPECT])


def chunked(target: str, mode: str, *, te_chunked: bool) -> Head:
    def head(signer: Signer) -> bytes:
        made = streaming_upload(signer, b"x" * 100_000, mode, target=target, te_chunked=te_chunked).head
        return made[:-2] + b"Expect: 100-continue\r\n\r\n"

    return head


def presigned(version: str, *headers: str, operation: str = "put_object") -> Head:
    def head(signer: Signer) -> bytes:
        where = {"Bucket": "aaa", "Key": "k"}
        if operation == "upload_part":
            where |= {"UploadId": "u", "PartNumber": 1}  # type: ignore[dict-item]
        credential = (signer.access_key_id, signer.secret_access_key)
        with s3_client(f"http://{signer.host}", *credential, signature_version=version) as client:
            url = urlsplit(client.generate_presigned_url(operation, Params=where))
        lines = [f"PUT {url.path}?{url.query} HTTP/1.1", f"Host: {signer.host}", "Content-Length: 5", *headers]
        return "\r\n".join([*lines, "Expect: 100-continue", "", ""]).encode()

    return head


HEADS: dict[str, Head] = {
    **{f"{where}-sha256": plain(target, PINNED) for where, target in (("object", OBJECT), ("part", PART))},
    **{f"{where}-unsigned": plain(target, UNSIGNED_PAYLOAD) for where, target in (("object", OBJECT), ("part", PART))},
    **{
        f"{where}-{mode}-{'te' if te else 'length'}": chunked(target, mode, te_chunked=te)
        for where, target in (("object", OBJECT), ("part", PART))
        for mode in MODES
        for te in (False, True)
    },
    "presigned": presigned("s3v4"),
    "presigned-part": presigned("s3v4", operation="upload_part"),
    "presigned-with-a-hash": presigned("s3v4", f"x-amz-content-sha256: {PINNED}"),
    "presigned-with-chunks": presigned("s3v4", "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    "presigned-sigv2": presigned("s3"),
}
every_head = pytest.mark.parametrize("name", HEADS)


def forger(recorded: Recorded) -> Signer:
    return replace(recorded.signer, secret_access_key="s" * 40)


@every_head
def test_a_garbage_signature_is_refused_and_reaches_no_store(recorded: Recorded, name: str) -> None:
    with recorded.connect() as connection:
        connection.send(HEADS[name](forger(recorded)))
        assert connection.read(12) == b"HTTP/1.1 403"
    reply = recorded.ask(HEADS[name](forger(recorded)))
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")
    recorded.upstream.assert_untouched()


@every_head
def test_the_same_head_with_the_right_signature_is_not_refused_for_it(recorded: Recorded, name: str) -> None:
    """Else the test above would say nothing."""
    with recorded.connect() as connection:
        connection.send(HEADS[name](recorded.signer))
        refused = name == "presigned-with-chunks"
        assert connection.read(12) == (b"HTTP/1.1 400" if refused else b"HTTP/1.1 100")


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_form_with_a_garbage_signature_is_refused_and_reaches_no_store(recorded: Recorded, version: str) -> None:
    for signer, status in ((forger(recorded), 403), (recorded.signer, 204)):
        credential = (signer.access_key_id, signer.secret_access_key)
        form = posted_form(recorded.gateway.host, credential, b"file", bucket="aaa", signature_version=version)
        recorded.upstream.reset()
        reply = recorded.ask(form.request())
        assert reply.status == status
        if status == 403:
            assert reply.code == "SignatureDoesNotMatch"
            recorded.upstream.assert_untouched()


def test_five_gibibytes_for_a_denied_bucket_are_refused_at_once_and_not_read(recorded: Recorded) -> None:
    head = recorded.scoped.head("PUT", "/bbb/k", sha256=UNSIGNED_PAYLOAD, unsigned=[("Content-Length", str(5 << 30))])
    before = recorded.gateway.bytes_read()
    with recorded.connect(timeout=1.0) as connection:
        connection.send(head)
        for _ in range(64):  # as much as fits between the two, and no answer is waited for
            try:
                connection.send(bytes(65536))
            except OSError:
                break
        reply = connection.reply()
        assert (reply.status, reply.code) == (403, "AccessDenied")
        assert recorded.gateway.bytes_read() - before < 1 << 20
    recorded.upstream.assert_untouched()
