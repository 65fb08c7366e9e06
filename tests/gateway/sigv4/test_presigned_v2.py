import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.errors import Code, S3Error
from gateway.s3.header_names import header_names
from gateway.s3.operation import classify
from gateway.s3.request import RequestHead, S3Request
from gateway.s3.uri import encode
from gateway.sigv4.claim import ClaimRules, Form, read_claim
from gateway.sigv4.presigned_v2 import NAMES
from gateway.sigv4.verify import authenticate
from keystore.access_key import NO_DATE
from tests.support.requests import DUMMY, HOST, NOW, RULES, claimed, known_key, parsed, presigned_v2_head
from tests.support.with_fields import with_fields


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


def test_signed_parameters_are_in_the_string_to_sign() -> None:
    accepted("GET", "/bucket/key?versionId=abc&response-content-type=text%2Fplain")


HEADERS = {"Content-Type": "text/plain", "x-amz-meta-a": "b c", "x-amz-acl": "private", "Content-MD5": "abc="}
PRESIGNED = presigned_v2_head("PUT", "/bucket/key", HEADERS)  # botocore writes them into the query too


def uploaded(target: bytes = PRESIGNED.target, headers: dict[str, str] | None = None) -> S3Request:
    """As whoever was given the URL sends it."""
    fields = {b"host": HOST.encode()}
    fields.update({name.lower().encode(): value.encode() for name, value in (headers or {}).items()})
    request, claim = claimed(RequestHead(b"PUT", target, fields, header_names(tuple(fields)), 1))
    for _ in range(2):
        request = authenticate(request, claim, known_key(NO_DATE), NOW, dummy_date_key=DUMMY).request
    return request


@pytest.mark.parametrize("sent", [{}, HEADERS, {"Content-Type": "text/plain"}, {"x-amz-acl": "private"}])
def test_headers_that_boto3_hoisted_are_headers_whether_they_are_sent_or_not(sent: dict[str, str]) -> None:
    headers = uploaded(headers=sent).headers
    assert {name: headers[name.lower().encode()] for name in HEADERS} == {
        name: value.encode() for name, value in HEADERS.items()
    }
    assert classify(uploaded(headers=sent)).name == "PutObject"


def test_the_hoisted_headers_may_be_sent_without_their_parameters() -> None:
    path, _, query = PRESIGNED.target.partition(b"?")
    own = [pair for pair in query.split(b"&") if pair.split(b"=")[0] in NAMES]
    assert uploaded(path + b"?" + b"&".join(own), HEADERS).hoisted == frozenset()


@pytest.mark.parametrize("name", ["Content-Type", "x-amz-acl", "x-amz-meta-a", "Content-MD5"])
def test_a_hoisted_header_sent_with_another_value_is_refused(name: str) -> None:
    with pytest.raises(S3Error) as caught:
        uploaded(headers={name: "another"})
    assert caught.value.code is Code.SIGNATURE_DOES_NOT_MATCH


@pytest.mark.parametrize("name", [b"content-type", b"x-amz-acl", b"x-amz-meta-a", b"content-md5"])
def test_a_hoisted_header_is_signed(name: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        uploaded(PRESIGNED.target.replace(name + b"=", name + b"=x"))
    assert caught.value.code is Code.SIGNATURE_DOES_NOT_MATCH


def test_a_header_hoisted_into_a_url_that_does_not_sign_it_is_refused() -> None:
    with pytest.raises(S3Error) as caught:
        uploaded(PRESIGNED.target + b"&x-amz-storage-class=GLACIER")
    assert caught.value.code is Code.SIGNATURE_DOES_NOT_MATCH


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
        "/bucket/key?x-amz-security-token=t",
        "/bucket/key?x-amz-content-sha256=UNSIGNED-PAYLOAD",
        "/bucket/key?cache-control=no-store",
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
    broken = with_fields(head, target=head.target.replace(name + b"=", b"versionId="))
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
    head = with_fields(presigned_v2_head("GET"), method=b"PUT")
    request, claim = claimed(head)
    with pytest.raises(S3Error) as caught:
        authenticate(request, claim, known_key(NO_DATE), NOW, dummy_date_key=DUMMY)
    assert caught.value.code is Code.SIGNATURE_DOES_NOT_MATCH


def test_it_copies_nothing() -> None:
    head = presigned_v2_head("PUT", "/bucket/key", {"x-amz-copy-source": "/other/key"})
    with pytest.raises(S3Error) as caught:
        read_claim(parsed(head), RULES)
    assert caught.value.code is Code.INVALID_REQUEST
