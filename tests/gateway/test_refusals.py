"""What is kept of a refusal, and the words it is put into."""

import pytest

from gateway.refusals import MAX_CANONICAL, MAX_KEPT, MAX_REASON, MAX_TARGET, PER_ACCOUNT, Refusals
from gateway.s3.errors import Code, S3Error
from gateway.s3.request import RequestHead
from tests.support.requests import header_head
from tests.support.with_fields import with_fields

CANONICAL = b"GET\n/bucket/key\n\nhost:gw.example\nx-amz-date:20250101T000000Z\n\nhost;x-amz-date\nUNSIGNED-PAYLOAD"


def error(code: Code, canonical: bytes = b"", reason: str = "why") -> S3Error:
    made = S3Error(code, reason)
    made.named, made.account, made.bucket, made.canonical = "NQAKone", "default", "photos", canonical
    return made


def head(target: bytes) -> RequestHead:
    return with_fields(header_head(), target=target)


def kept(made: S3Error, target: bytes = b"/photos/k?versionId=1") -> Refusals:
    refusals = Refusals()
    refusals.keep(b"0123456789ABCDEF", 5.0, made, head(target), "10.0.0.1")
    return refusals


def test_a_refusal_is_told_in_full() -> None:
    [found] = kept(error(Code.ACCESS_DENIED)).take()
    assert found.json() == {
        "request_id": "0123456789ABCDEF",
        "at": 5.0,
        "code": "AccessDenied",
        "step": "scope",
        "reason": "why",
        "access_key_id": "NQAKone",
        "account": "default",
        "bucket": "photos",
        "method": "GET",
        "target": "/photos/k?versionId=1",
        "source": "10.0.0.1",
        "canonical": "",
        "causes": [],
    }


def test_they_are_taken_once_and_in_their_order() -> None:
    refusals = Refusals()
    for number in range(3):
        refusals.keep(b"%016d" % number, number, error(Code.ACCESS_DENIED), head(b"/a/b"), "")
    assert [one.at for one in refusals.take()] == [0, 1, 2]
    assert refusals.take() == []


def test_a_flood_with_one_accounts_keys_pushes_nobody_elses_out() -> None:
    refusals = Refusals()
    other = error(Code.ACCESS_DENIED)
    other.account = "tenant"
    for _ in range(10 * PER_ACCOUNT):
        refusals.keep(b"F" * 16, 1, error(Code.SIGNATURE_DOES_NOT_MATCH), head(b"/a/b"), "")
    refusals.keep(b"0" * 16, 2, other, head(b"/a/b"), "")
    accounts = [one.account for one in refusals.take()]
    assert (accounts.count("default"), accounts.count("tenant")) == (PER_ACCOUNT, 1)
    refusals.keep(b"F" * 16, 3, error(Code.SIGNATURE_DOES_NOT_MATCH), head(b"/a/b"), "")
    assert len(refusals.take()) == 1, "the count begins anew when they are taken"


def test_there_are_never_more_than_a_bounded_number() -> None:
    refusals = Refusals()
    for number in range(2 * MAX_KEPT):
        made = error(Code.ACCESS_DENIED)
        made.account = f"account-{number}"
        refusals.keep(b"F" * 16, 1, made, head(b"/a/b"), "")
    assert len(refusals.take()) == MAX_KEPT


def test_what_is_long_is_cut() -> None:
    made = error(Code.SIGNATURE_DOES_NOT_MATCH, CANONICAL + b"x" * 9000, "r" * 9000)
    [found] = kept(made, b"/photos/" + b"k" * 9000).take()
    assert (len(found.canonical), len(found.target), len(found.reason)) == (MAX_CANONICAL, MAX_TARGET, MAX_REASON)


# ---- the causes ----


def causes(made: S3Error) -> str:
    [found] = kept(made).take()
    return " ".join(found.json()["causes"])


def test_of_a_signature_the_host_that_was_seen_and_a_path_that_came_encoded_twice() -> None:
    told = causes(error(Code.SIGNATURE_DOES_NOT_MATCH, CANONICAL))
    assert "asked for gw.example" in told
    assert "twice" not in told
    assert "twice" in causes(error(Code.SIGNATURE_DOES_NOT_MATCH, CANONICAL.replace(b"/key", b"/a%2520b")))


@pytest.mark.parametrize(
    ("code", "step", "said"),
    [
        (Code.REQUEST_TIME_TOO_SKEWED, "clock", "clock"),
        (Code.INVALID_ACCESS_KEY_ID, "access key", "revoked"),
        (Code.NOT_IMPLEMENTED, "operation", ""),
        (Code.INVALID_ARGUMENT, "request", ""),
    ],
)
def test_each_step_has_its_words(code: Code, step: str, said: str) -> None:
    [found] = kept(error(code)).take()
    assert found.step == step
    assert said in " ".join(found.json()["causes"])


# ---- no secret ----


@pytest.mark.parametrize(
    "line",
    [
        b"x-amz-server-side-encryption-customer-key:%b",
        b"x-amz-copy-source-server-side-encryption-customer-key:%b",
        b"x-amz-security-token:%b",
        b"authorization:%b",
        b"cookie:a=%b",
    ],
)
def test_a_secret_among_the_signed_headers_is_hidden(line: bytes) -> None:
    secret = b"c2VjcmV0LW9mLXRoZS1jdXN0b21lcg=="
    canonical = CANONICAL.replace(b"x-amz-date:", line % secret + b"\nx-amz-date:", 1)
    [found] = kept(error(Code.SIGNATURE_DOES_NOT_MATCH, canonical)).take()
    assert secret.decode() not in repr(found) + str(found.json())
    assert "<hidden>" in found.canonical
    assert "x-amz-date:20250101T000000Z" in found.canonical


@pytest.mark.parametrize("name", ["X-Amz-Signature", "x-amz-%53ignature", "X-Amz-Security-Token", "Signature"])
def test_a_signature_in_the_target_is_hidden(name: str) -> None:
    [found] = kept(error(Code.ACCESS_DENIED), f"/photos/k?a=1&{name}=abcdef0123&b=2".encode()).take()
    assert "abcdef0123" not in repr(found)
    assert found.target == f"/photos/k?a=1&{name}=<hidden>&b=2"
