from gateway.iam.documents import (
    IAM,
    STS,
    answer_document,
    error_document,
    fields,
    members,
    page_end,
    refusal,
    structure,
    tag_members,
)
from gateway.iam.errors import IamCode, IamError


def test_an_answer_has_a_result_and_the_request_s_id() -> None:
    assert answer_document("GetCallerIdentity", STS, fields({"Account": "1"}), "id") == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        b"<GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult>"
        b"<ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></GetCallerIdentityResponse>\n"
    )
    assert b"Result" not in answer_document("DeleteAccessKey", IAM, None, "id")


def test_an_error_has_the_shape_that_aws_cli_reads() -> None:
    error = IamError(IamCode.NO_SUCH_ENTITY, "a <b> & 'c'")
    assert error_document(error, IAM, "id") == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>'
        b"<Code>NoSuchEntity</Code><Message>a &lt;b&gt; &amp; &apos;c&apos;</Message></Error>"
        b"<RequestId>id</RequestId></ErrorResponse>\n"
    )
    unavailable = error_document(IamError(IamCode.SERVICE_UNAVAILABLE, "later"), STS, "id")
    assert b"<Type>Receiver</Type>" in unavailable
    assert b"https://sts.amazonaws.com/doc/2011-06-15/" in unavailable


def test_what_is_not_there_is_left_out_and_text_is_escaped() -> None:
    assert structure("User", {"Path": "/", "Tag": None, "Name": "<a>"}) == (
        "<User><Path>/</Path><Name>&lt;a&gt;</Name></User>"
    )
    assert members("Users", ["a", "b"]) == "<Users><member>a</member><member>b</member></Users>"
    assert members("Users", []) == "<Users></Users>"
    assert tag_members({"k": "v"}) == "<Tags><member><Key>k</Key><Value>v</Value></member></Tags>"


def test_a_page_says_whether_there_is_more() -> None:
    assert page_end(None) == "<IsTruncated>false</IsTruncated>"
    assert page_end("m") == "<IsTruncated>true</IsTruncated><Marker>m</Marker>"


def test_no_answer_is_kept_by_anybody() -> None:
    answered = refusal(IamError(IamCode.LIMIT_EXCEEDED, "too many"), IAM, "id")
    assert answered.status == 409
    assert dict(answered.headers) == {
        b"content-type": b"text/xml",
        b"cache-control": b"no-store",
        b"x-amzn-requestid": b"id",
    }
