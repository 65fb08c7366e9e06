"""The claim of an upload form, and the way of a whole form through everything that is pure."""

import hmac
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from botocore.config import Config
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st
from urllib3.filepost import encode_multipart_formdata

from gateway.s3.errors import Code, S3Error
from gateway.s3.form_data import FormReader, boundary_of
from gateway.s3.post_fields import as_put_headers, expand, object_key_of
from gateway.s3.post_policy import LengthRange, check, read_policy
from gateway.sigv4.claim import Claim, ClaimRules, check_time, unix_seconds
from gateway.sigv4.post_claim import read_post_claim
from gateway.sigv4.terms import Form
from keystore.derived import derive_date_key, derive_signing_key
from tests.support.requests import ACCESS_KEY_ID, NOW, RULES, SECRET

# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html: the policy has CRLF line ends, and the page
# gives its Base64 and the signature.
AWS_SECRET = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
AWS_CREDENTIAL = b"AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"
AWS_NOW = datetime(2015, 12, 29, 1, tzinfo=UTC).timestamp()
AWS_POLICY = (
    b"eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2"
    b"NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMt"
    b"cmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29t"
    b"L3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4"
    b"LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0s"
    b"DQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZP"
    b"RE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1B"
    b"Qy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
)
AWS_FIELDS = {
    b"key": b"user/user1/${filename}",
    b"acl": b"public-read",
    b"success_action_redirect": b"http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
    b"content-type": b"image/jpeg",
    b"x-amz-meta-uuid": b"14365123651274",
    b"x-amz-server-side-encryption": b"AES256",
    b"x-amz-credential": AWS_CREDENTIAL,
    b"x-amz-algorithm": b"AWS4-HMAC-SHA256",
    b"x-amz-date": b"20151229T000000Z",
    b"x-amz-meta-tag": b"",
    b"policy": AWS_POLICY,
    b"x-amz-signature": b"8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
}


def signature_of(claim: Claim, secret: bytes) -> bytes:
    signing_key = derive_signing_key(derive_date_key(secret, claim.date), claim.region, claim.service)
    return hmac.digest(signing_key, claim.policy, "sha256").hex().encode()


def refused(fields: dict[bytes, bytes], rules: ClaimRules = RULES) -> S3Error:
    with pytest.raises(S3Error) as caught:
        read_post_claim(fields, rules)
    return caught.value


def without(name: bytes) -> dict[bytes, bytes]:
    return {field: value for field, value in AWS_FIELDS.items() if field != name}


# ---- the published example ----


def test_the_published_example_is_the_claim_it_says() -> None:
    claim = read_post_claim(AWS_FIELDS, RULES)
    assert claim.access_key_id == "AKIAIOSFODNN7EXAMPLE"
    assert (claim.date, claim.region, claim.service) == (b"20151229", b"us-east-1", b"s3")
    assert claim.timestamp == b"20151229T000000Z"
    assert claim.issued_at == datetime(2015, 12, 29, tzinfo=UTC).timestamp()


def test_the_published_signature_is_that_of_the_policy_as_sent() -> None:
    claim = read_post_claim(AWS_FIELDS, RULES)
    assert signature_of(claim, AWS_SECRET) == claim.signature


@pytest.mark.parametrize("at", [0, 100, len(AWS_POLICY) - 1])
def test_one_byte_of_the_policy_changes_the_signature(at: int) -> None:
    changed = AWS_POLICY[:at] + bytes([AWS_POLICY[at] ^ 1]) + AWS_POLICY[at + 1 :]
    for policy in (changed, AWS_POLICY + b"\n"):
        claim = read_post_claim({**AWS_FIELDS, b"policy": policy}, RULES)
        assert claim.policy == policy
        assert signature_of(claim, AWS_SECRET) != claim.signature


def test_the_published_policy_allows_the_published_form() -> None:
    policy = read_policy(AWS_POLICY)
    fields = expand(AWS_FIELDS, b"MyPhoto.jpg")
    assert check(policy, fields, "sigv4examplebucket", AWS_NOW) == LengthRange()
    assert object_key_of(fields, dot_segments=False) == b"user/user1/MyPhoto.jpg"


@pytest.mark.parametrize("name", sorted(AWS_FIELDS.keys() - {b"policy", b"x-amz-signature"}))
def test_no_field_of_the_published_form_may_be_missing_or_another(name: bytes) -> None:
    policy = read_policy(AWS_POLICY)
    free = name == b"x-amz-meta-tag"  # its condition allows any value, but not none
    for fields in (without(name), *([] if free else [{**AWS_FIELDS, name: b"another"}])):
        with pytest.raises(S3Error) as caught:
            check(policy, expand(fields, b"a"), "sigv4examplebucket", AWS_NOW)
        assert caught.value.code is Code.ACCESS_DENIED


