"""Uploads aborted by a command, over a socket."""

import threading

import pytest

from gateway import store_uploads
from gateway.store_uploads import ABORTED, AT_ONCE, GONE, MAX_FAILURES, NOT_ASKED, Aborts
from keystore.derived import UpstreamCredential
from keystore.uploads import Upload
from tests.gateway.test_store_buckets import config
from tests.support.recording_upstream import Exchange, RecordingUpstream, Script, canned, close_without_answer, ok

CREDENTIAL = UpstreamCredential("ITSOWNKEY", "its-own-secret")
DONE = canned(b"HTTP/1.1 204 No Content\r\n\r\n")
ONE = Upload("photos", "ü/a +b".encode(), b"i/1&x")


def refusing(status: bytes, code: bytes) -> Script:
    return canned(ok(b"<Error><Code>%b</Code><Message>STOREKEY</Message></Error>" % code, status=status))


def test_an_upload_is_asked_for_by_its_bytes_with_the_credential_of_its_account() -> None:
    told: list[int] = []
    with RecordingUpstream(DONE) as upstream:
        assert Aborts(config(upstream.endpoint), CREDENTIAL, told.append).run([ONE]) == {ONE: ABORTED}
    request = upstream.only_request()
    assert request.line == b"DELETE /photos/%C3%BC/a%20%2Bb?uploadId=i%2F1%26x HTTP/1.1"
    assert b"Credential=ITSOWNKEY/" in request.header(b"authorization")
    assert told == [1]


@pytest.mark.parametrize(
    ("script", "became"),
    [
        (refusing(b"404 Not Found", b"NoSuchUpload"), GONE),
        (refusing(b"403 Forbidden", b"AccessDenied"), "the store answered 403 AccessDenied"),
        (canned(ok(b"", status=b"500 Internal Server Error")), "the store answered 500"),
        (close_without_answer, "the store did not answer: Remote end closed connection without response"),
    ],
)
def test_what_became_of_it_is_told_without_the_stores_words(script: Script, became: str) -> None:
    with RecordingUpstream(script) as upstream:
        assert Aborts(config(upstream.endpoint), CREDENTIAL, lambda done: None).run([ONE]) == {ONE: became}


@pytest.mark.parametrize(
    "strange",
    [
        ONE._replace(upload_id=b""),
        ONE._replace(object_key=b""),
        ONE._replace(object_key=b"../others/k"),
        ONE._replace(object_key=b"/"),
        ONE._replace(object_key=b"\xff"),
        ONE._replace(upload_id=b"../x"),
        ONE._replace(bucket="a/b"),
        ONE._replace(bucket=""),
    ],
)
def test_a_row_that_no_gateway_wrote_asks_for_nothing(strange: Upload) -> None:
    """Without an upload id the store would take the object itself away; with dot segments another bucket's."""
    with RecordingUpstream(DONE) as upstream:
        found = Aborts(config(upstream.endpoint), CREDENTIAL, lambda done: None).run([strange])
        upstream.assert_untouched()
    assert found[strange].startswith(NOT_ASKED)


def test_several_are_asked_for_at_once_and_no_more() -> None:
    together, lock, running, most = threading.Barrier(AT_ONCE), threading.Lock(), 0, 0

    def script(exchange: Exchange) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(10)
        with lock:
            running -= 1
        DONE(exchange)

    many = [ONE._replace(upload_id=b"%d" % number) for number in range(3 * AT_ONCE)]
    with RecordingUpstream(script) as upstream:
        found = Aborts(config(upstream.endpoint), CREDENTIAL, lambda done: None).run(many)
    assert list(found.values()) == [ABORTED] * len(many)
    assert most == AT_ONCE


def test_a_store_that_is_away_is_not_waited_for_a_thousand_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_uploads, "AT_ONCE", 1)
    many = [ONE._replace(upload_id=b"%d" % number) for number in range(1000)]
    found = Aborts(config("http://127.0.0.1:1"), CREDENTIAL, lambda done: None).run(many)
    words = list(found.values())
    assert words[:MAX_FAILURES] == ["the store did not answer: [Errno 111] Connection refused"] * MAX_FAILURES
    assert words[MAX_FAILURES:] == [NOT_ASKED] * (1000 - MAX_FAILURES)
