"""The numbered steps, each on its own, then the invariant: any change to a signed part is refused."""

import hmac as hmac_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.payload.mode import PayloadMode
from gateway.s3.errors import Code, S3Error
from gateway.s3.header_names import header_names
from gateway.s3.request import RequestHead
from gateway.s3.uri import encode
from gateway.sigv4.verify import MAX_KEYED, Authenticated, authenticate
from keystore.access_key import KnownKey, Status
from tests.support.requests import (
    ACCESS_KEY_ID,
    DUMMY,
    NOW,
    RULES,
    claimed,
    header_head,
    known_key,
    presigned_head,
)
from tests.support.with_fields import with_fields

DATE = b"20260921"


def verified(head: RequestHead, known: KnownKey | None = None, now: float = NOW, **rules: Any) -> Authenticated:
    request, claim = claimed(head, RULES._replace(**rules))
    return authenticate(request, claim, known or known_key(DATE), now, dummy_date_key=DUMMY)


def refusal(head: RequestHead, known: KnownKey | None = None, now: float = NOW, **rules: Any) -> S3Error:
    with pytest.raises(S3Error) as caught:
        verified(head, known, now, **rules)
    return caught.value


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
def test_what_botocore_signs_is_authenticated(method: str) -> None:
    assert verified(header_head(method)).access_key.access_key_id == ACCESS_KEY_ID
    assert verified(presigned_head(method)).payload.mode is PayloadMode.UNSIGNED


@given(
    object_key=st.text(min_size=1, max_size=30)
    .map(lambda text: text.encode("utf-8", "ignore"))
    .filter(lambda key: key and b"\0" not in key),
    prefix=st.text(max_size=10).map(lambda text: text.encode("utf-8", "ignore")).filter(lambda text: b"\0" not in text),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)
def test_odd_keys_queries_and_header_values_verify_in_both_forms(object_key: bytes, prefix: bytes, value: str) -> None:
    target = "/bucket/" + encode(object_key, keep_slash=True).decode()
    if prefix:
        target += "?prefix=" + encode(prefix, keep_slash=False).decode()
    headers = {"x-amz-meta-value": value} if value.strip() else {}
    verified(header_head("GET", target, headers))
    verified(presigned_head("GET", target, headers))


# ---- (1) what must be signed is signed ----


@pytest.mark.parametrize("form", [header_head, presigned_head])
@pytest.mark.parametrize(
    "name", ["x-amz-copy-source", "x-amz-acl", "x-amz-meta-a", "x-amz-meta-my_key", "x-amz-tagging"]
)
def test_an_unsigned_x_amz_header_is_refused_and_named(form: Any, name: str) -> None:
    error = refusal(form("PUT", unsigned={name: "/other/key"}))
    assert error.code is Code.ACCESS_DENIED
    assert error.extra == (("HeadersNotSigned", name),)


def test_an_underscore_header_is_not_there_at_all() -> None:
    request = verified(header_head("PUT", unsigned={"x_amz_copy_source": "/other/key"})).request
    assert b"x_amz_copy_source" not in request.headers
    assert b"x-amz-copy-source" not in request.headers


def test_the_payload_hash_need_not_be_listed() -> None:
    verified(presigned_head(unsigned={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}))


@pytest.mark.parametrize("name", ["range", "if-none-match", "content-type", "user-agent", "amz-sdk-request"])
def test_other_headers_may_stay_unsigned(name: str) -> None:
    verified(header_head(unsigned={name: "x"}))


def test_host_must_be_signed() -> None:
    head = header_head()
    authorization = head.headers[b"authorization"].replace(b"SignedHeaders=host;", b"SignedHeaders=")
    error = refusal(with_fields(head, headers=head.headers | {b"authorization": authorization}))
    assert error.extra == (("HeadersNotSigned", "host"),)


def test_a_listed_header_that_is_not_there_is_refused() -> None:
    head = header_head("PUT", headers={"x-amz-acl": "private"})
    headers = {name: value for name, value in head.headers.items() if name != b"x-amz-acl"}
    assert (
        refusal(with_fields(head, headers=headers, names=header_names(tuple(headers)))).code
        is Code.SIGNATURE_DOES_NOT_MATCH
    )


# ---- (2) and (4) the signature ----


