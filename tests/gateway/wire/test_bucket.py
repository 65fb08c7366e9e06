"""A name is claimed before the store makes its bucket, and given back when it did not; a deleted one's is free."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from keystore.bucket_claims import BucketClaim, ClaimState, Tenure, tenure
from keystore.derived import UpstreamCredential
from keystore.errors import Conflict, KeystoreUnavailable
from keystore.scope import AllBuckets, BucketGrant, Rights, Scope, SpecificBuckets
from keystore.store import Claimed
from tests.support.raw_client import RawReply
from tests.support.recording_upstream import (
    Exchange,
    RecordingUpstream,
    Script,
    canned,
    close_without_answer,
    in_turn,
    never_answers,
    ok,
)
from tests.support.wire import RunningEngine, wait_until

ABSENT = canned(ok(status=b"404 Not Found"))
THERE = canned(ok())
MADE = canned(ok())
GONE = canned(b"HTTP/1.1 204 No Content\r\n\r\n")
OTHERS = BucketClaim("photos", "others", 1, ClaimState.HELD, 1, "ann")


def refusing(status: bytes, code: bytes) -> Script:
    return canned(ok(b"<Error><Code>%b</Code><Message>no</Message></Error>" % code, status=status))


def make(gateway: RunningEngine, account: str = "default", scope: Scope | None = None) -> RawReply:
    become(gateway, account, scope or AllBuckets())
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/photos", [("Content-Length", "0")]))
        return client.reply()


def become(gateway: RunningEngine, account: str, scope: Scope) -> None:
    record = gateway.directory.held
    assert record is not None
    gateway.directory.held = replace(record, account=account, scope=scope)


def delete(gateway: RunningEngine) -> RawReply:
    with gateway.connect() as client:
        client.send(gateway.signer.head("DELETE", "/photos"))
        return client.reply()


def owner(gateway: RunningEngine) -> Tenure:
    return tenure(gateway.directory.claims.get("photos"))


def lines(upstream: RecordingUpstream) -> list[bytes]:
    return [request.line for request in upstream.requests]


LOOK, MAKE, DELETE = b"HEAD /photos HTTP/1.1", b"PUT /photos HTTP/1.1", b"DELETE /photos HTTP/1.1"


@pytest.mark.parametrize(("account", "expected"), [("default", ("default", 0)), ("tenant", ("tenant", 1))])
def test_a_new_bucket_is_looked_for_claimed_and_made(
    gateway: RunningEngine, upstream: RecordingUpstream, account: str, expected: Tenure
) -> None:
    claimed_when_made: list[Tenure] = []

    def made(exchange: Exchange) -> None:
        claimed_when_made.append(owner(gateway))
        MADE(exchange)

    upstream.script = in_turn(ABSENT, made)
    reply = make(gateway, account)
    assert (reply.status, reply.header(b"location")) == (200, b"/photos")
    assert lines(upstream) == [LOOK, MAKE]
    assert claimed_when_made == [expected] == [owner(gateway)]


def test_a_bucket_that_is_there_is_owned_by_you_and_nothing_is_written(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = THERE
    assert make(gateway).code == "BucketAlreadyOwnedByYou"
    assert lines(upstream) == [LOOK]
    assert gateway.directory.claims == {}


def test_a_name_that_another_account_holds_is_not_asked_for(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    gateway.directory.claims["photos"] = OTHERS
    for account in ("default", "tenant"):
        assert make(gateway, account).code == "BucketAlreadyExists"
    upstream.assert_untouched()
    assert gateway.directory.claims["photos"] is OTHERS


@pytest.mark.parametrize("look", [THERE, refusing(b"403 Forbidden", b"AccessDenied"), canned(ok(status=b"301 Moved"))])
def test_an_unclaimed_bucket_of_the_store_is_nobody_elses_to_take(
    gateway: RunningEngine, upstream: RecordingUpstream, look: Script
) -> None:
    upstream.script = look
    assert make(gateway, "tenant").code == "BucketAlreadyExists"
    assert lines(upstream) == [LOOK]
    assert gateway.directory.claims == {}


@pytest.mark.parametrize(("held", "looked_as"), [(False, b"upstream"), (True, b"ITSOWN")])
def test_whether_a_bucket_is_there_is_asked_as_whose_the_name_is(
    gateway: RunningEngine, upstream: RecordingUpstream, looked_as: bytes, *, held: bool
) -> None:
    """A credential of its own may not see the default's buckets, whose names would then be free to take."""
    gateway.directory.credentials["tenant"] = UpstreamCredential("ITSOWN", "own secret")
    if held:
        gateway.directory.claims["photos"] = replace(OTHERS, account="tenant")
    upstream.script = in_turn(ABSENT, MADE)
    assert make(gateway, "tenant").status == 200
    used = [one.header(b"authorization").partition(b"Credential=")[2].partition(b"/")[0] for one in upstream.requests]
    assert used == [looked_as, b"ITSOWN"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (b"400 Bad Request", b"InvalidBucketName"),
        (b"409 Conflict", b"BucketAlreadyExists"),
        (b"403 No", b"AccessDenied"),
    ],
)
def test_what_the_store_refuses_is_told_and_the_claim_undone(
    gateway: RunningEngine, upstream: RecordingUpstream, status: bytes, code: bytes
) -> None:
    upstream.script = in_turn(ABSENT, refusing(status, code))
    assert make(gateway, "tenant").code == code.decode()
    assert owner(gateway) == ("default", 0)
    assert gateway.directory.claims["photos"].version == 2


