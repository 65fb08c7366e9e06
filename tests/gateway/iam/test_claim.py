import pytest

from gateway.iam.claim import begin, check_iam_time, read_iam_claim, service_asked
from gateway.iam.errors import IamCode, IamError
from gateway.iam.request import read_headers
from gateway.sigv4.claim import read_claim
from gateway.sigv4.terms import ClaimRules
from tests.support.iam import NOW, Signing, form
from tests.support.requests import header_head, parsed
from tests.support.with_fields import with_fields

SIGNING = Signing("NQAK0123456789abcdef", "s" * 40)
HEADERS = read_headers(SIGNING.request(form("GetUser")))
SIGNED = HEADERS[b"authorization"].decode()


def refused(**changed: str | None) -> IamError:
    headers = dict(HEADERS)
    for name, value in changed.items():
        octets = name.replace("_", "-").encode()
        headers.pop(octets, None)
        if value is not None:
            headers[octets] = value.encode()
    with pytest.raises(IamError) as caught:
        read_iam_claim(headers)
    return caught.value


@pytest.mark.parametrize("service", ["iam", "sts"])
@pytest.mark.parametrize("region", ["us-east-1", "aws-global", "wherever"])
def test_what_botocore_signs_for_iam_or_sts_in_any_region_is_read(service: str, region: str) -> None:
    claim = read_iam_claim(read_headers(Signing("NQAKone", "s", service, region).request(form("A"))))
    assert (claim.access_key_id, claim.service.decode(), claim.region.decode()) == ("NQAKone", service, region)
    assert claim.signed_headers == (b"content-type", b"host", b"x-amz-date")
    assert claim.issued_at == NOW
    assert "NQAKone" in repr(claim)
    assert claim.signature.decode() not in repr(claim)


@pytest.mark.parametrize("service", ["s3", "s3express", "sns", "IAM", "iam ", "sts2", ""])
def test_b31_what_is_signed_for_another_service_is_refused(service: str) -> None:
    error = refused(authorization=SIGNED.replace("/iam/", f"/{service}/"))
    assert error.code is IamCode.SIGNATURE_DOES_NOT_MATCH
    assert "'iam' or 'sts'" in error.message


def test_b31_the_road_of_objects_takes_nothing_that_is_signed_for_iam_or_sts() -> None:
    head = header_head("POST", "/")
    rules = ClaimRules(None, sigv2_presigned=True, reported_region=b"eu-test-1")
    assert read_claim(parsed(head), rules).service == b"s3"
    for service in (b"iam", b"sts"):
        signed = head.headers[b"authorization"].replace(b"/s3/", b"/%b/" % service)
        with pytest.raises(Exception, match="AuthorizationHeaderMalformed"):
            read_claim(parsed(with_fields(head, headers={**head.headers, b"authorization": signed})), rules)


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS NQAK0123456789abcdef:c2ln",
        "Bearer nqat_x",
        "AWS4-HMAC-SHA256",
        SIGNED.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        SIGNED.replace("/aws4_request", "/aws4"),
        SIGNED.replace("SignedHeaders=", "SignedHeaders=host;"),
        SIGNED.replace("Signature=", "Signature=0"),
        SIGNED[:-1],
        SIGNED.upper(),
        SIGNED + ", Signature=" + "0" * 64,
        SIGNED.replace("/20260921/", "/20260920/"),
    ],
)
def test_a_credential_that_is_not_whole_is_refused_and_not_repeated(authorization: str) -> None:
    error = refused(authorization=authorization)
    assert error.code is IamCode.INCOMPLETE_SIGNATURE
    assert SIGNED[-64:] not in str(error)


def test_who_says_nothing_is_told_so() -> None:
    assert refused(authorization=None).code is IamCode.MISSING_AUTHENTICATION_TOKEN


def test_a_session_token_and_an_id_that_none_can_have_are_no_tokens() -> None:
    assert refused(x_amz_security_token="t").code is IamCode.INVALID_CLIENT_TOKEN_ID
    assert refused(authorization=SIGNED.replace("NQAK0", "NQ AK")).code is IamCode.INVALID_CLIENT_TOKEN_ID


@pytest.mark.parametrize("date", [None, "", "20260921T000000", "20260931T000000Z", "Mon, 21 Sep 2026 00:00:00 GMT"])
def test_a_request_without_its_date_is_refused(date: str | None) -> None:
    assert refused(x_amz_date=date).code is IamCode.INCOMPLETE_SIGNATURE


def test_a_clock_may_be_off_by_a_quarter_of_an_hour_either_way() -> None:
    claim = read_iam_claim(HEADERS)
    for now in (NOW - 900, NOW, NOW + 900):
        check_iam_time(claim, now)
    for now, said in ((NOW - 901, "not yet current"), (NOW + 901, "expired")):
        with pytest.raises(IamError, match=said) as caught:
            check_iam_time(claim, now)
        assert caught.value.code is IamCode.SIGNATURE_DOES_NOT_MATCH


def test_a_request_begins_with_its_shape_then_its_claim_then_its_time() -> None:
    request = SIGNING.request(form("GetUser"))
    begun = begin(request, NOW)
    assert (begun.headers, begun.claim) == (HEADERS, read_iam_claim(HEADERS))
    unsigned = [one for one in request.headers if one[0] != b"Authorization"]
    for changed, now, code in (
        ({"method": b"GET", "headers": unsigned}, NOW, IamCode.MALFORMED_QUERY_STRING),
        ({"headers": unsigned}, 0, IamCode.MISSING_AUTHENTICATION_TOKEN),
        ({}, NOW + 901, IamCode.SIGNATURE_DOES_NOT_MATCH),
    ):
        with pytest.raises(IamError) as caught:
            begin(request._replace(**changed), now)  # type: ignore[arg-type]  # names and values above
        assert caught.value.code is code


@pytest.mark.parametrize(("service", "asked"), [("iam", b"iam"), ("sts", b"sts"), ("s3", b"iam")])
def test_a_refusal_speaks_for_the_service_in_the_scope(service: str, asked: bytes) -> None:
    request = Signing("NQAKone", "s", service).request(form("A"))
    assert service_asked(request) == asked
    assert service_asked(request._replace(headers=[])) == b"iam"
