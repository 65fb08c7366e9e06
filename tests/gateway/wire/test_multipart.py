"""Uploads are noted from what the store replies; what the client gets stays what the store sent, byte for byte."""

import threading
from collections.abc import Mapping

import pytest

from keystore.uploads import Note, Upload
from tests.support.raw_client import RawReply
from tests.support.recording_upstream import Exchange, RecordingUpstream, Script, canned, chunked, in_pieces, ok
from tests.support.wire import ACCESS_KEY_ID, RunningEngine, wait_until

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
BEGUN = DECLARATION + (
    b'<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>bucket</Bucket>'
    b"<Key>a b</Key><UploadId>i&amp;1</UploadId></InitiateMultipartUploadResult>\n\n"
)
UPLOAD = Upload("bucket", b"a b", b"i&1")
RESULT = b"<CompleteMultipartUploadResult><Location>x</Location><ETag>e</ETag></CompleteMultipartUploadResult>"
FAILED = b"<Error><Code>InternalError</Code><Message>no</Message></Error>"
PARTS = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>"
NAMED = "/bucket/a%20b?uploadId=i%261"


def noted(gateway: RunningEngine) -> Mapping[Upload, Note]:
    taken = gateway.call(gateway.engine.uploads.take)
    return {
        upload: note._replace(begun_at=0, completing_at=int(note.completing_at > 0)) for upload, note in taken.items()
    }


def begin(gateway: RunningEngine) -> RawReply:
    with gateway.connect() as client:
        client.send(gateway.signer.head("POST", "/bucket/a%20b?uploads", [("Content-Length", "0")]))
        return client.reply()


def complete(gateway: RunningEngine) -> RawReply:
    with gateway.connect() as client:
        client.send(gateway.signer.head("POST", NAMED, body=PARTS) + PARTS)
        return client.reply()


def abort(gateway: RunningEngine) -> RawReply:
    with gateway.connect() as client:
        client.send(gateway.signer.head("DELETE", NAMED))
        return client.reply()


@pytest.mark.parametrize(
    "script",
    [
        canned(ok(BEGUN)),
        chunked(BEGUN[:70], BEGUN[70:200], BEGUN[200:]),
        in_pieces([ok(BEGUN)[:90], ok(BEGUN)[90:-100], ok(BEGUN)[-100:]]),
    ],
)
def test_a_beginning_is_noted_under_its_key_and_relayed_as_it_came(
    gateway: RunningEngine, upstream: RecordingUpstream, script: Script
) -> None:
    upstream.script = script
    reply = begin(gateway)
    assert (reply.status, reply.body) == (200, BEGUN)
    assert noted(gateway) == {UPLOAD: Note(ACCESS_KEY_ID)}


@pytest.mark.parametrize("reply", [ok(FAILED, status=b"503 Slow Down"), ok(b"hello"), ok(b"")])
def test_what_begins_nothing_is_not_noted(gateway: RunningEngine, upstream: RecordingUpstream, reply: bytes) -> None:
    upstream.script = canned(reply)
    begin(gateway)
    assert noted(gateway) == {}


@pytest.mark.parametrize(
    ("reply", "status", "note"),
    [
        (ok(RESULT), 200, Note(ended=True)),
        (ok(DECLARATION + RESULT), 200, Note(ended=True)),
        (ok(FAILED), 200, Note()),
        (ok(FAILED, status=b"500 Internal Server Error"), 500, Note()),
        (ok(FAILED.replace(b"InternalError", b"NoSuchUpload"), status=b"404 Not Found"), 404, Note(ended=True)),
    ],
)
def test_a_completion_is_over_only_with_a_result(
    gateway: RunningEngine, upstream: RecordingUpstream, reply: bytes, status: int, note: Note
) -> None:
    upstream.script = canned(reply)
    assert complete(gateway).status == status
    assert noted(gateway) == {UPLOAD: note}


def test_a_completion_behind_minutes_of_white_space_is_over_too(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = chunked(DECLARATION, b" ", b"\n  ", b" ", RESULT[:20], RESULT[20:])
    reply = complete(gateway)
    assert reply.body.startswith(DECLARATION)
    assert b"<ETag>e</ETag>" in reply.body
    assert noted(gateway) == {UPLOAD: Note(ended=True)}


def test_what_the_store_is_completing_is_noted_before_it_answers_and_stays_so_when_it_never_does(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    seen: list[Mapping[Upload, Note]] = []
    over = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        seen.append(noted(gateway))
        exchange.close()
        over.set()

    upstream.script = script
    assert complete(gateway).status == 503
    assert over.wait(10)
    assert seen == [{UPLOAD: Note(completing_at=1)}]
    assert noted(gateway) == {}


def test_a_completion_that_the_store_never_heard_of_is_not_noted(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("POST", NAMED, body=PARTS) + PARTS[:-1])
        wait_until(lambda: gateway.engine.connections == 1)
        gateway.directory.revoke()
        client.send(PARTS[-1:])
        assert client.reply().status == 403
    upstream.assert_untouched()
    assert noted(gateway) == {}


@pytest.mark.parametrize(
    ("status", "notes"),
    [
        (b"204 No Content", {UPLOAD: Note(ended=True)}),
        (b"404 Not Found", {UPLOAD: Note(ended=True)}),
        (b"403 Forbidden", {}),
        (b"503 Slow Down", {}),
    ],
)
def test_an_abort_is_over_when_the_store_says_so(
    gateway: RunningEngine, upstream: RecordingUpstream, status: bytes, notes: Mapping[Upload, Note]
) -> None:
    upstream.script = canned(
        b"HTTP/1.1 %b\r\n%b\r\n" % (status, b"" if status[:3] == b"204" else b"Content-Length: 0\r\n")
    )
    abort(gateway)
    assert noted(gateway) == notes


def test_the_client_has_the_reply_only_once_it_is_noted(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = canned(ok(BEGUN))
    for _ in range(20):
        begin(gateway)
        assert noted(gateway) != {}


def test_nothing_else_is_noted(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    with gateway.connect() as client:
        for head in (
            gateway.signer.head("GET", "/bucket/k"),
            gateway.signer.head("PUT", "/bucket/k", body=b"x") + b"x",
            gateway.signer.head("PUT", "/bucket/k?partNumber=1&uploadId=i", body=b"x") + b"x",
            gateway.signer.head("DELETE", "/bucket/k"),
        ):
            client.send(head)
            client.reply()
    assert noted(gateway) == {}
