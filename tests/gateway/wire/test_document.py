"""Control documents: held whole, bounded, verified, and sent in words of ours."""

import base64
import hashlib

from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.wire import RunningEngine

PARTS = (
    b'<?xml version="1.0"?>\n<CompleteMultipartUpload>\n <Part><ETag>"a"</ETag><PartNumber>1</PartNumber></Part>'
    b"</CompleteMultipartUpload>"
)
WRITTEN = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<CompleteMultipartUpload '
    b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Part><ETag>&quot;a&quot;</ETag><PartNumber>1</PartNumber></Part>'
    b"</CompleteMultipartUpload>"
)
TARGET = "/bucket/k?uploadId=u"


def test_a_document_is_written_anew_with_digests_of_its_own(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = canned(ok(b"<CompleteMultipartUploadResult/>"))
    with gateway.connect() as client:
        client.send(gateway.signer.head("POST", TARGET, body=PARTS) + PARTS)
        assert client.reply().status == 200
    request = upstream.only_request()
    assert request.body == WRITTEN
    assert request.header(b"x-amz-content-sha256") == hashlib.sha256(WRITTEN).hexdigest().encode()
    assert request.header(b"content-md5") == base64.b64encode(hashlib.md5(WRITTEN).digest())


def test_a_document_over_its_limit_is_refused_by_its_head(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    size = gateway.limits.control_body + 1
    with gateway.connect() as client:
        client.send(gateway.signer.head("POST", TARGET, [("Content-Length", str(size))], body=None))
        assert client.reply().code == "EntityTooLarge"
    upstream.assert_untouched()


def test_what_a_document_took_of_the_memory_is_given_back(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    before = gateway.engine.memory.taken
    for body in (PARTS, b"<Complete>"):
        with gateway.connect() as client:
            client.send(gateway.signer.head("POST", TARGET, body=body) + body)
            client.reply()
    assert gateway.call(lambda: gateway.engine.memory.taken) == before
