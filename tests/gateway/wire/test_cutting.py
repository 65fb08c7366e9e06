"""What a change ends, what it comes too late for, and what it leaves alone."""

import asyncio
import random
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.wire.cutting import Cutter
from keystore.bucket_claims import BucketClaim, ClaimState, Tenure
from keystore.scope import BucketGrant, SpecificBuckets
from tests.support.recording_upstream import (
    Exchange,
    RecordingUpstream,
    Script,
    canned,
    never_answers,
    ok,
)
from tests.support.wire import ACCESS_KEY_ID, RunningEngine, wait_until

LARGE = random.Random(5).randbytes(4 << 20)


@pytest.fixture
def gateway(upstream: RecordingUpstream) -> Iterator[RunningEngine]:
    with RunningEngine(upstream.port, upstream_connections=2, upstream_wait_timeout=10) as running:
        yield running


def change(gateway: RunningEngine, seq: int = 7, access_key_id: str | None = ACCESS_KEY_ID) -> None:
    """What the directory does after it has read a change."""
    gateway.call(lambda: Cutter(gateway.engine).on_change(seq, access_key_id))


def revoke(gateway: RunningEngine, seq: int = 7) -> None:
    gateway.directory.revoke()
    change(gateway, seq)


def held_back(reply: bytes) -> tuple[Script, threading.Event]:
    """Answers once it is told to."""
    released = threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        assert released.wait(10)
        exchange.send(reply)

    return script, released


# ---- what is ended ----


