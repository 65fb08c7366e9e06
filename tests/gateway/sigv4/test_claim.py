import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.errors import Code, S3Error
from gateway.s3.header_names import header_names
from gateway.s3.request import RequestHead
from gateway.sigv4 import claim as claim_module
from gateway.sigv4.claim import ClaimRules, Form, read_claim
from tests.support.requests import (
    ACCESS_KEY_ID,
    HOST,
    NOW,
    RULES,
    claimed,
    header_head,
    parsed,
    presigned_head,
)
from tests.support.with_fields import with_fields

SIGNATURE = "a" * 64
SCOPE = "20260921/us-east-1/s3/aws4_request"
DATE = "20260921T000000Z"


def head(authorization: str | None = None, target: str = "/bucket/key", **headers: str) -> RequestHead:
    fields = {b"host": HOST.encode(), b"x-amz-date": DATE.encode(), b"x-amz-content-sha256": b"UNSIGNED-PAYLOAD"}
    if authorization is not None:
        fields[b"authorization"] = authorization.encode("latin-1")
    fields |= {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    fields = {name: value for name, value in fields.items() if value != b"-"}
    return RequestHead(b"GET", target.encode(), fields, header_names(tuple(fields)), 1)


def authorization(
    credential: str = f"{ACCESS_KEY_ID}/{SCOPE}",
    signed: str = "host;x-amz-date",
    signature: str = SIGNATURE,
    template: str = "AWS4-HMAC-SHA256 Credential={}, SignedHeaders={}, Signature={}",
) -> str:
    return template.format(credential, signed, signature)


def refusal(of: RequestHead, rules: ClaimRules = RULES) -> S3Error:
    with pytest.raises(S3Error) as caught:
        read_claim(parsed(of), rules)
    return caught.value


def test_what_botocore_signs_is_read() -> None:
    _, claim = claimed(header_head())
    assert claim.form is Form.HEADER
    assert claim.access_key_id == ACCESS_KEY_ID
    assert (claim.region, claim.service, claim.date) == (b"us-east-1", b"s3", b"20260921")
    assert claim.signed_headers == (b"host", b"x-amz-content-sha256", b"x-amz-date")
    assert claim.issued_at == NOW
    assert claim.expires is None


@pytest.mark.parametrize(
    "template",
    [
        "AWS4-HMAC-SHA256 Credential={},SignedHeaders={},Signature={}",  # s3cmd and minio-go write no spaces
        "AWS4-HMAC-SHA256   Credential={} ,  SignedHeaders={} , Signature={}",
        "AWS4-HMAC-SHA256 SignedHeaders={1},Signature={2},Credential={0}",
        "AWS4-HMAC-SHA256 Signature={2},Credential={0},SignedHeaders={1}",
    ],
)
def test_spaces_and_order_of_the_components_are_free(template: str) -> None:
    _, claim = claimed(head(authorization(template=template)))
    assert claim.signature == SIGNATURE.encode()
    assert claim.signed_headers == (b"host", b"x-amz-date")


@pytest.mark.parametrize(
    "bad",
    [
        authorization(template="AWS4-HMAC-SHA256 Credential={}, SignedHeaders={}"),
        authorization(template="AWS4-HMAC-SHA256 Credential={0}, Credential={0}, SignedHeaders={1}, Signature={2}"),
        authorization(template="AWS4-HMAC-SHA256 Credential={}, SignedHeaders={}, Signature={}, Extra=1"),
        authorization(template="AWS4-HMAC-SHA256 Credential={0}, SignedHeaders={1}, Signature={2}, Signature={2}"),
        authorization(signature="A" * 64),
        authorization(signature="a" * 63),
        authorization(signature="a" * 65),
        authorization(signed=""),
        authorization(signed="host;;x-amz-date"),
        authorization(signed="x-amz-date;host"),
        authorization(signed="host;host"),
        authorization(signed="Host;x-amz-date"),
        authorization(signed="host; x-amz-date"),
        authorization(credential=f"{ACCESS_KEY_ID}/20260921/us-east-1/s3/aws4_requestx"),
        authorization(credential=f"{ACCESS_KEY_ID}/20260921/us-east-1/aws4_request"),
        authorization(credential=f"{ACCESS_KEY_ID}/2026092/us-east-1/s3/aws4_request"),
        authorization(credential=f"{ACCESS_KEY_ID}/20260921//s3/aws4_request"),
        authorization(credential=f"{ACCESS_KEY_ID}/20260921/us-east-1/iam/aws4_request"),
        authorization(credential=f"{ACCESS_KEY_ID}/20260921/us-east-1/s3tables/aws4_request"),
        authorization(credential=f"{ACCESS_KEY_ID}/20260920/us-east-1/s3/aws4_request"),  # not the request's day
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 ",
    ],
)
def test_a_malformed_header_is_400(bad: str) -> None:
    assert refusal(head(bad)).code is Code.AUTHORIZATION_HEADER_MALFORMED


@pytest.mark.parametrize("access_key_id", ["ab", "x" * 129, "a b", "a%2Fb", "é"])
def test_an_access_key_id_that_none_can_have_is_unknown(access_key_id: str) -> None:
    of = head(authorization(credential=f"{access_key_id}/{SCOPE}"))
    assert refusal(of).code is Code.INVALID_ACCESS_KEY_ID


def test_a_wrong_region_is_told_the_right_one() -> None:
    rules = ClaimRules(frozenset({b"eu-test-1"}), sigv2_presigned=True, reported_region=b"eu-test-1")
    error = refusal(head(authorization()), rules)
    assert error.code is Code.AUTHORIZATION_HEADER_MALFORMED
    assert error.extra == (("Region", "eu-test-1"),)
    claimed(header_head(region="eu-test-1"), rules)


@pytest.mark.parametrize("scheme", ["AWS AKID:signature", "AWS4-ECDSA-P256-SHA256 Credential=x"])
def test_other_signature_versions_are_told_which_one_to_use(scheme: str) -> None:
    error = refusal(head(scheme))
    assert error.code is Code.INVALID_REQUEST
    assert "AWS4-HMAC-SHA256" in error.message


@pytest.mark.parametrize("scheme", ["Bearer x", "Basic eDp5", "", "aws4-hmac-sha256 x"])
def test_another_scheme_is_400(scheme: str) -> None:
    assert refusal(head(scheme)).code is Code.INVALID_ARGUMENT


def test_no_credentials_are_403() -> None:
    assert refusal(head()).code is Code.ACCESS_DENIED


@pytest.mark.parametrize("extra", ["?X-Amz-Signature=x", "?AWSAccessKeyId=x", "?x=y&Signature=x"])
def test_two_mechanisms_are_refused(extra: str) -> None:
    error = refusal(head(authorization(), f"/bucket/key{extra}"))
    assert error.code is Code.INVALID_ARGUMENT
    assert "Only one auth mechanism" in error.message


def test_the_two_query_mechanisms_together_are_refused() -> None:
    of = presigned_head()
    assert refusal(with_fields(of, target=of.target + b"&Signature=x")).code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("where", ["header", "query"])
def test_a_session_token_is_refused_wherever_it_stands(where: str) -> None:
    if where == "header":
        of = head(authorization(), x_amz_security_token="token")
    else:
        of = presigned_head()
        of = with_fields(of, target=of.target + b"&X-Amz-Security-Token=token")
    assert refusal(of).code is Code.INVALID_TOKEN


def test_the_payload_hash_is_required_in_header_form() -> None:
    error = refusal(head(authorization(), x_amz_content_sha256="-"))
    assert error.code is Code.INVALID_REQUEST
    assert "x-amz-content-sha256" in error.message


@pytest.mark.parametrize(
    "date", ["20260921", "2026-09-21T00:00:00Z", "20260921T000000", "20261321T000000Z", "20260921T250000Z", "x"]
)
def test_a_date_that_is_none_is_403(date: str) -> None:
    assert refusal(head(authorization(), x_amz_date=date)).code is Code.ACCESS_DENIED


def test_a_missing_date_is_403() -> None:
    assert refusal(head(authorization(), x_amz_date="-")).code is Code.ACCESS_DENIED


@pytest.mark.parametrize("date", [DATE, "Mon, 21 Sep 2026 00:00:00 GMT"])
def test_the_date_header_stands_in_for_x_amz_date(date: str) -> None:
    _, claim = claimed(head(authorization(signed="date;host"), x_amz_date="-", date=date))
    assert claim.timestamp == DATE.encode()


def test_a_presigned_url_of_botocore_is_read() -> None:
    _, claim = claimed(presigned_head(expires=77))
    assert claim.form is Form.PRESIGNED
    assert (claim.expires, claim.payload_line) == (77, b"UNSIGNED-PAYLOAD")


def changed(of: RequestHead, old: bytes, new: bytes) -> RequestHead:
    assert old in of.target
    return with_fields(of, target=of.target.replace(old, new))


@pytest.mark.parametrize("name", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"])
def test_every_parameter_of_a_presigned_url_is_required_and_spelled_exactly(name: str) -> None:
    of = presigned_head()
    missing = changed(of, f"X-Amz-{name}=".encode(), b"x=")
    assert refusal(missing).code is Code.AUTHORIZATION_QUERY_PARAMETERS_ERROR
    folded = changed(of, f"X-Amz-{name}=".encode(), f"x-amz-{name.lower()}=".encode())
    assert refusal(folded).code is Code.AUTHORIZATION_QUERY_PARAMETERS_ERROR


@pytest.mark.parametrize("expires", ["0", "604801", "-1", "%2B60", "6_0", "60.0", "", "%20 60", "99999999", "%D9%A3"])
def test_expires_is_a_number_of_seconds_up_to_seven_days(expires: str) -> None:
    of = changed(presigned_head(expires=300), b"X-Amz-Expires=300", f"X-Amz-Expires={expires}".encode())
    with pytest.raises(S3Error) as caught:
        claimed(of)
    assert caught.value.code in (Code.AUTHORIZATION_QUERY_PARAMETERS_ERROR, Code.INVALID_URI)


def test_another_algorithm_in_the_url_is_refused() -> None:
    of = changed(presigned_head(), b"AWS4-HMAC-SHA256", b"AWS4-ECDSA-P256-SHA256")
    assert refusal(of).code is Code.AUTHORIZATION_QUERY_PARAMETERS_ERROR


@pytest.mark.parametrize(
    ("target", "signed", "header", "line"),
    [
        ("&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD", b"host", None, b"UNSIGNED-PAYLOAD"),
        ("", b"host%3Bx-amz-content-sha256", b"a" * 64, b"a" * 64),
        ("", b"host", b"a" * 64, b"UNSIGNED-PAYLOAD"),  # not signed: it pins nothing
    ],
)
def test_the_payload_line_of_a_presigned_url(target: str, signed: bytes, header: bytes | None, line: bytes) -> None:
    of = changed(presigned_head(), b"X-Amz-SignedHeaders=host", b"X-Amz-SignedHeaders=" + signed)
    headers = of.headers | ({b"x-amz-content-sha256": header} if header else {})
    _, claim = claimed(with_fields(of, target=of.target + target.encode(), headers=headers))
    assert claim.payload_line == line


def test_a_presigned_url_cannot_announce_signed_chunks() -> None:
    of = presigned_head()
    of = with_fields(of, target=of.target + b"&X-Amz-Content-Sha256=STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
    assert refusal(of).code is Code.AUTHORIZATION_QUERY_PARAMETERS_ERROR


def test_a_claim_does_not_show_its_signature() -> None:
    _, claim = claimed(header_head())
    assert claim.signature.decode() not in repr(claim)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=200))
def test_any_authorization_value_raises_only_documented_errors(value: str) -> None:
    with pytest.raises(S3Error):
        read_claim(parsed(head(value)), RULES)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=120))
