"""The numbered steps for upload forms: what is signed is the policy, and nothing of the request."""

import hmac as hmac_module
from typing import Any

import pytest

from gateway.payload.mode import PayloadMode
from gateway.s3.errors import Code, S3Error
from gateway.s3.request import S3Request
from gateway.sigv4.canonical import canonical_request, string_to_sign
from gateway.sigv4.claim import Form
from gateway.sigv4.post_claim import read_post_claim
from gateway.sigv4.verify import Authenticated, as_upload, authenticate
from keystore.access_key import KnownKey, Status
from keystore.derived import derive_signing_key
from tests.support.forms import form_fields, form_head
from tests.support.requests import ACCESS_KEY_ID, DUMMY, NOW, RULES, claimed, header_head, known_key, parsed
from tests.support.with_fields import with_fields

DATE = b"20260921"
FIELDS = form_fields()
FOREVER: Any = object()


def verified(
    changed: dict[bytes, bytes] | None = None,
    known: Any = FOREVER,
    now: float = NOW,
    dummy: bytes = DUMMY,
    **rules: Any,
) -> Authenticated:
    claim = read_post_claim({**FIELDS, **(changed or {})}, RULES._replace(**rules))
    found: KnownKey | None = known_key(DATE) if known is FOREVER else known
    return authenticate(parsed(form_head()), claim, found, now, dummy_date_key=dummy)


def refusal(changed: dict[bytes, bytes] | None = None, known: Any = FOREVER, **more: Any) -> S3Error:
    with pytest.raises(S3Error) as caught:
        verified(changed, known, **more)
    return caught.value


OTHER_POLICY = {b"policy": form_fields("other")[b"policy"]}
GARBAGE = {b"x-amz-signature": b"0" * 64}


def test_a_form_signed_by_botocore_is_authenticated() -> None:
    authenticated = verified()
    assert authenticated.access_key.access_key_id == ACCESS_KEY_ID
    assert authenticated.payload.mode is PayloadMode.UNSIGNED
    assert (authenticated.at, authenticated.keyed) == (NOW, None)


@pytest.mark.parametrize("changed", [OTHER_POLICY, GARBAGE, {b"policy": FIELDS[b"policy"] + b"\n"}, {b"policy": b""}])
def test_a_signature_that_is_not_of_this_policy_is_refused(changed: dict[bytes, bytes]) -> None:
    assert refusal(changed).code is Code.SIGNATURE_DOES_NOT_MATCH


@pytest.mark.parametrize("place", [0, 31, 63])
def test_a_flipped_digit_of_a_forms_signature_is_refused(place: int) -> None:
    signature = FIELDS[b"x-amz-signature"]
    digit = b"0" if signature[place : place + 1] != b"0" else b"1"
    flipped = signature[:place] + digit + signature[place + 1 :]
    assert refusal({b"x-amz-signature": flipped}).code is Code.SIGNATURE_DOES_NOT_MATCH


def test_a_forms_credential_scope_is_signed() -> None:
    elsewhere = FIELDS[b"x-amz-credential"].replace(b"us-east-1", b"us-west-1")
    assert refusal({b"x-amz-credential": elsewhere}).code is Code.SIGNATURE_DOES_NOT_MATCH


def test_a_forms_signature_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    compare = hmac_module.compare_digest

    def watched(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return compare(left, right)

    monkeypatch.setattr("gateway.sigv4.verify.hmac.compare_digest", watched)
    verified()
    refusal(GARBAGE)
    assert len(compared) == 2


def test_a_form_of_an_unknown_key_costs_the_same_hmac_and_is_refused_like_a_revoked_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digests = []
    digest = hmac_module.digest

    def counted(*arguments: Any) -> bytes:
        digests.append(arguments)
        return digest(*arguments)

    known = known_key(DATE)
    revoked = known_key(DATE, status=Status.REVOKED)
    monkeypatch.setattr("gateway.sigv4.verify.hmac.digest", counted)
    monkeypatch.setattr("gateway.sigv4.signing.hmac.digest", counted)
    of_unknown = refusal(known=None)
    for_unknown = len(digests)
    digests.clear()
    verified(known=known)
    assert for_unknown == len(digests) == 4
    of_revoked = refusal(GARBAGE, revoked)
    for error in (of_unknown, of_revoked):
        assert (error.code, error.extra) == (Code.INVALID_ACCESS_KEY_ID, (("AWSAccessKeyId", ACCESS_KEY_ID),))
    assert of_unknown.message == of_revoked.message


def test_the_dummy_key_opens_no_form() -> None:
    assert refusal(known=None, dummy=known_key(DATE).date_keys[DATE]).code is Code.INVALID_ACCESS_KEY_ID


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"status": Status.REVOKED}, "revoked"),
        ({"expires_at": NOW}, "expired"),
        ({"not_before": NOW + 1}, "not valid yet"),
    ],
)
def test_why_a_key_is_not_usable_is_said_only_after_the_forms_signature_held(
    changed: dict[str, Any], said: str
) -> None:
    known = known_key(DATE, **changed)
    right, wrong = refusal(known=known), refusal(GARBAGE, known)
    assert right.code is wrong.code is Code.INVALID_ACCESS_KEY_ID
    assert said in right.message
    assert said not in wrong.message