def test_what_a_draining_key_has_running_finishes_and_nothing_new_begins(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    script, release = held_back(ok(b"hello"))
    upstream.script = script
    with gateway.connect() as down, gateway.connect() as up:
        down.send(gateway.signer.head("GET", "/bucket/k"))
        up.send(gateway.signer.head("PUT", "/bucket/k", body=LARGE, sha256="UNSIGNED-PAYLOAD"))
        up.send(LARGE[: 3 << 20])
        upstream.wait_for_requests(2)
        gateway.directory.revoke(drain=True)
        change(gateway)
        up.send(LARGE[3 << 20 :])
        release.set()
        assert (down.reply().status, up.reply().status) == (200, 200)
        for client in (down, up):
            client.send(gateway.signer.head("GET", "/bucket/k"))
            assert client.reply().code == "InvalidAccessKeyId"
    assert gateway.board.told == []
    assert len(upstream.requests) == 2


def test_revoking_once_more_ends_what_drains(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = never_answers
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        upstream.wait_for_requests(1)
        gateway.directory.revoke(drain=True)
        change(gateway)
        revoke(gateway, 8)
        assert client.reply().code == "InvalidAccessKeyId"
    assert gateway.board.told == [(8, 1, [])]


def test_a_download_is_reset_in_the_middle(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    def half(exchange: Exchange) -> None:
        exchange.send(ok(b"x" * 1000)[:-500])
        exchange.wait_for_end()

    upstream.script = half
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.socket.recv(16).startswith(b"HTTP/1.1 200")
        revoke(gateway)
        assert client.is_reset()
    assert gateway.board.told == [(7, 1, [])]


def test_a_download_the_store_has_not_answered_yet_is_refused(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = never_answers
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        upstream.wait_for_requests(1)
        revoke(gateway)
        assert client.reply().code == "InvalidAccessKeyId"
    assert gateway.board.told == [(7, 1, [])]


def test_an_upload_whose_body_flows_is_never_whole(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=LARGE, sha256="UNSIGNED-PAYLOAD"))
        client.send(LARGE[: 3 << 20])
        upstream.wait_for_requests(1)
        revoke(gateway)
        assert client.reply().code == "InvalidAccessKeyId"
    wait_until(lambda: gateway.call(lambda: gateway.engine.upstream.pool.open) == 0)
    assert not upstream.requests[0].complete
    assert gateway.board.told == [(7, 1, [])]


def test_what_waits_for_its_body_or_for_a_connection_never_reaches_the_store(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = never_answers
    with gateway.connect() as first, gateway.connect() as second, gateway.connect() as third, gateway.connect() as last:
        for client, key in ((first, "1"), (second, "2")):
            client.send(gateway.signer.head("GET", f"/bucket/{key}"))
        upstream.wait_for_requests(2)
        third.send(gateway.signer.head("DELETE", "/bucket/k"))
        wait_until(lambda: gateway.call(lambda: len(gateway.engine.upstream.pool._waiting)) == 1)
        last.send(gateway.signer.head("PUT", "/bucket/k", body=b"xy"))
        last.send(b"x")
        wait_until(lambda: gateway.call(lambda: sum(bool(one.exchange) for one in gateway.engine.clients)) == 4)
        revoke(gateway)
        for client in (first, second, third, last):
            assert client.reply().code == "InvalidAccessKeyId"
    assert [request.line[:3] for request in upstream.requests] == [b"GET", b"GET"]
    assert gateway.board.told == [(7, 4, [])]


def test_a_request_in_a_bucket_that_changed_hands_is_ended(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = never_answers
    with gateway.connect() as client, gateway.connect() as other:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        other.send(gateway.signer.head("GET", "/another/k"))
        upstream.wait_for_requests(2)
        gateway.directory.claims["bucket"] = BucketClaim("bucket", "tenant", 1, ClaimState.HELD, 1, "ann")
        change(gateway, access_key_id=None)
        assert client.reply().code == "AccessDenied"
        assert gateway.call(lambda: sum(bool(one.exchange) for one in gateway.engine.clients)) == 1
    assert gateway.board.told == [(7, 1, [])]


def test_a_narrowed_key_keeps_what_it_still_may_do(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    script, release = held_back(ok(b"hello"))
    upstream.script = script
    with gateway.connect() as kept, gateway.connect() as lost:
        kept.send(gateway.signer.head("GET", "/bucket/k"))
        lost.send(gateway.signer.head("GET", "/another/k"))
        upstream.wait_for_requests(2)
        record = gateway.directory.held
        assert record is not None
        gateway.directory.held = replace(record, scope=SpecificBuckets((BucketGrant("bucket"),)))
        change(gateway)
        assert lost.reply().code == "AccessDenied"
        release.set()
        assert kept.reply().status == 200
    assert gateway.board.told == [(7, 1, [])]


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", "/bucket/k", None),
        ("GET", "/", None),
        ("PUT", "/bucket/k", b"xy"),
        ("PUT", "/bucket/k", LARGE),
        ("DELETE", "/bucket", None),
        ("PUT", "/newbucket", b""),
        (
            "POST",
            "/bucket/k?uploadId=u",
            b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>",
        ),
    ],
    ids=["download", "list", "small upload", "large upload", "bucket deleted", "bucket made", "document"],
)
def test_a_request_that_is_cut_by_a_look_up_of_its_own_is_answered_once_and_never_sent(
    gateway: RunningEngine, upstream: RecordingUpstream, method: str, target: str, body: bytes | None
) -> None:
    """Whatever asks the directory may be what reads the change: while the request is planned, as at any other time."""
    record = gateway.directory.held
    asked: list[str] = []

    def store_credential(account: str) -> None:
        """As a refresh does, on the loop, deep in the planning of the request."""
        asked.append(account)
        if len(asked) == 1:
            gateway.directory.revoke()
            Cutter(gateway.engine).on_change(7, ACCESS_KEY_ID)

    def broken() -> None:
        gateway.engine.upstream.signers._credential_of = store_credential

    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/next"))
        assert client.reply().status == 200  # a connection to the store is idle: the request could leave at once
        gateway.call(broken)
        client.send(gateway.signer.head(method, target, body=body) + (body or b""))
        assert client.reply().code == "InvalidAccessKeyId"
    gateway.directory.held = record
    upstream.script = canned(ok(b"the next one"))
    with gateway.connect() as client:  # over the connection that was idle
        client.send(gateway.signer.head("GET", "/bucket/next"))
        assert client.reply().body == b"the next one"
    assert upstream.connections == 1
    assert [request.line for request in upstream.requests if b"next" not in request.line] == []


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", []),
        ("HEAD", []),
        ("DELETE", []),
        ("PUT", [("x-amz-copy-source", "/bucket/from"), ("Content-Length", "0")]),
    ],
)
def test_a_change_that_is_read_while_a_request_is_judged_counts_for_it(
    gateway: RunningEngine, upstream: RecordingUpstream, method: str, headers: list[tuple[str, str]]
) -> None:
    """Its key was looked up before its bucket, and nobody ends what is not admitted yet: the revoke is confirmed."""
    told: list[int] = []

    def tenure_of(bucket: str) -> Tenure:
        if not told:
            told.append(7)
            gateway.directory.revoke()
            Cutter(gateway.engine).on_change(7, ACCESS_KEY_ID)
        return gateway.directory.tenure(bucket)

    def broken() -> None:
        gateway.engine._lookups = gateway.engine._lookups._replace(tenure_of=tenure_of)

    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/warm"))
        assert client.reply().status == 200
        gateway.call(broken)
        client.send(gateway.signer.head(method, "/bucket/k", headers))
        assert client.reply(head_request=method == "HEAD").status == 403
    assert told == [7]
    assert [request.line for request in upstream.requests if b"warm" not in request.line] == []


# ---- what it comes too late for ----


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "reply", "named"),
    [
        ("DELETE", "/bucket/k", [], None, b"HTTP/1.1 204 No Content\r\n\r\n", "DeleteObject bucket/k"),
        ("PUT", "/bucket/k", [], b"xy", ok(), "PutObject bucket/k"),
        (
            "PUT", "/bucket/k", [("x-amz-copy-source", "/bucket/from"), ("Content-Length", "0")], None,
            ok(b"<CopyObjectResult/>"), "CopyObject bucket/k",
        ),
    ],
)  # fmt: skip
def test_what_the_store_has_in_full_is_counted_named_and_answered(
    gateway: RunningEngine,
    upstream: RecordingUpstream,
    method: str,
    target: str,
    headers: list[tuple[str, str]],
    body: bytes | None,
    reply: bytes,
    named: str,
) -> None:
    script, release = held_back(reply)
    upstream.script = script
    with gateway.connect() as client:
        client.send(gateway.signer.head(method, target, headers, body=body) + (body or b""))
        upstream.wait_for_requests(1)
        revoke(gateway)
        revoke(gateway, 8)
        assert gateway.board.told == [(7, 0, [named]), (8, 0, [named])]
        assert gateway.board.answered == []
        release.set()
        assert client.reply().status in (200, 204)
    assert gateway.board.answered == [(7, named), (8, named)]


