"""Which requests are upload forms, and what their heads may not say."""

import pytest

from gateway.authorize import Policy
from gateway.pipeline import Rules
from gateway.post_form import FormRequest, open_form
from gateway.s3.addressing import Addressing
from gateway.s3.errors import Code, S3Error
from gateway.s3.profile import PROFILES
from gateway.s3.request import RequestHead
from tests.support.forms import form_head
from tests.support.requests import DUMMY, RULES, header_head, presigned_head
from tests.support.with_fields import with_fields

ROAD = Rules(
    Addressing((), frozenset(), dot_segments=False),
    RULES,
    Policy(PROFILES["generic"], frozenset(), dot_segments=False),
    DUMMY,
)


def opened(head: RequestHead) -> FormRequest:
    form = open_form(head, ROAD)
    assert form is not None
    return form


def not_opened(head: RequestHead) -> S3Error:
    with pytest.raises(S3Error) as caught:
        open_form(head, ROAD)
    return caught.value


@pytest.mark.parametrize("target", ["/bucket", "/bucket/", "/bucket?x-id=PostObject"])
def test_a_form_is_a_post_to_a_bucket(target: str) -> None:
    form = opened(form_head(target))
    assert (form.request.bucket, form.request.object_key, form.boundary) == ("bucket", b"", b"B-o")


@pytest.mark.parametrize("name", ["Multipart/Form-Data; boundary=B-o", 'multipart/form-data;boundary="B-o"'])
def test_the_type_of_a_form_is_read_without_case_and_its_boundary_with_quotes(name: str) -> None:
    assert opened(form_head(content_type=name)).boundary == b"B-o"


@pytest.mark.parametrize(
    "head",
    [
        header_head("POST", "/bucket"),
        header_head("POST", "/bucket/k?uploads", {"content-type": "multipart/form-data; boundary=B"}),
        header_head("POST", "/bucket?delete", {"content-type": "multipart/form-data; boundary=B"}),
        form_head("/"),
        form_head("/bucket/k"),
        form_head("/bucket/k?uploadId=u"),
        with_fields(form_head(), method=b"PUT"),
        form_head(content_type="text/plain"),
        form_head(content_type="multipart/mixed; boundary=B-o"),
    ],
)
def test_any_other_request_is_no_form_and_is_admitted_as_it_is(head: RequestHead) -> None:
    """POST to an object without a sub-resource is none either: there it is refused."""
    assert open_form(head, ROAD) is None


@pytest.mark.parametrize(
    "head",
    [
        header_head("POST", "/bucket", {"content-type": "multipart/form-data; boundary=B-o"}),
        presigned_head("POST", "/bucket", {"content-type": "multipart/form-data; boundary=B-o"}),
        form_head("/bucket?AWSAccessKeyId=x&Signature=y&Expires=1"),
        form_head(headers={"authorization": "Bearer x"}),
        form_head("/bucket?Signature=x"),
        form_head("/bucket?X-Amz-Signature=x"),
    ],
)
def test_a_form_with_another_mechanism_beside_its_fields_is_refused(head: RequestHead) -> None:
    headers = {name: value for name, value in head.headers.items() if not name.startswith(b"x-amz-")}
    assert not_opened(with_fields(head, headers=headers)).code is Code.INVALID_ARGUMENT
    assert not_opened(head).code in {Code.INVALID_ARGUMENT, Code.NOT_IMPLEMENTED}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-security-token": "t"}, Code.INVALID_TOKEN),
        ({"x-amz-s3session-token": "t"}, Code.INVALID_TOKEN),
        ({"x-amz-acl": "private"}, Code.ACCESS_DENIED),
        ({"x-amz-meta-my_key": "v"}, Code.ACCESS_DENIED),
        ({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, Code.ACCESS_DENIED),
        ({"x-amz-copy-source": "/other/key"}, Code.INVALID_REQUEST),
        ({"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, Code.NOT_IMPLEMENTED),
        ({"if-none-match": "*"}, Code.NOT_IMPLEMENTED),
        ({"content-type": "multipart/form-data"}, Code.MALFORMED_POST_REQUEST),
        ({"content-type": "multipart/form-data-x; boundary=B-o"}, Code.REQUEST_IS_NOT_MULTI_PART_CONTENT),
    ],
)
def test_a_header_that_nobody_signed_or_that_would_be_lost_is_refused(headers: dict[str, str], code: Code) -> None:
    assert not_opened(form_head(headers=headers)).code is code


@pytest.mark.parametrize("target", ["/bucket?foo", "/bucket?acl", "/bucket?versionId=v", "/bucket?x-amz-acl=private"])
def test_a_form_with_parameters_is_not_implemented(target: str) -> None:
    assert not_opened(form_head(target)).code is Code.NOT_IMPLEMENTED