def test_a_refused_form_shows_no_signature_and_its_policy_only_if_asked() -> None:
    quiet, echoed = refusal(OTHER_POLICY), refusal(OTHER_POLICY, echo=True)
    assert [name for name, _ in quiet.extra] == ["AWSAccessKeyId"]
    assert dict(echoed.extra)["StringToSign"] == OTHER_POLICY[b"policy"].decode()
    right = form_fields("other")[b"x-amz-signature"].decode()
    for shown in (right, FIELDS[b"x-amz-signature"].decode()):
        assert shown not in str(echoed.extra) + str(echoed) + str(quiet.extra) + str(quiet)


def test_a_form_cannot_be_signed_with_the_signature_of_a_request() -> None:
    """The text of a signed request is no base64; here it is sent as a policy, and the signature holds: see
    `read_policy`, which refuses it. Nor does the signature of a policy sign a request."""
    request, claim = claimed(header_head())
    canonical = canonical_request(b"GET", request.canonical_path, b"", b"", claim.payload_line)
    text = string_to_sign(claim.timestamp, claim.scope, canonical)
    signing_key = derive_signing_key(known_key(DATE).date_keys[DATE], claim.region, claim.service)
    signature = hmac_module.digest(signing_key, text, "sha256").hex().encode()
    fields = {b"policy": text, b"x-amz-signature": signature}
    assert b"\n" in verified(fields).claim.policy
    with pytest.raises(S3Error) as caught:
        authenticate(
            request,
            with_fields(claim, signature=FIELDS[b"x-amz-signature"]),
            known_key(DATE),
            NOW,
            dummy_date_key=DUMMY,
        )
    assert caught.value.code is Code.SIGNATURE_DOES_NOT_MATCH


# ---- from form to upload ----


def put(bucket: str = "bucket", object_key: bytes = b"k", method: bytes = b"PUT") -> S3Request:
    upload = S3Request()
    upload.method, upload.bucket, upload.object_key, upload.query = method, bucket, object_key, {}
    return upload


def test_the_proof_of_a_form_is_the_proof_of_its_upload() -> None:
    form, upload = verified(), put()
    proof = as_upload(form, upload)
    assert proof.request is upload
    assert (proof.claim, proof.access_key, proof.payload, proof.at) == (
        form.claim,
        form.access_key,
        form.payload,
        form.at,
    )


@pytest.mark.parametrize("upload", [put("other"), put(object_key=b""), put(method=b"DELETE"), put(method=b"POST")])
def test_a_form_is_no_proof_of_anything_but_one_put_into_its_bucket(upload: S3Request) -> None:
    with pytest.raises(ValueError, match="not the upload of a form"):
        as_upload(verified(), upload)


def test_a_form_is_no_proof_of_a_request_with_parameters() -> None:
    upload = put()
    upload.query = {b"tagging": b""}
    with pytest.raises(ValueError, match="not the upload of a form"):
        as_upload(verified(), upload)


def test_a_signed_request_is_not_turned_into_another() -> None:
    request, claim = claimed(header_head("PUT"))
    signed = authenticate(request, claim, known_key(DATE), NOW, dummy_date_key=DUMMY)
    assert claim.form is Form.HEADER
    with pytest.raises(ValueError, match="not the upload of a form"):
        as_upload(signed, put())


# ---- SigV2 ----

V2 = form_fields(sigv2=True)


def v2_verified(changed: dict[bytes, bytes] | None = None, known: Any = FOREVER) -> Authenticated:
    claim = read_post_claim({**V2, **(changed or {})}, RULES)
    found: KnownKey | None = known_key(DATE) if known is FOREVER else known
    return authenticate(parsed(form_head()), claim, found, NOW, dummy_date_key=DUMMY)


def test_a_sigv2_form_signed_by_botocore_is_authenticated() -> None:
    authenticated = v2_verified()
    assert authenticated.claim.form is Form.POST_V2
    assert authenticated.payload.mode is PayloadMode.UNSIGNED


@pytest.mark.parametrize(
    "changed",
    [
        {b"policy": form_fields("other", sigv2=True)[b"policy"]},
        {b"policy": V2[b"policy"] + b"\n"},
        {b"signature": b""},
        {b"signature": V2[b"signature"][:-1]},
        {b"signature": b"A" + V2[b"signature"][1:] if not V2[b"signature"].startswith(b"A") else b"B"},
    ],
)
def test_a_sigv2_signature_that_is_not_of_this_policy_is_refused(changed: dict[bytes, bytes]) -> None:
    with pytest.raises(S3Error) as caught:
        v2_verified(changed)
    assert caught.value.code is Code.SIGNATURE_DOES_NOT_MATCH


def test_an_unknown_key_signs_no_sigv2_form() -> None:
    with pytest.raises(S3Error) as caught:
        v2_verified(known=None)
    assert caught.value.code is Code.INVALID_ACCESS_KEY_ID