def test_the_signature_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    compare = hmac_module.compare_digest

    def watched(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return compare(left, right)

    monkeypatch.setattr("gateway.sigv4.verify.hmac.compare_digest", watched)
    verified(header_head())
    assert len(compared) == 1


@pytest.mark.parametrize("place", [0, 31, 63])
@pytest.mark.parametrize("form", [header_head, presigned_head])
def test_a_flipped_digit_of_the_signature_is_refused(form: Any, place: int) -> None:
    head = form()
    if form is header_head:
        before, after = head.headers[b"authorization"].split(b"Signature=")
        after = after[:place] + (b"0" if after[place : place + 1] != b"0" else b"1") + after[place + 1 :]
        head = with_fields(head, headers=head.headers | {b"authorization": before + b"Signature=" + after})
    else:
        start = head.target.index(b"X-Amz-Signature=") + 16 + place
        digit = b"0" if head.target[start : start + 1] != b"0" else b"1"
        head = with_fields(head, target=head.target[:start] + digit + head.target[start + 1 :])
    assert refusal(head).code is Code.SIGNATURE_DOES_NOT_MATCH


CHANGES = {
    "method": lambda head: with_fields(head, method=b"HEAD"),
    "path": lambda head: with_fields(head, target=head.target.replace(b"/key", b"/kez")),
    "bucket": lambda head: with_fields(head, target=head.target.replace(b"/bucket", b"/bucker")),
    "query added": lambda head: with_fields(
        head, target=head.target + (b"&" if b"?" in head.target else b"?") + b"acl="
    ),
    "host": lambda head: with_fields(head, headers=head.headers | {b"host": b"other.example"}),
    "signed header": lambda head: with_fields(head, headers=head.headers | {b"x-amz-meta-a": b"c"}),
}


@pytest.mark.parametrize("form", [header_head, presigned_head])
@pytest.mark.parametrize("change", CHANGES)
def test_any_change_to_a_signed_part_is_refused(form: Any, change: str) -> None:
    head = form("GET", "/bucket/key", {"x-amz-meta-a": "b"})
    verified(head)
    assert refusal(CHANGES[change](head)).code is Code.SIGNATURE_DOES_NOT_MATCH


def test_the_payload_line_is_signed() -> None:
    head = header_head(payload_line="a" * 64)
    changed = with_fields(head, headers=head.headers | {b"x-amz-content-sha256": b"b" * 64})
    assert refusal(changed).code is Code.SIGNATURE_DOES_NOT_MATCH


def test_a_refusal_shows_no_signature_and_no_canonical_request_unless_asked() -> None:
    head = header_head()
    changed = with_fields(head, method=b"HEAD")
    quiet = refusal(changed)
    assert [name for name, _ in quiet.extra] == ["AWSAccessKeyId"]
    echoed = refusal(changed, echo=True)
    assert [name for name, _ in echoed.extra] == ["AWSAccessKeyId", "StringToSign", "CanonicalRequest"]
    claimed_signature = head.headers[b"authorization"].split(b"Signature=")[1].decode()
    assert claimed_signature not in str(echoed.extra) + str(echoed)


# ---- (3) the key exists ----


def test_an_unknown_key_costs_the_same_hmac_and_is_refused_like_a_revoked_one(monkeypatch: pytest.MonkeyPatch) -> None:
    request, claim = claimed(header_head())
    known = known_key(DATE)
    digests = []
    digest = hmac_module.digest

    def counted(*arguments: Any) -> bytes:
        digests.append(arguments)
        return digest(*arguments)

    monkeypatch.setattr("gateway.sigv4.verify.hmac.digest", counted)
    with pytest.raises(S3Error) as caught:
        authenticate(request, claim, None, NOW, dummy_date_key=DUMMY)
    for_unknown = len(digests)
    digests.clear()
    authenticate(request, claim, known, NOW, dummy_date_key=DUMMY)
    assert for_unknown == len(digests)
    assert caught.value.code is Code.INVALID_ACCESS_KEY_ID
    revoked = refusal(with_fields(header_head(), method=b"HEAD"), known_key(DATE, status=Status.REVOKED))
    assert (revoked.code, revoked.message, revoked.extra) == (
        caught.value.code,
        caught.value.message,
        caught.value.extra,
    )


def test_the_dummy_key_never_opens_anything() -> None:
    """Even a request signed with the dummy key is a request of an unknown key."""
    request, claim = claimed(header_head())
    date_key = known_key(DATE).date_keys[DATE]
    with pytest.raises(S3Error) as caught:
        authenticate(request, claim, None, NOW, dummy_date_key=date_key)
    assert caught.value.code is Code.INVALID_ACCESS_KEY_ID


# ---- (5) usable now ----


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"status": Status.REVOKED}, "revoked"),
        ({"expires_at": NOW}, "expired"),
        ({"not_before": NOW + 1}, "not valid yet"),
    ],
)
def test_why_a_key_is_not_usable_is_said_only_after_its_signature_held(changed: dict[str, Any], said: str) -> None:
    known = known_key(DATE, **changed)
    right = refusal(header_head(), known)
    wrong = refusal(with_fields(header_head(), method=b"HEAD"), known)
    assert right.code is wrong.code is Code.INVALID_ACCESS_KEY_ID
    assert said in right.message
    assert said not in wrong.message