# ---- what is refused ----


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"x-amz-algorithm", "X-Amz-Algorithm"),
        (b"x-amz-credential", "X-Amz-Credential"),
        (b"x-amz-date", "X-Amz-Date"),
        (b"x-amz-signature", "X-Amz-Signature"),
        (b"policy", "Policy"),
    ],
)
def test_every_field_of_the_claim_is_required(name: bytes, shown: str) -> None:
    error = refused(without(name))
    assert error.code is Code.INVALID_ARGUMENT
    assert error.extra == (("ArgumentName", shown), ("ArgumentValue", ""))


@pytest.mark.parametrize("fields", [{}, {b"key": b"k"}, {b"key": b"k", b"policy": AWS_POLICY}])
def test_a_form_without_credentials_is_anonymous_and_denied(fields: dict[bytes, bytes]) -> None:
    assert refused(fields).code is Code.ACCESS_DENIED


V2_FIELDS = {b"awsaccesskeyid": b"AKIAIOSFODNN7EXAMPLE", b"signature": b"c2ln", b"policy": AWS_POLICY}


def test_a_sigv2_form_claims_an_id_a_policy_and_a_signature() -> None:
    claim = read_post_claim(V2_FIELDS, RULES)
    assert (claim.form, claim.access_key_id) == (Form.POST_V2, "AKIAIOSFODNN7EXAMPLE")
    assert (claim.policy, claim.signature) == (AWS_POLICY, b"c2ln")


@pytest.mark.parametrize("name", list(V2_FIELDS))
def test_every_field_of_a_sigv2_claim_is_required(name: bytes) -> None:
    fields = {field: value for field, value in V2_FIELDS.items() if field != name}
    assert refused(fields).code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("access_key_id", [b"", b"ab", b"a" * 129, b"a b", b"a\n", b"\xff\xfe\xfd"])
def test_an_id_that_no_access_key_can_have_is_refused_in_a_sigv2_form(access_key_id: bytes) -> None:
    assert refused({**V2_FIELDS, b"awsaccesskeyid": access_key_id}).code is Code.INVALID_ACCESS_KEY_ID


@pytest.mark.parametrize("name", [b"awsaccesskeyid", b"signature"])
def test_a_form_with_two_claims_is_told_what_to_sign_with(name: bytes) -> None:
    error = refused({**AWS_FIELDS, name: b"x"})
    assert error.code is Code.INVALID_REQUEST
    assert "AWS4-HMAC-SHA256" in error.message


def test_a_sigv2_form_is_refused_where_the_operator_turned_it_off() -> None:
    with pytest.raises(S3Error) as caught:
        read_post_claim(V2_FIELDS, RULES._replace(sigv2_presigned=False))
    assert caught.value.code is Code.INVALID_REQUEST
    assert "AWS4-HMAC-SHA256" in caught.value.message


@pytest.mark.parametrize("name", [b"x-amz-security-token", b"x-amz-s3session-token"])
def test_a_session_token_is_refused(name: bytes) -> None:
    assert refused({**AWS_FIELDS, name: b""}).code is Code.INVALID_TOKEN


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        (b"x-amz-algorithm", b"AWS4-ECDSA-P256-SHA256", Code.INVALID_ARGUMENT),
        (b"x-amz-algorithm", b"aws4-hmac-sha256", Code.INVALID_ARGUMENT),
        (b"x-amz-algorithm", b"", Code.INVALID_ARGUMENT),
        (b"x-amz-credential", b"", Code.INVALID_ARGUMENT),
        (b"x-amz-credential", AWS_CREDENTIAL + b" ", Code.INVALID_ARGUMENT),
        (b"x-amz-credential", AWS_CREDENTIAL.replace(b"/s3/", b"/sts/"), Code.INVALID_ARGUMENT),
        (b"x-amz-credential", AWS_CREDENTIAL.replace(b"20151229", b"2015122"), Code.INVALID_ARGUMENT),
        (b"x-amz-credential", AWS_CREDENTIAL.replace(b"20151229", b"20151230"), Code.INVALID_ARGUMENT),
        (b"x-amz-credential", AWS_CREDENTIAL.replace(b"us-east-1", b""), Code.INVALID_ARGUMENT),
        (b"x-amz-credential", AWS_CREDENTIAL.replace(b"AKIA", b"a b/"), Code.INVALID_ACCESS_KEY_ID),
        (b"x-amz-date", b"20151229", Code.INVALID_ARGUMENT),
        (b"x-amz-date", b"2015-12-29T00:00:00Z", Code.INVALID_ARGUMENT),
        (b"x-amz-date", b"20151229T250000Z", Code.INVALID_ARGUMENT),
        (b"x-amz-date", b"20151230T000000Z", Code.INVALID_ARGUMENT),
        (b"x-amz-signature", b"", Code.INVALID_ARGUMENT),
        (b"x-amz-signature", b"A" * 64, Code.INVALID_ARGUMENT),
        (b"x-amz-signature", b"a" * 64 + b"\n", Code.INVALID_ARGUMENT),
    ],
)
def test_a_malformed_field_of_the_claim_is_refused(name: bytes, value: bytes, code: Code) -> None:
    error = refused({**AWS_FIELDS, name: value})
    assert error.code is code
    assert AWS_FIELDS[b"x-amz-signature"].decode() not in error.message + error.reason


