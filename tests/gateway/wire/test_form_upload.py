"""Upload forms over a socket: what is asked of the store, what the client hears, and what never leaves."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from keystore.scope import BucketGrant, SpecificBuckets
from tests.support.posted import BOUNDARY, PostedForm, posted_form
from tests.support.raw_client import RawReply
from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.wire import ACCESS_KEY_ID, SECRET, RunningEngine, wait_until

MIB = 1024 * 1024
FILES = {
    "empty": b"",
    "small": b"a small file",
    "waiting": random.Random(5).randbytes(3 * MIB + 1),
    "large": random.Random(6).randbytes(9 * MIB + 5),  # over the limit of the spool: streamed
}
files = pytest.mark.parametrize("size", list(FILES))
held = pytest.mark.parametrize("size", ["small", "waiting"])


def form(gateway: RunningEngine, content: bytes, *, secret: str = SECRET, **more: Any) -> PostedForm:
    return posted_form(f"127.0.0.1:{gateway.port}", (ACCESS_KEY_ID, secret), content, **more)


def post(gateway: RunningEngine, request: bytes) -> RawReply:
    with gateway.connect() as client:
        with suppress(OSError):  # the answer was there before the end
            client.send(request)
        return client.reply()


def spent(gateway: RunningEngine) -> tuple[int, int]:
    return gateway.call(lambda: (gateway.engine.memory.taken, gateway.engine.spool_room.files.taken))


# ---- what the store is asked ----


@files
@pytest.mark.parametrize("te_chunked", [False, True], ids=["content-length", "te-chunked"])
def test_the_file_arrives_as_a_signed_put(
    gateway: RunningEngine, upstream: RecordingUpstream, size: str, te_chunked: bool
) -> None:
    asked = form(gateway, FILES[size], object_key="a/${filename}", te_chunked=te_chunked)
    reply = post(gateway, asked.request())
    if size == "large" and te_chunked:  # its length cannot be promised
        assert (reply.status, reply.code) == (411, "MissingContentLength")
        upstream.assert_untouched()
        return
    assert reply.status == 204
    request = upstream.only_request()
    assert request.line == b"PUT /bucket/a/a%20file.txt HTTP/1.1"
    assert bytes(request.body) == FILES[size]
    assert request.header(b"content-length") == b"%d" % len(FILES[size])
    assert b"Credential=upstream/" in request.header(b"authorization")
    assert request.values(b"transfer-encoding") == []
    assert not any(name.startswith(b"x-amz-meta") or name == b"policy" for name, _ in request.headers)
    assert spent(gateway) == (0, 0)


def test_fields_become_headers(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    fields = {"Content-Type": "image/png", "x-amz-meta-who": "me", "Cache-Control": "no-store"}
    assert post(gateway, form(gateway, b"x", fields=fields).request()).status == 204
    request = upstream.only_request()
    assert request.header(b"content-type") == b"image/png"
    assert request.header(b"x-amz-meta-who") == b"me"
    assert request.header(b"cache-control") == b"no-store"


@held
def test_fields_behind_the_file_are_ignored(gateway: RunningEngine, upstream: RecordingUpstream, size: str) -> None:
    asked = form(gateway, FILES[size], behind=[("key", "elsewhere"), ("x-amz-meta-more", "1")])
    assert post(gateway, asked.request()).status == 204
    request = upstream.only_request()
    assert (request.line, bytes(request.body)) == (b"PUT /bucket/k HTTP/1.1", FILES[size])


def test_a_form_in_bytes_arrives_too(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    with gateway.connect() as client:
        client.send_slowly(form(gateway, b"\r\n--a\r\n-- a file").request(), piece=40, pause=0.001)
        assert client.reply().status == 204
    assert bytes(upstream.only_request().body) == b"\r\n--a\r\n-- a file"


def test_two_forms_and_a_get_on_one_connection(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    with gateway.connect() as client:
        for content in (b"one", b"two"):
            client.send(form(gateway, content).request())
            assert client.reply().status == 204
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 200
    assert [bytes(request.body) for request in upstream.requests] == [b"one", b"two", b""]


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_client_that_expects_is_told_to_continue_once(
    gateway: RunningEngine, upstream: RecordingUpstream, size: str
) -> None:
    request = form(gateway, FILES[size]).request(headers=["Expect: 100-continue"])
    head, _, body = request.partition(b"\r\n\r\n")
    with gateway.connect() as client:
        client.send(head + b"\r\n\r\n")
        assert client.reply().status == 100
        client.send(body)
        assert client.reply().status == 204
    assert bytes(upstream.only_request().body) == FILES[size]


# ---- what the client hears ----


def test_201_has_a_document(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.reset(canned(ok(b"", b'ETag: "abc"', b"x-amz-version-id: v1")))
    reply = post(gateway, form(gateway, b"x", fields={"success_action_status": "201"}).request())
    assert reply.status == 201
    location = b"http://127.0.0.1:%d/bucket/k" % gateway.port
    assert reply.header(b"location") == location
    assert reply.header(b"x-amz-version-id") == b"v1"
    assert b"<Location>%b</Location><Bucket>bucket</Bucket><Key>k</Key>" % location in reply.body
    assert b"abc" in reply.body


def test_303_goes_where_the_policy_allows(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.reset(canned(ok(b"", b'ETag: "abc"')))
    fields = {"success_action_redirect": "https://example.com/done?a=1"}
    reply = post(gateway, form(gateway, b"x", fields=fields).request())
    assert reply.status == 303
    assert reply.header(b"location") == b"https://example.com/done?a=1&bucket=bucket&key=k&etag=%22abc%22"


def test_204_has_no_length(gateway: RunningEngine) -> None:
    assert post(gateway, form(gateway, b"x").request()).values(b"content-length") == []


def test_an_error_of_the_store_is_the_answer(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    refused = b"<Error><Code>NoSuchBucket</Code><Message>m</Message></Error>"
    upstream.reset(canned(ok(refused, status=b"404 Not Found")))
    reply = post(gateway, form(gateway, b"x").request())
    assert (reply.status, reply.code) == (404, "NoSuchBucket")


# ---- what never leaves ----


def reaches_nobody(gateway: RunningEngine, upstream: RecordingUpstream, request: bytes, *expected: object) -> None:
    reply = post(gateway, request)
    assert (reply.status, reply.code) == expected
    upstream.assert_untouched()
    assert spent(gateway) == (0, 0)


@files
def test_a_garbage_signature(gateway: RunningEngine, upstream: RecordingUpstream, size: str) -> None:
    asked = form(gateway, FILES[size], secret="another-secret-of-another-key")
    reaches_nobody(gateway, upstream, asked.request(), 403, "SignatureDoesNotMatch")


@files
def test_a_bucket_out_of_scope(upstream: RecordingUpstream, size: str) -> None:
    with RunningEngine(upstream.port, scope=SpecificBuckets((BucketGrant("other"),))) as gateway:
        reaches_nobody(gateway, upstream, form(gateway, FILES[size]).request(), 403, "AccessDenied")


@files
def test_a_revoked_key(gateway: RunningEngine, upstream: RecordingUpstream, size: str) -> None:
    gateway.call(gateway.directory.revoke)
    reaches_nobody(gateway, upstream, form(gateway, FILES[size]).request(), 403, "InvalidAccessKeyId")


def test_a_field_the_policy_does_not_know(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    asked = form(gateway, b"x")
    changed = replace(asked, fields={**asked.fields, "x-amz-meta-a": "1"})
    reaches_nobody(gateway, upstream, changed.request(), 403, "AccessDenied")


def test_a_form_posted_to_another_bucket(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    reaches_nobody(gateway, upstream, replace(form(gateway, b"x"), bucket="other").request(), 403, "AccessDenied")


@files
@pytest.mark.parametrize(("bounds", "code"), [((0, 3), "EntityTooLarge"), ((2**30, 2**31), "EntityTooSmall")])
def test_a_file_of_another_size(
    gateway: RunningEngine, upstream: RecordingUpstream, size: str, bounds: tuple[int, int], code: str
) -> None:
    if size == "empty" and code == "EntityTooLarge":
        return
    asked = form(gateway, FILES[size], conditions=[["content-length-range", *bounds]])
    reaches_nobody(gateway, upstream, asked.request(), 400, code)


@held
def test_a_wrong_checksum(gateway: RunningEngine, upstream: RecordingUpstream, size: str) -> None:
    asked = form(gateway, FILES[size], fields={"x-amz-checksum-crc32": "AAAAAQ=="})
    reaches_nobody(gateway, upstream, asked.request(), 400, "BadDigest")


def test_a_wrong_checksum_of_a_large_file_commits_nothing(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    asked = form(gateway, FILES["large"], fields={"x-amz-checksum-crc32": "AAAAAQ=="})
    reply = post(gateway, asked.request())
    assert (reply.status, reply.code) == (400, "BadDigest")
    assert not upstream.only_request().complete


CLOSING = f"\r\n--{BOUNDARY}--\r\n".encode()
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "no closing delimiter": lambda body: body[: -len(CLOSING)],
    "another boundary": lambda body: body.replace(CLOSING, b"\r\n--another--\r\n"),
    "no file": lambda body: body[: body.index(b'name="file"') - 40] + CLOSING[2:],
    "nothing": lambda body: b"",
}


@held
@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_form(gateway: RunningEngine, upstream: RecordingUpstream, size: str, how: str) -> None:
    asked = form(gateway, FILES[size])
    reply = post(gateway, asked.request(BROKEN[how](asked.body)))
    assert reply.status == 400
    assert reply.code in ("MalformedPOSTRequest", "IncorrectNumberOfFilesInPostRequest")
    upstream.assert_untouched()


@pytest.mark.parametrize("how", ["no closing delimiter", "another boundary"])
def test_a_broken_large_form_commits_nothing(gateway: RunningEngine, upstream: RecordingUpstream, how: str) -> None:
    asked = form(gateway, FILES["large"])
    reply = post(gateway, asked.request(BROKEN[how](asked.body)))
    assert (reply.status, reply.code) == (400, "MalformedPOSTRequest")
    assert not any(request.complete for request in upstream.requests)


def test_fields_behind_a_large_file_commit_nothing(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    """Its length was promised to the store."""
    reply = post(gateway, form(gateway, FILES["large"], behind=[("submit", "Upload")]).request())
    assert (reply.status, reply.code) == (400, "MalformedPOSTRequest")
    assert not any(request.complete for request in upstream.requests)


def test_more_than_20_kib_before_the_file(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    asked = form(gateway, b"x", fields={"x-amz-meta-a": "a" * 30_000})
    reaches_nobody(gateway, upstream, asked.request(), 400, "MaxPostPreDataLengthExceededError")


def test_an_authorization_beside_the_form(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    request = form(gateway, b"x").request(headers=["Authorization: AWS4-HMAC-SHA256 Credential=a"])
    reaches_nobody(gateway, upstream, request, 400, "InvalidArgument")


@pytest.mark.parametrize("size", ["waiting", "large"])
def test_a_key_revoked_before_the_end_commits_nothing(
    gateway: RunningEngine, upstream: RecordingUpstream, size: str
) -> None:
    request = form(gateway, FILES[size]).request()
    with gateway.connect() as client:
        client.send(request[:-10])
        if size == "large":
            upstream.wait_for_requests(1)
        else:
            wait_until(lambda: spent(gateway)[1] >= len(FILES[size]) - 100)
        gateway.call(gateway.directory.revoke)
        client.send(request[-10:])
        reply = client.reply()
    assert (reply.status, reply.code) == (403, "InvalidAccessKeyId")
    assert not any(request.complete for request in upstream.requests)


@files
def test_a_client_that_leaves(gateway: RunningEngine, upstream: RecordingUpstream, size: str) -> None:
    request = form(gateway, FILES[size]).request()
    with gateway.connect() as client:
        client.send(request[:-1] if size != "empty" else request[:300])
    wait_until(lambda: not gateway.call(lambda: gateway.engine.connections))
    assert not any(request.complete for request in upstream.requests)
    assert spent(gateway) == (0, 0)


def test_a_large_form_waits_for_a_busy_store(upstream: RecordingUpstream) -> None:
    """Nothing of the file is lost while there is no connection."""
    with RunningEngine(upstream.port, upstream_connections=1) as gateway:
        asked = form(gateway, FILES["large"])
        with gateway.connect() as first, gateway.connect() as second:
            head = gateway.signer.head("PUT", "/bucket/first", body=FILES["waiting"])
            first.send(head + FILES["waiting"][:-1])
            upstream.wait_for_requests(1)
            second.send(asked.request()[: MIB // 2])
            first.send(FILES["waiting"][-1:])
            assert first.reply().status == 200
            second.send(asked.request()[MIB // 2 :])
            assert second.reply().status == 204
    assert [bytes(request.body) for request in upstream.requests] == [FILES["waiting"], FILES["large"]]