def test_a_key_is_valid_from_not_before_to_the_second_before_it_expires() -> None:
    known = known_key(DATE, not_before=NOW, expires_at=NOW + 1)
    verified(header_head(), known, NOW)
    verified(header_head(), known, NOW + 0.999)
    refusal(header_head(), known, NOW + 1)


# ---- (6) the payload mode ----


def test_the_declared_hash_is_carried_on_in_lower_case() -> None:
    payload = verified(header_head("PUT", payload_line="AB" * 32)).payload
    assert (payload.mode, payload.sha256) == (PayloadMode.SHA256, b"ab" * 32)


@pytest.mark.parametrize(
    ("line", "keyed"),
    [
        ("UNSIGNED-PAYLOAD", False),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", False),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", True),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", True),
    ],
)
def test_a_garbage_signature_is_refused_in_every_payload_mode(line: str, keyed: bool) -> None:
    good = header_head("PUT", payload_line=line)
    assert (verified(good).keyed is not None) is keyed
    assert refusal(with_fields(good, method=b"POST")).code is Code.SIGNATURE_DOES_NOT_MATCH


def test_the_chunks_of_sigv4a_are_not_implemented() -> None:
    head = header_head("PUT", payload_line="STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")
    assert refusal(head).code is Code.NOT_IMPLEMENTED


# ---- what a URL promises ----


def promised(sent: str | None, pinned: str | None = None) -> Authenticated:
    """A presigned upload whose user sends this x-amz-content-sha256; `pinned`: the one that the URL holds."""
    target = "/bucket/key" + (f"?X-Amz-Content-Sha256={pinned}" if pinned else "")
    unsigned = {"x-amz-content-sha256": sent} if sent else {}
    return verified(presigned_head("PUT", target, unsigned=unsigned, payload_line=pinned or "UNSIGNED-PAYLOAD"))


def test_a_hash_that_is_only_sent_beside_a_url_is_a_promise_too() -> None:
    assert promised("AB" * 32).payload.sha256 == b"ab" * 32
    assert promised(None).payload.mode is promised("UNSIGNED-PAYLOAD").payload.mode is PayloadMode.UNSIGNED


def test_a_hash_that_a_url_pins_stays_pinned() -> None:
    pinned = "ab" * 32
    for sent in (None, pinned, pinned.upper(), "UNSIGNED-PAYLOAD"):
        assert promised(sent, pinned).payload.sha256 == pinned.encode()
    with pytest.raises(S3Error) as caught:
        promised("cd" * 32, pinned)
    assert caught.value.code is Code.INVALID_REQUEST


@pytest.mark.parametrize("line", ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"])
def test_chunks_announced_beside_a_url_are_refused_and_never_stored_as_they_are(line: str) -> None:
    with pytest.raises(S3Error) as caught:
        promised(line)
    assert caught.value.code is Code.INVALID_REQUEST


# ---- hoisted headers, cached keys ----


def test_a_hoisted_header_is_a_header_from_here_on_and_twice_the_same_way() -> None:
    head = presigned_head("PUT", "/bucket/key?x-amz-copy-source=%2Fother%2Fkey")
    request, claim = claimed(head)
    for _ in range(2):
        again = authenticate(request, claim, known_key(DATE), NOW, dummy_date_key=DUMMY)
        assert again.request.headers[b"x-amz-copy-source"] == b"/other/key"


def test_a_hoisted_header_that_is_also_sent_with_another_value_is_refused() -> None:
    head = presigned_head("PUT", "/bucket/key?x-amz-acl=private", {"x-amz-acl": "public-read"})
    assert refusal(head).code is Code.INVALID_REQUEST


def test_a_signing_key_is_kept_only_after_a_signature_held_and_their_number_is_bounded() -> None:
    known = known_key(DATE)
    refusal(with_fields(header_head(), method=b"HEAD"), known)
    assert known.keyed == {}
    for number in range(MAX_KEYED + 3):
        verified(header_head(region=f"region-{number}"), known)
        assert 1 <= len(known.keyed) <= MAX_KEYED