def test_no_long_date_of_a_stranger_is_kept() -> None:
    before = unix_seconds.cache_info()
    refused({**AWS_FIELDS, b"x-amz-date": b"2" * 20_000})
    assert unix_seconds.cache_info() == before


def test_another_region_is_named_the_right_one() -> None:
    error = refused(AWS_FIELDS, RULES._replace(regions=frozenset({b"eu-test-1"})))
    assert error.code is Code.INVALID_ARGUMENT
    assert error.extra == (("Region", "eu-test-1"),)


def test_a_claim_shows_no_signature() -> None:
    assert "8afd" not in repr(read_post_claim(AWS_FIELDS, RULES))


@pytest.mark.parametrize(
    ("after", "code"),
    [(-901, Code.ACCESS_DENIED), (-900, None), (604_800, None), (604_801, Code.ACCESS_DENIED)],
)
def test_a_form_is_good_from_its_date_for_seven_days_at_most(after: int, code: Code | None) -> None:
    claim = read_post_claim(AWS_FIELDS, RULES)
    if code is None:
        check_time(claim, claim.issued_at + after)
        return
    with pytest.raises(S3Error) as caught:
        check_time(claim, claim.issued_at + after)
    assert caught.value.code is code


@given(st.dictionaries(st.sampled_from([*AWS_FIELDS, b"signature"]), st.binary(max_size=40)))
def test_arbitrary_fields_raise_only_documented_errors(changed: dict[bytes, bytes]) -> None:
    documented = {
        Code.ACCESS_DENIED,
        Code.INVALID_REQUEST,
        Code.INVALID_TOKEN,
        Code.INVALID_ACCESS_KEY_ID,
        Code.INVALID_ARGUMENT,
    }
    for fields in (changed, {**AWS_FIELDS, **changed}):
        code = Code.ACCESS_DENIED
        try:
            read_post_claim(fields, RULES)
        except S3Error as error:
            code = error.code
        assert code in documented


# ---- botocore, the foreign judge ----


@pytest.fixture(scope="module")
def client() -> Any:
    session = Session()
    session.set_credentials(ACCESS_KEY_ID, SECRET)
    config = Config(signature_version="s3v4")
    return session.create_client("s3", "eu-test-1", endpoint_url="http://gw.example:9000", config=config)


def presigned_post(client: Any, object_key: str, fields: dict[str, str], conditions: list[Any]) -> dict[str, str]:
    moment = datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None)

    def frozen(remove_tzinfo: bool = True) -> datetime:
        return moment

    with (
        patch("botocore.auth.get_current_datetime", frozen),
        patch("botocore.signers.get_current_datetime", frozen),
    ):
        post = client.generate_presigned_post("photos", object_key, fields, conditions, 3600)
    assert post["url"] == "http://gw.example:9000/photos"
    found: dict[str, str] = post["fields"]
    return found


def test_a_form_by_botocore_and_urllib3_goes_all_the_way(client: Any) -> None:
    conditions = [{"acl": "private"}, ["starts-with", "$Content-Type", "image/"], ["content-length-range", 1, 4096]]
    fields = presigned_post(client, "user/${filename}", {"acl": "private", "Content-Type": "image/png"}, conditions)
    content = bytes(range(256)) * 16
    body, content_type = encode_multipart_formdata({**fields, "file": ("é.png", content, "image/png")})
    reader = FormReader(boundary_of(content_type.encode()))
    received = b"".join([bytes(piece) for at in range(0, len(body), 100) for piece in reader.feed(body[at : at + 100])])
    reader.finish()
    claim = read_post_claim(reader.fields, RULES)
    check_time(claim, NOW)
    assert claim.access_key_id == ACCESS_KEY_ID
    assert hmac.compare_digest(signature_of(claim, SECRET.encode()), claim.signature)
    expanded = expand(reader.fields, reader.filename)
    sizes = check(read_policy(claim.policy), expanded, "photos", NOW)
    assert sizes == LengthRange(1, 4096)
    sizes.check(reader.file_size)
    assert received == content
    assert object_key_of(expanded, dot_segments=False) == "user/é.png".encode()
    assert as_put_headers(expanded) == {b"x-amz-acl": b"private", b"content-type": b"image/png"}


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20), st.integers(-1, 3601))
def test_any_object_key_signed_by_botocore_is_allowed_until_it_expires(
    client: Any, object_key: str, after: int
) -> None:
    fields = {name.encode(): value.encode() for name, value in presigned_post(client, object_key, {}, []).items()}
    claim = read_post_claim(fields, RULES)
    assert signature_of(claim, SECRET.encode()) == claim.signature
    policy = read_policy(fields[b"policy"])
    if after < 3600:
        check(policy, expand(fields, None), "photos", NOW + after)
    else:
        with pytest.raises(S3Error):
            check(policy, expand(fields, None), "photos", NOW + after)
