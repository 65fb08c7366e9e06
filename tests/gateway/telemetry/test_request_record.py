"""What is known of a request at its end, and the code that its answer names."""

import pytest

from gateway.respond import error_reply
from gateway.s3.errors import Code, S3Error
from gateway.telemetry.request_record import End, RequestRecord, code_of


def test_a_record_begins_with_nothing_proven_and_nothing_answered() -> None:
    record = RequestRecord(b"0123456789ABCDEF", b"GET", "192.0.2.1", 7.0)
    assert (record.operation, record.access_key_id, record.bucket) == ("", "", "")
    assert (record.status, record.code, record.from_store, record.end) == (0, "", False, End.WHOLE)
    assert (record.began, record.asked, record.replied, record.ended) == (7.0, 0.0, 0.0, 0.0)


def test_a_record_has_no_place_for_a_header_a_target_or_a_signature() -> None:
    assert not {"headers", "head", "target", "query", "signature", "authorization"} & set(RequestRecord.__slots__)


@pytest.mark.parametrize("head_request", [False, True])
def test_the_code_of_a_refusal_is_read_where_the_client_reads_it(*, head_request: bool) -> None:
    error = S3Error(Code.SIGNATURE_DOES_NOT_MATCH, extra=(("AWSAccessKeyId", "NQAK"),))
    answer = error_reply(error, b"0123456789ABCDEF", head_request=head_request, resource="/bucket/k")
    assert code_of(*answer) == "SignatureDoesNotMatch"


def test_what_names_no_code_has_none() -> None:
    assert code_of(b"HTTP/1.1 404 Not Found\r\n", b"") == ""
    assert code_of(b"HTTP/1.1 404 Not Found\r\n", b"<Error><Code>&lt;b&gt;</Code></Error>") == ""
