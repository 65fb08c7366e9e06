"""What a failed answer of the store becomes: nothing in it may be about the store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store_errors import MAX_MESSAGE, StoreError, error_inside, store_code, store_error

HIDDEN = ("store.internal", "akiastore")


def document(code: str, message: str = "m") -> bytes:
    return (
        f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message>'
        "<HostId>store.internal</HostId><AWSAccessKeyId>AKIASTORE</AWSAccessKeyId></Error>"
    ).encode()


def answered(status: int, body: bytes = b"", *, of_object: bool = True) -> StoreError:
    return store_error(status, body, of_object=of_object, hidden=HIDDEN)


def test_code_and_message_of_the_store_pass_with_its_status() -> None:
    assert answered(404, document("NoSuchKey", "gone")) == (404, "NoSuchKey", "gone", False)
    assert answered(503, document("SlowDown", "easy")) == (503, "SlowDown", "easy", False)
    assert answered(500, document("InternalError", "hm")) == (500, "InternalError", "hm", False)


@pytest.mark.parametrize(
    "code",
    [
        "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "AuthorizationHeaderMalformed",
        "ExpiredToken", "InvalidToken", "MissingSecurityHeader", "PermanentRedirect", "TemporaryRedirect",
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [400, 403])
def test_what_the_store_says_of_our_credential_is_an_internal_error(status: int, code: str) -> None:
    assert answered(status, document(code, "AKIASTORE"))[:2] == (500, "InternalError")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308, 399, 401, 407])
def test_a_redirect_or_a_challenge_is_never_relayed(status: int) -> None:
    assert answered(status, document("NoSuchKey"))[:2] == (500, "InternalError")


@pytest.mark.parametrize(
    "message",
    [
        "User: arn:aws:iam::123456789012:user/gw is not authorized",
        "see https://STORE.internal:9000/",
        "the key AKIASTORE is unknown",
    ],
)
@pytest.mark.parametrize("code", ["AccessDenied", "InvalidRequest"])
def test_a_message_that_names_the_store_or_its_user_is_replaced(code: str, message: str) -> None:
    failed = answered(403, document(code, message))
    assert (failed.status, failed.code) == (403, code)
    assert not any(word in failed.message.lower() for word in ("arn:", *HIDDEN))


def test_access_denied_always_reads_the_same() -> None:
    assert answered(403, document("AccessDenied", "no bucket bbb")) == answered(403, document("AccessDenied"))


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "AccessDenied"), (405, "MethodNotAllowed"), (412, "PreconditionFailed"), (416, "InvalidRange")],
)
def test_a_known_status_without_a_document_keeps_its_meaning(status: int, code: str) -> None:
    assert answered(status)[:2] == (status, code)


def test_a_bare_404_is_about_the_object_or_the_bucket() -> None:
    assert answered(404).code == "NoSuchKey"
    assert answered(404, of_object=False).code == "NoSuchBucket"


@pytest.mark.parametrize("status", [404, 403, 400, 500, 418])
@pytest.mark.parametrize("body", [b"404 page not found", b"<html></html>", b"{}", b"<Error>", b"<Error/>"])
def test_a_document_that_is_not_s3_is_an_internal_error_and_never_no_such_key(status: int, body: bytes) -> None:
    assert answered(status, body)[:2] == (500, "InternalError")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_store_without_a_document_is_service_unavailable(status: int) -> None:
    assert answered(status, b"<html>bad gateway</html>")[:2] == (503, "ServiceUnavailable")


@pytest.mark.parametrize("code", ["", "No Such", "a\r\nb", "x" * 65, "ü"])
def test_a_code_that_is_no_code_is_an_internal_error(code: str) -> None:
    assert answered(400, document(code))[:2] == (500, "InternalError")


def test_an_error_without_a_message_gets_one() -> None:
    assert answered(404, b"<Error><Code>NoSuchKey</Code></Error>").message == "The specified key does not exist."
    assert answered(400, document("Odd", "")).message == "The store refused the request."


def test_a_message_has_an_end() -> None:
    assert len(answered(400, document("InvalidRequest", "x" * 5000)).message) == MAX_MESSAGE


def test_entities_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><Error><Code>&a;</Code><Message>&a;</Message></Error>'
    assert answered(400, bomb)[:2] == (500, "InternalError")


def test_the_error_inside_a_200_is_found_and_a_result_is_none() -> None:
    assert error_inside(b"<CopyObjectResult/>", HIDDEN) is None
    found = error_inside(b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>", HIDDEN)
    assert found == (200, "NoSuchKey", "gone", False)
    ours = error_inside(b"<Error><Code>SignatureDoesNotMatch</Code><Message>AKIASTORE</Message></Error>", HIDDEN)
    assert ours is not None
    assert ours.code == "InternalError"
    broken = error_inside(b"<Error><Code>", HIDDEN)
    assert broken is not None
    assert broken.code == "InternalError"


@given(status=st.integers(300, 599), body=st.binary(max_size=200))
def test_any_bytes_become_an_error_with_a_code(status: int, body: bytes) -> None:
    failed = answered(status, body)
    assert 400 <= failed.status <= 599
    assert failed.code


def test_only_the_code_of_a_store_error_is_for_the_log() -> None:
    document = b"<Error><Code>SignatureDoesNotMatch</Code><Message>key AKIA0</Message></Error>"
    assert store_code(document) == "SignatureDoesNotMatch"
    assert store_code(b"<Error><Code>bad code\n</Code></Error>") == ""
    assert store_code(b"not XML") == ""
