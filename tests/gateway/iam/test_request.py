import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.iam.errors import IamCode, IamError
from gateway.iam.request import (
    MAX_BODY,
    MAX_PARAMETERS,
    MAX_VALUE,
    Form,
    IamAnswer,
    IamRequest,
    check_shape,
    read_form,
    read_headers,
)

WHOLE = IamRequest(b"POST", b"/", b"", [(b"Host", b"gw"), (b"Authorization", b"secret-signature")], b"Action=A", "::1")


def refused(body: bytes) -> IamCode:
    with pytest.raises(IamError) as caught:
        read_form(body)
    return caught.value.code


def test_a_form_is_an_action_a_version_parameters_and_tags() -> None:
    body = (
        b"Action=TagUser&Version=2010-05-08&UserName=a%2Bb+c&Empty="
        b"&Tags.member.2.Key=nq%3Abuckets&Tags.member.2.Value=aaa+bbb&Tags.member.1.Value=&Tags.member.1.Key=nq:label"
    )
    said = read_form(body)
    assert said == Form(
        "TagUser", "2010-05-08", {"UserName": "a+b c", "Empty": ""}, {"nq:label": "", "nq:buckets": "aaa bbb"}
    )
    assert list(said.tags) == ["nq:label", "nq:buckets"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", IamCode.INVALID_ACTION),
        (b"Version=2010-05-08", IamCode.INVALID_ACTION),
        (b"Action=", IamCode.INVALID_ACTION),
        (b"Action=A&Action=B", IamCode.VALIDATION_ERROR),
        (b"Action=A&UserName=a&UserName=a", IamCode.VALIDATION_ERROR),
        (b"Action=A&User%4eame=a&UserName=b", IamCode.VALIDATION_ERROR),
        (b"Action=A&User Name=a", IamCode.MALFORMED_QUERY_STRING),
        (b"Action=A&=a", IamCode.MALFORMED_QUERY_STRING),
        (b"Action=A&X=%zz", IamCode.MALFORMED_QUERY_STRING),
        (b"Action=A&X=%ff", IamCode.MALFORMED_QUERY_STRING),
        (b"Action=A&X=\xff", IamCode.MALFORMED_QUERY_STRING),
        (b"Action=A&X%0a=1", IamCode.MALFORMED_QUERY_STRING),
        (b"Action=A&Tags.member.1.Key=a", IamCode.VALIDATION_ERROR),
        (b"Action=A&Tags.member.1.Value=a", IamCode.VALIDATION_ERROR),
        (b"Action=A&Tags.member.0.Key=a&Tags.member.0.Value=b", IamCode.VALIDATION_ERROR),
        (b"Action=A&Tags.member.51.Key=a&Tags.member.51.Value=b", IamCode.VALIDATION_ERROR),
        (b"Action=A&Tags.member.1.Key=a&Tags.member.1.Value=b&Tags.member.1.Other=c", IamCode.VALIDATION_ERROR),
        (
            b"Action=A&Tags.member.1.Key=a&Tags.member.1.Value=b&Tags.member.2.Key=a&Tags.member.2.Value=c",
            IamCode.VALIDATION_ERROR,
        ),
        (b"Action=A&X=" + b"x" * (MAX_VALUE + 1), IamCode.VALIDATION_ERROR),
        (b"Action=A" + b"".join(b"&P%d=" % number for number in range(MAX_PARAMETERS)), IamCode.VALIDATION_ERROR),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(body: bytes, code: IamCode) -> None:
    assert refused(body) is code


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_refused(body: bytes) -> None:
    with contextlib.suppress(IamError):
        assert read_form(b"Action=A&" + body).action == "A"


def test_header_names_fold_and_what_says_who_asks_is_said_once() -> None:
    doubled = WHOLE._replace(headers=[(b"HOST", b" gw\t"), (b"Via", b"1"), (b"via", b"2")])
    assert read_headers(doubled) == {b"host": b"gw", b"via": b"1,2"}
    for name in (b"Authorization", b"host", b"Content-Type", b"Content-Length", b"X-Amz-Date"):
        with pytest.raises(IamError) as caught:
            read_headers(WHOLE._replace(headers=[(name, b"a"), (name.lower(), b"a")]))
        assert caught.value.code is IamCode.VALIDATION_ERROR


@pytest.mark.parametrize(
    "changed",
    [
        {"method": b"GET"},
        {"method": b"post"},
        {"raw_path": b"//"},
        {"raw_path": b"/x"},
        {"raw_query": b"Action=GetCallerIdentity"},
        {"headers": [(b"content-type", b"application/json")]},
        {"headers": [(b"content-type", b"application/x-www-form-urlencodedx")]},
        {"headers": [(b"content-type", b"")]},
        {"body": bytes(MAX_BODY + 1)},
    ],
)
def test_everything_but_a_form_posted_to_the_root_is_refused(changed: dict[str, object]) -> None:
    request = WHOLE._replace(**changed)  # type: ignore[arg-type]  # names and values above
    with pytest.raises(IamError):
        check_shape(request, read_headers(request))


@pytest.mark.parametrize(
    "content_type", [None, b"application/x-www-form-urlencoded", b"Application/X-WWW-form-urlencoded ; charset=utf-8"]
)
def test_a_form_may_say_its_charset(content_type: bytes | None) -> None:
    sent = [] if content_type is None else [(b"content-type", content_type)]
    request = WHOLE._replace(headers=sent, body=bytes(MAX_BODY))
    check_shape(request, read_headers(request))


def test_neither_request_nor_answer_prints_what_it_holds() -> None:
    assert "secret" not in repr(WHOLE)
    assert "secret" not in repr(IamAnswer(200, [], b"<SecretAccessKey>secret</SecretAccessKey>"))