def test_an_upload_of_which_the_last_block_is_written_is_in_the_store(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    script, release = held_back(ok())
    upstream.script = script
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=LARGE, sha256="UNSIGNED-PAYLOAD") + LARGE)
        wait_until(lambda: bool(upstream.requests) and upstream.requests[0].complete)
        revoke(gateway)
        release.set()
        assert client.reply().status == 200
    assert gateway.board.told == [(7, 0, ["PutObject bucket/k"])]


def test_what_the_store_never_answered_is_not_called_settled(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = never_answers
    with gateway.connect() as client:
        client.send(gateway.signer.head("DELETE", "/bucket/k"))
        upstream.wait_for_requests(1)
        revoke(gateway)
        upstream.drop_connections()
        assert client.reply().code == "ServiceUnavailable"
    assert gateway.board.told == [(7, 0, ["DeleteObject bucket/k"])]
    assert gateway.board.answered == []


# ---- what it leaves alone ----


def test_other_keys_and_finished_requests_are_left_alone(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    script, release = held_back(ok(b"hello"))
    with gateway.connect() as idle, gateway.connect() as client, gateway.connect() as silent:
        idle.send(gateway.signer.head("GET", "/bucket/k"))
        assert idle.reply().status == 200
        silent.send(b"GET /half")
        upstream.script = script
        client.send(gateway.signer.head("GET", "/bucket/k"))
        upstream.wait_for_requests(2)
        change(gateway, access_key_id="NQAKsomebodyelse0000")
        change(gateway, access_key_id=ACCESS_KEY_ID)
        change(gateway, access_key_id=None)
        release.set()
        assert client.reply().status == 200
        idle.send(gateway.signer.head("GET", "/bucket/k"))
        assert idle.reply().status == 200
    assert gateway.board.told == []


def test_a_bucket_that_is_being_released_is_not_denied_to_who_deleted_it(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    """Its release makes the name the default account's: the same request would be refused now."""
    releasing, released = threading.Event(), threading.Event()

    async def release_bucket(name: str, version: int, actor: str) -> None:
        del gateway.directory.claims[name]
        releasing.set()
        await asyncio.get_running_loop().run_in_executor(None, released.wait, 10)

    gateway.directory.release_bucket = release_bucket  # type: ignore[method-assign]  # of this directory
    gateway.directory.claims["bucket"] = BucketClaim("bucket", "tenant", 1, ClaimState.HELD, 1, "ann")
    record = gateway.directory.held
    assert record is not None
    gateway.directory.held = replace(record, account="tenant")
    upstream.script = canned(b"HTTP/1.1 204 No Content\r\n\r\n")
    with gateway.connect() as client:
        client.send(gateway.signer.head("DELETE", "/bucket"))
        assert releasing.wait(10)
        change(gateway, access_key_id=None)
        released.set()
        assert client.reply().status == 204
    assert gateway.board.told == []


def test_a_keystore_that_cannot_answer_ends_nothing(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    script, release = held_back(ok(b"hello"))
    upstream.script = script
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        upstream.wait_for_requests(1)
        gateway.directory.broken = True
        change(gateway, access_key_id=None)
        release.set()
        assert client.reply().status == 200
    assert gateway.board.told == []


def test_a_bug_while_cutting_resets_that_connection_and_the_others_are_looked_at(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = never_answers
    with gateway.connect() as one, gateway.connect() as two:
        for client in (one, two):
            client.send(gateway.signer.head("GET", "/bucket/k"))
        upstream.wait_for_requests(2)

        def record(access_key_id: str) -> None:
            raise ZeroDivisionError

        def broken() -> None:
            gateway.engine._lookups = gateway.engine._lookups._replace(record=record)

        gateway.call(broken)
        change(gateway)
        for client in (one, two):
            with pytest.raises((ConnectionError, EOFError)):
                client.reply()
    assert gateway.board.told == [(7, 2, [])]


# ---- a lease that ran out ----


def test_when_nothing_can_be_proven_any_more_nothing_more_of_what_runs_is_released(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    def half(exchange: Exchange) -> None:
        if exchange.request.line.startswith(b"GET"):
            exchange.send(ok(b"x" * 1000)[:-500])
        exchange.wait_for_end()

    upstream.script = half
    with gateway.connect() as down, gateway.connect() as up:
        down.send(gateway.signer.head("GET", "/bucket/k"))
        assert down.socket.recv(16).startswith(b"HTTP/1.1 200")
        up.send(gateway.signer.head("PUT", "/bucket/k", body=LARGE, sha256="UNSIGNED-PAYLOAD") + LARGE[: 2 << 20])
        upstream.wait_for_requests(2)
        gateway.call(lambda: Cutter(gateway.engine).on_lapse())
        assert down.is_reset()
        assert up.reply().status == 503
    assert not any(request.complete for request in upstream.requests)
    assert gateway.board.told == []


def test_what_the_store_has_in_full_is_answered_after_the_lease(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    script, release = held_back(b"HTTP/1.1 204 No Content\r\n\r\n")
    upstream.script = script
    with gateway.connect() as client:
        client.send(gateway.signer.head("DELETE", "/bucket/k"))
        upstream.wait_for_requests(1)
        gateway.call(lambda: Cutter(gateway.engine).on_lapse())
        release.set()
        assert client.reply().status == 204
