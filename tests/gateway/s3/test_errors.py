"""The error table: what a client is told, and what only the log is told."""

import pytest

from gateway.s3.errors import Code, S3Error


def test_every_code_has_a_name_a_status_and_a_sentence() -> None:
    for code in Code:
        assert code.wire_name.isalnum()
        assert 400 <= code.status <= 503
        assert code.message.endswith(".")


def test_no_two_codes_share_a_name() -> None:
    assert len({code.wire_name for code in Code}) == len(Code)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.ACCESS_DENIED, 403),
        (Code.INVALID_ACCESS_KEY_ID, 403),
        (Code.SIGNATURE_DOES_NOT_MATCH, 403),
        (Code.REQUEST_TIME_TOO_SKEWED, 403),
        (Code.AUTHORIZATION_HEADER_MALFORMED, 400),
        (Code.XAMZ_CONTENT_SHA256_MISMATCH, 400),
        (Code.SERVICE_UNAVAILABLE, 503),
        (Code.NOT_IMPLEMENTED, 501),
    ],
)
def test_sdks_retry_by_status_so_it_is_fixed(code: Code, status: int) -> None:
    assert code.status == status


def test_the_reason_is_for_the_log_and_the_message_for_the_client() -> None:
    error = S3Error(Code.ACCESS_DENIED, "grant missing")
    assert error.reason == "grant missing"
    assert error.message == Code.ACCESS_DENIED.message
    assert "grant missing" not in error.message


def test_an_error_without_a_reason_gives_its_message_as_one() -> None:
    assert S3Error(Code.ACCESS_DENIED, message="No.").reason == "No."
    assert S3Error(Code.ACCESS_DENIED).reason == Code.ACCESS_DENIED.message
