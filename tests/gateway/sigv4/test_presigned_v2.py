import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.errors import Code, S3Error
from gateway.s3.uri import encode
from gateway.sigv4.claim import ClaimRules, Form, read_claim
from gateway.sigv4.presigned_v2 import NAMES
from gateway.sigv4.verify import authenticate
from tests.support.requests import DUMMY, NOW, RULES, claimed, known_key, parsed, presigned_v2_head

NO_DATE = b"00000000"


def accepted(method: str, target: str, headers: dict[str, str] | None = None) -> None:
    request, claim = claimed(presigned_v2_head(method, target, headers))
    assert claim.form is Form.PRESIGNED_V2
    assert authenticate(request, claim, known_key(NO_DATE), NOW, dummy_date_key=DUMMY).access_key is not None


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_what_boto3_presigns_by_default_is_accepted(method: str) -> None:
    accepted(method, "/bucket/key")


@given(
    st.text(min_size=1, max_size=30)
    .map(lambda text: text.encode("utf-8", "ignore"))
    .filter(lambda key: b"\0" not in key and key)
)
def test_odd_object_keys_are_accepted(object_key: bytes) -> None:
    accepted("GET", "/bucket/" + encode(object_key, keep_slash=True).decode())


def test_signed_parameters_and_headers_are_in_the_string_to_sign() -> None:
    accepted("GET", "/bucket/key?versionId=abc&response-content-type=text%2Fplain")
    headers = {"Content-Type": "text/plain", "x-amz-meta-a": "b", "x-amz-acl": "private"}
    head = presigned_v2_head("PUT", "/bucket/key", headers)
    path, _, query = head.target.partition(b"?")
    own = [pair for pair in query.split(b"&") if pair.split(b"=")[0] in NAMES]  # botocore repeats them in the query
    request, claim = claimed(head._replace(target=path + b"?" + b"&".join(own)))
    authenticate(request, claim, known_key(NO_DATE), NOW, dummy_date_key=DUMMY)


def refused(target: str, method: str = "GET", rules: ClaimRules = RULES) -> Code:
    head = presigned_v2_head(method, target)
    with pytest.raises(S3Error) as caught:
        read_claim(parsed(head), rules)
    return caught.value.code


def test_it_can_be_turned_off() -> None:
    assert refused("/bucket/key", rules=RULES._replace(sigv2_presigned=False)) is Code.INVALID_REQUEST


@pytest.mark.parametrize(
    "target",
    [
        "/bucket/key?acl",
        "/bucket/key?tagging",
        "/bucket/key?x-amz-copy-source=b/k",
        "/bucket/key?uploadId=u",
        "/bucket/key?uploads",
        "/bucket/key?versions",
    ],
)
def test_a_parameter_that_it_does_not_sign_is_refused(target: str) -> None:
    assert refused(target) is Code.INVALID_REQUEST


@pytest.mark.parametrize(("method", "target"), [("DELETE", "/bucket/key"), ("POST", "/bucket/key"), ("GET", "/bucket")])
def test_it_reads_and_writes_one_object_and_nothing_else(method: str, target: str) -> None:
    assert refused(target, method) is Code.INVALID_REQUEST


@pytest.mark.parametrize("name", [b"AWSAccessKeyId", b"Signature", b"Expires"])
def test_every_parameter_is_required(name: bytes) -> None:
    head = presigned_v2_head()
    broken = head._replace(target=head.target.replace(name + b"=", b"versionId="))
    with pytest.raises(S3Error) as caught:
        read_claim(parsed(broken), RULES)
    assert caught.value.code is Code.AUTHORIZATION_QUERY_PARAMETERS_ERROR


def mismatch(head_changes: dict[str, str], method: str = "PUT") -> Code:
    request, claim = claimed(presigned_v2_head(method, unsigned=head_changes))
    with pytest.raises(S3Error) as caught:
        authenticate(request, claim, known_key(NO_DATE), NOW, dummy_date_key=DUMMY)
    return caught.value.code


@pytest.mark.parametrize(
    "added", [{"x-amz-storage-class": "GLACIER"}, {"x-amz-acl": "public-read"}, {"Content-Type": "text/html"}]
)
def test_a_header_added_to_the_url_breaks_the_signature(added: dict[str, str]) -> None:
    assert mismatch(added) is Code.SIGNATURE_DOES_NOT_MATCH


def test_the_method_is_bound() -> None:
    head = presigned_v2_head("GET")._replace(method=b"PUT")
    request, claim = claimed(head)
    with pytest.raises(S3Error) as caught:
        authenticate(request, claim, known_key(NO_DATE), NOW, dummy_date_key=DUMMY)
    assert caught.value.code is Code.SIGNATURE_DOES_NOT_MATCH


def test_it_copies_nothing() -> None:
    head = presigned_v2_head("PUT", "/bucket/key", {"x-amz-copy-source": "/other/key"})
    with pytest.raises(S3Error) as caught:
        read_claim(parsed(head), RULES)
    assert caught.value.code is Code.INVALID_REQUEST
