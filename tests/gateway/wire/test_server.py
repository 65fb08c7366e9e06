"""The client side of the wire, told as bytes: the real engine, a recording upstream, one raw socket."""

import contextlib
import socket
import threading
import time

from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.wire import RunningEngine, wait_until

MIB = 1 << 20


def test_a_proxied_get_as_bytes(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/object%20key"))
        reply = client.reply()
    assert (reply.status, reply.body) == (200, b"hello")
    assert reply.header(b"etag") == b"x"
    assert len(reply.header(b"x-amz-request-id")) == 16
    assert upstream.only_request().line == b"GET /bucket/object%20key HTTP/1.1"


def test_two_requests_share_one_connection_on_both_sides(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    with gateway.connect() as client:
        for number in range(2):
            client.send(gateway.signer.head("GET", f"/bucket/{number}"))
            assert client.reply().status == 200
    assert upstream.connections == 1


def test_pipelined_requests_are_answered_in_order(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    heads = [gateway.signer.head("GET", f"/bucket/{number}") for number in range(5)]
    with gateway.connect() as client:
        client.send(b"".join(heads))
        assert [client.reply().status for _ in heads] == [200] * 5
    assert [request.line for request in upstream.requests] == [
        b"GET /bucket/%d HTTP/1.1" % number for number in range(5)
    ]


def test_a_thousand_pipelined_refusals_do_not_exhaust_the_stack(gateway: RunningEngine) -> None:
    with gateway.connect() as client:
        client.send(b"GET /bucket/k HTTP/1.1\r\nHost: h\r\n\r\n" * 1000)
        assert {client.reply().code for _ in range(1000)} == {"AccessDenied"}


def test_a_head_byte_by_byte_is_the_same_request(gateway: RunningEngine) -> None:
    with gateway.connect() as client:
        for byte in gateway.signer.head("GET", "/bucket/k"):
            client.send(bytes([byte]))
        assert client.reply().status == 200


def test_an_empty_line_before_the_request_line_is_ignored(gateway: RunningEngine) -> None:
    with gateway.connect() as client:
        client.send(b"\r\n\r\n" + gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 200


def test_the_head_is_bounded(gateway: RunningEngine) -> None:
    with gateway.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 70_000)
        reply = client.reply()
        assert (reply.status, reply.code) == (400, "RequestHeaderSectionTooLarge")
        assert client.is_closed()


def test_a_slow_head_is_ended(gateway: RunningEngine) -> None:
    with gateway.connect() as client:
        client.send(b"GET / HTTP/1.1\r\n")
        assert client.reply().code == "RequestTimeout"
        assert client.is_closed()


def test_an_idle_connection_is_closed_without_a_word(gateway: RunningEngine) -> None:
    with gateway.connect() as client:
        assert client.is_closed()


def test_continue_is_said_only_after_authorization(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    head = gateway.signer.head("PUT", "/bucket/k", body=b"body", unsigned=[("Expect", "100-continue")])
    with gateway.connect() as client:
        client.send(head)
        assert client.read(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        upstream.assert_untouched()
        client.send(b"body")
        assert client.reply().status == 200
    assert bytes(upstream.only_request().body) == b"body"


def test_a_refused_upload_never_hears_continue(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    head = gateway.signer.head("PUT", "/bucket/k", body=b"body", unsigned=[("Expect", "100-continue")])
    broken = head.replace(b"Signature=", b"Signature=0")
    with gateway.connect() as client:
        client.send(broken)
        reply = client.reply()
        assert reply.line.startswith(b"HTTP/1.1 400")
        assert reply.header(b"connection") == b"close"
    upstream.assert_untouched()


def test_a_revoked_key_is_refused_on_an_open_connection(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        assert client.reply().status == 200
        gateway.call(gateway.directory.revoke)
        client.send(gateway.signer.head("GET", "/bucket/k"))
        reply = client.reply()
    assert (reply.status, reply.code) == (403, "InvalidAccessKeyId")
    assert len(upstream.requests) == 1


def test_a_keystore_that_cannot_answer_is_503(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    gateway.directory.broken = True
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        reply = client.reply()
    assert (reply.status, reply.code) == (503, "ServiceUnavailable")
    assert reply.header(b"retry-after") == b"1"
    upstream.assert_untouched()


def test_too_many_connections_are_told_to_slow_down(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, connections=1) as gateway, gateway.connect() as first:
        first.send(gateway.signer.head("GET", "/bucket/k"))
        assert first.reply().status == 200
        with gateway.connect() as second:
            assert second.reply().code == "SlowDown"
            assert second.is_closed()


def test_a_drain_lets_the_running_request_finish_and_closes_idle_connections(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port) as gateway, gateway.connect() as idle, gateway.connect() as busy:
        idle.send(gateway.signer.head("GET", "/bucket/k"))
        assert idle.reply().status == 200
        busy.send(gateway.signer.head("PUT", "/bucket/k", body=b"body") + b"bo")
        wait_until(lambda: gateway.call(lambda: gateway.engine.memory.taken) != 0)
        busy.send(b"dy")
        assert gateway.drain() == 0
        reply = busy.reply()
        assert reply.status == 200
        assert busy.is_closed()
        assert idle.is_closed()


def test_what_a_client_sends_ahead_is_bounded_also_between_requests(gateway: RunningEngine) -> None:
    """Refused heads leave nothing to wait for: without a bound a stranger could fill the memory."""
    refused = b"GET /bucket/k HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000
    with gateway.connect(receive_buffer=4096) as client:
        client.socket.settimeout(0.3)
        try:
            for _ in range(20):
                client.socket.sendall(refused)
        except TimeoutError:
            pass  # the gateway stopped reading, as it must
        [connection] = gateway.engine._connections
        bound = gateway.engine.read_ahead + gateway.limits.read_buffer
        assert gateway.call(lambda: len(connection._pending)) <= bound  # type: ignore[attr-defined]
        with gateway.connect() as other:
            other.send(gateway.signer.head("GET", "/bucket/k"))
            assert other.reply().status == 200


def test_many_pipelined_requests_are_all_answered_however_much_is_sent_ahead(gateway: RunningEngine) -> None:
    number = 3000
    with gateway.connect() as client:
        sender = threading.Thread(target=client.send, args=(b"GET /bucket/k HTTP/1.1\r\nHost: x\r\n\r\n" * number,))
        sender.start()
        assert [client.reply().status for _ in range(number)] == [403] * number
        sender.join()


def test_empty_lines_do_not_keep_a_connection(gateway: RunningEngine) -> None:
    with gateway.connect() as client:
        for _ in range(3):
            client.send(b"\r\n")
            time.sleep(0.05)
        assert client.reply().status == 400


def test_what_was_asked_before_the_client_ended_its_side_is_answered(gateway: RunningEngine) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k") * 3)
        client.end_sending()
        assert [client.reply().status for _ in range(3)] == [200] * 3
        assert client.is_closed()


def test_half_a_head_before_the_end_is_not_waited_for(gateway: RunningEngine) -> None:
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k") + b"GET /half")
        client.end_sending()
        assert client.reply().status == 200
        assert client.is_closed()


def test_a_slow_reader_is_not_a_silent_one(upstream: RecordingUpstream) -> None:
    """Time limits measure silence: one who takes a little all the time is let finish."""
    large = bytes(3 * 1024 * 1024)
    upstream.script = canned(ok(large))
    with RunningEngine(upstream.port, body_idle_timeout=2) as gateway, gateway.connect(receive_buffer=4096) as slow:
        slow.send(gateway.signer.head("GET", "/bucket/k"))
        head = slow.read_some(16_384)
        taken = len(head.partition(b"\r\n\r\n")[2])
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            taken += len(slow.read_some(4096))
            time.sleep(0.1)
        slow.read(len(large) - taken)


def pushed(gateway: RunningEngine, announced: int, seconds: float = 3.0) -> tuple[bytes, int]:
    """A refused upload whose client sends without listening: (its answer, bytes that left its hands)."""
    head = gateway.signer.head("PUT", "/bucket/k", sha256="UNSIGNED-PAYLOAD", unsigned=[("x-amz-acl", "private")])
    sent, block = 0, bytes(65536)
    with gateway.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        client.send(head[:-2] + b"Content-Length: %d\r\n\r\n" % announced)
        client.socket.settimeout(0.2)
        deadline = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            while sent < announced and time.monotonic() < deadline:
                sent += client.socket.send(block[: announced - sent])
        client.socket.settimeout(10)
        return client.reply().line, sent


def test_a_refused_body_that_will_not_end_is_not_read(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, linger_bytes=MIB, linger_timeout=2) as gateway:
        line, sent = pushed(gateway, 5 << 30)
    assert line == b"HTTP/1.1 403 Forbidden"
    assert sent < 16 * MIB  # what the kernels of both sides take; loopback would carry gigabytes in that time


def test_a_refused_body_of_ordinary_size_is_read_to_its_end(upstream: RecordingUpstream) -> None:
    """A client that sends first and listens later hears why."""
    with RunningEngine(upstream.port, linger_bytes=64 * MIB, linger_timeout=5) as gateway:
        line, sent = pushed(gateway, 32 * MIB, seconds=5)
    assert (line, sent) == (b"HTTP/1.1 403 Forbidden", 32 * MIB)