def test_any_components_raise_only_documented_errors(value: str) -> None:
    try:
        read_claim(parsed(head(f"AWS4-HMAC-SHA256 {value}")), RULES)
    except S3Error:
        return
    pytest.fail("accepted")


def test_what_strangers_send_is_not_kept_without_bound() -> None:
    """Both caches are asked before any signature is checked: long headers must not fill them."""
    identities, dates = claim_module._usual_identity.cache_info, claim_module.unix_seconds.cache_info
    read_claim(parsed(head(authorization())), RULES)  # kept
    kept = identities().currsize, dates().currsize
    for number in range(5):
        signed = ";".join(f"x-{number}-{place:05}" for place in range(200))
        read_claim(parsed(head(authorization(signed=signed))), RULES)
        assert refusal(head(authorization(), x_amz_date="20260921T000000Z" + "0" * 5000 + str(number)))
    assert (identities().currsize, dates().currsize) == kept


def test_more_signed_headers_than_a_head_can_hold_are_refused() -> None:
    signed = ";".join(f"x-{place:05}" for place in range(257))
    assert refusal(head(authorization(signed=signed))).code is Code.AUTHORIZATION_HEADER_MALFORMED


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000", ""])
def test_a_date_means_the_same_wherever_the_gateway_runs(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "FAR-3:07")
    time.tzset()
    try:
        request, _ = claimed(header_head())
        del request.headers[b"x-amz-date"]
        request.headers[b"date"] = f"Mon, 21 Sep 2026 14:13:20 {zone}".encode()
        assert read_claim(request, RULES).issued_at == NOW
    finally:
        monkeypatch.undo()
        time.tzset()