@pytest.mark.parametrize("outcome", [refusing(b"500 Oops", b"InternalError"), close_without_answer, never_answers])
def test_what_may_have_been_made_keeps_its_claim(
    gateway: RunningEngine, upstream: RecordingUpstream, outcome: Script
) -> None:
    upstream.script = in_turn(ABSENT, outcome)
    assert make(gateway, "tenant").status in (500, 503)
    assert owner(gateway) == ("tenant", 1)


def test_a_client_that_leaves_while_the_store_is_asked_keeps_the_claim(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = in_turn(ABSENT, never_answers)
    become(gateway, "tenant", AllBuckets())
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/photos", [("Content-Length", "0")]))
        upstream.wait_for_requests(2)
    wait_until(lambda: gateway.call(lambda: gateway.engine.connections) == 0)
    assert owner(gateway) == ("tenant", 1)


def while_claiming(gateway: RunningEngine, act: Callable[[], None]) -> None:
    """Something happens while the keystore writes the claim."""
    claim = gateway.directory.claim_bucket

    async def claim_bucket(name: str, account: str, actor: str) -> Claimed:
        await asyncio.get_running_loop().run_in_executor(None, act)
        return await claim(name, account, actor)

    gateway.directory.claim_bucket = claim_bucket  # type: ignore[method-assign]  # of this directory


def test_a_key_revoked_while_the_name_is_claimed_makes_nothing(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = in_turn(ABSENT, MADE)
    while_claiming(gateway, gateway.directory.revoke)
    assert make(gateway, "tenant").code == "InvalidAccessKeyId"
    wait_until(lambda: owner(gateway) == ("default", 0))
    assert lines(upstream) == [LOOK]


def test_a_client_that_leaves_while_the_name_is_claimed_leaves_nothing(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    upstream.script = in_turn(ABSENT, MADE)
    left, claiming = threading.Event(), threading.Event()
    while_claiming(gateway, lambda: claiming.set() or (left.wait(5) and None))
    become(gateway, "tenant", AllBuckets())
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/photos", [("Content-Length", "0")]))
        assert claiming.wait(5)
    wait_until(lambda: gateway.call(lambda: gateway.engine.connections) == 0)
    left.set()
    wait_until(lambda: "photos" in gateway.directory.claims and owner(gateway) == ("default", 0))
    assert lines(upstream) == [LOOK]


@pytest.mark.parametrize(
    ("error", "code"), [(Conflict("taken"), "BucketAlreadyExists"), (KeystoreUnavailable("gone"), "ServiceUnavailable")]
)
def test_a_claim_that_fails_makes_nothing(
    gateway: RunningEngine, upstream: RecordingUpstream, error: Exception, code: str
) -> None:
    async def claim_bucket(name: str, account: str, actor: str) -> Claimed:
        raise error

    gateway.directory.claim_bucket = claim_bucket  # type: ignore[method-assign]  # of this directory
    upstream.script = in_turn(ABSENT, MADE)
    assert make(gateway).code == code
    assert lines(upstream) == [LOOK]


@pytest.mark.parametrize(
    ("look", "code"),
    [(THERE, "BucketAlreadyOwnedByYou"), (ABSENT, "AccessDenied"), (refusing(b"503 Slow", b"x"), "ServiceUnavailable")],
)
def test_a_key_that_may_make_none_learns_whether_its_bucket_is_there(
    gateway: RunningEngine, upstream: RecordingUpstream, look: Script, code: str
) -> None:
    upstream.script = look
    for scope in (SpecificBuckets((BucketGrant("photos"),)), AllBuckets(Rights.READ_ONLY)):
        assert make(gateway, scope=scope).code == code
    assert set(lines(upstream)) == {LOOK}
    assert gateway.directory.claims == {}


def test_a_deleted_bucket_is_released(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    upstream.script = GONE
    gateway.directory.claims["photos"] = replace(OTHERS, account="tenant")
    become(gateway, "tenant", AllBuckets())
    assert delete(gateway).status == 204
    assert gateway.directory.claims["photos"].state is ClaimState.RELEASED
    assert owner(gateway) == ("default", 2)


@pytest.mark.parametrize(
    "outcome", [refusing(b"409 Conflict", b"BucketNotEmpty"), ABSENT, close_without_answer, refusing(b"500 Oops", b"x")]
)
def test_a_bucket_that_was_not_deleted_is_not_released(
    gateway: RunningEngine, upstream: RecordingUpstream, outcome: Script
) -> None:
    upstream.script = outcome
    held = gateway.directory.claims["photos"] = replace(OTHERS, account="tenant")
    become(gateway, "tenant", AllBuckets())
    assert delete(gateway).status >= 400
    assert gateway.directory.claims["photos"] is held


@pytest.mark.parametrize("error", [Conflict("claimed anew"), KeystoreUnavailable("gone")])
def test_a_bucket_that_is_gone_is_told_so_though_its_name_stays_held(
    gateway: RunningEngine, upstream: RecordingUpstream, error: Exception
) -> None:
    async def release_bucket(name: str, version: int, actor: str) -> None:
        raise error

    upstream.script = GONE
    gateway.directory.release_bucket = release_bucket  # type: ignore[method-assign]  # of this directory
    assert delete(gateway).status == 204


def test_a_bucket_is_released_under_the_claim_of_when_its_deletion_was_asked_for(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    asked: list[int] = []

    async def release_bucket(name: str, version: int, actor: str) -> None:
        asked.append(version)

    def deleted(exchange: Exchange) -> None:
        gateway.directory.claims["photos"] = replace(OTHERS, account="default", version=8)
        GONE(exchange)

    gateway.directory.claims["photos"] = replace(OTHERS, account="default", version=7)
    gateway.directory.release_bucket = release_bucket  # type: ignore[method-assign]  # of this directory
    upstream.script = deleted
    assert delete(gateway).status == 204
    assert asked == [7]


def test_an_owner_that_cannot_be_proven_is_503(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    def tenure_of(bucket: str) -> Tenure:
        raise KeystoreUnavailable("gone")

    def broken() -> None:
        gateway.engine._lookups = gateway.engine._lookups._replace(tenure_of=tenure_of)

    gateway.call(broken)
    assert delete(gateway).code == "ServiceUnavailable"
    upstream.assert_untouched()
