import pytest

from tests.support.raw_client import RawConnection
from tests.support.recording_upstream import (
    RecordingUpstream,
    canned,
    chunked,
    close_without_answer,
    early,
    in_pieces,
    in_turn,
    never_answers,
    ok,
    short_body,
)
from tests.support.server_process import LOOPBACK

GET = b"GET /b/k HTTP/1.1\r\nhost: x\r\n\r\n"
PUT = b"PUT /b/k?x=%2f HTTP/1.1\r\nHost:  x\r\ncontent-length: 5\r\n\r\nhello"


def test_every_byte_of_a_request_is_kept() -> None:
    with RecordingUpstream() as upstream, RawConnection(LOOPBACK, upstream.port) as client:
        client.send(PUT)
        assert client.reply().status == 200
        request = upstream.only_request()
    assert request.head + request.body == PUT
    assert request.line == b"PUT /b/k?x=%2f HTTP/1.1"
    assert request.header(b"host") == b" x"
    assert request.complete


def test_requests_of_one_connection_are_told_apart() -> None:
    with RecordingUpstream() as upstream, RawConnection(LOOPBACK, upstream.port) as client:
        client.send(GET + PUT + GET)
        assert [client.reply().status for _ in range(3)] == [200, 200, 200]
        lines = [request.line[:3] for request in upstream.requests]
        assert (lines, upstream.connections) == ([b"GET", b"PUT", b"GET"], 1)


def test_an_untouched_upstream_says_so_and_a_touched_one_does_not() -> None:
    with RecordingUpstream() as upstream:
        upstream.assert_untouched()
        with RawConnection(LOOPBACK, upstream.port) as client:
            client.send(GET)
            client.reply()
            with pytest.raises(AssertionError):
                upstream.assert_untouched()
            upstream.reset()
            upstream.assert_untouched()
            client.send(GET)
            client.reply()
            with pytest.raises(AssertionError):
                upstream.assert_untouched()


def test_scripts_run_in_turn_and_the_last_one_stays() -> None:
    script = in_turn(canned(ok(b"first")), canned(ok(b"other")))
    with RecordingUpstream(script) as upstream, RawConnection(LOOPBACK, upstream.port) as client:
        client.send(GET * 3)
        assert [client.reply().body for _ in range(3)] == [b"first", b"other", b"other"]


def test_an_early_answer_comes_before_the_body() -> None:
    with RecordingUpstream(early(ok(status=b"507 Full"))) as upstream, RawConnection(LOOPBACK, upstream.port) as client:
        client.send(PUT[:-5])
        assert client.reply().status == 507
        assert upstream.only_request().body == b""


def test_chunked_and_interim_replies_are_read_whole() -> None:
    with RecordingUpstream(chunked(b"ab", b"c" * 20)) as upstream, RawConnection(LOOPBACK, upstream.port) as client:
        client.send(GET)
        assert client.reply().body == b"ab" + b"c" * 20
        upstream.reset(in_pieces([b"HTTP/1.1 103 Early Hints\r\n\r\n", ok(b"final")]))
        client.send(GET)
        assert [client.reply().status, client.reply().body] == [103, b"final"]


def test_a_short_body_ends_the_connection() -> None:
    with RecordingUpstream(short_body(10, b"abc")) as upstream, RawConnection(LOOPBACK, upstream.port) as client:
        client.send(GET)
        with pytest.raises(EOFError):
            client.reply()


def test_a_connection_closed_without_an_answer_and_one_that_never_answers() -> None:
    with RecordingUpstream(close_without_answer) as upstream:
        with RawConnection(LOOPBACK, upstream.port) as client:
            client.send(GET)
            assert client.is_closed()
        upstream.reset(never_answers)
        with RawConnection(LOOPBACK, upstream.port) as client:
            client.send(GET)
            assert client.nothing_arrives(0.1)
