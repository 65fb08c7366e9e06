"""What is admitted at once, on the wire: what counts, until when, and what whoever is too many gets."""

import contextlib
import time
from dataclasses import replace

from tests.support.raw_client import Signer
from tests.support.recording_upstream import RecordingUpstream
from tests.support.wire import RunningEngine, wait_until


def held(gateway: RunningEngine) -> tuple[int, int]:
    """Requests under way, and those of the test's address."""
    return gateway.call(
        lambda: (gateway.engine.admission.requests, gateway.engine.admission.addresses.of("127.0.0.1").requests)
    )


def test_a_request_counts_from_its_signature_to_its_end_however_it_ends(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    head = gateway.signer.head("PUT", "/bucket/k", body=b"body")
    for rest, answered in ((b"body", True), (b"badd", True), (b"", False)):
        with gateway.connect() as client:
            client.send(head)
            wait_until(lambda: held(gateway) == (1, 1))
            client.send(rest)
            if answered:
                client.reply()
                wait_until(lambda: held(gateway) == (0, 0))
        wait_until(lambda: held(gateway) == (0, 0))


def test_a_request_that_is_not_signed_well_never_counts(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    forged = replace(gateway.signer, secret_access_key="s" * 40).head("PUT", "/bucket/k", body=b"body")
    with gateway.connect() as client:
        client.send(forged)
        assert client.reply().code == "SignatureDoesNotMatch"
        assert held(gateway) == (0, 0)


def test_more_requests_than_may_be_under_way_are_told_to_slow_down_and_their_bodies_are_not_read(
    upstream: RecordingUpstream,
) -> None:
    with (
        RunningEngine(upstream.port, requests=1, upstream_connections=1) as gateway,
        gateway.connect() as first,
        gateway.connect() as second,
    ):
        first.send(gateway.signer.head("PUT", "/bucket/k", body=b"body"))
        wait_until(lambda: held(gateway) == (1, 1))
        second.send(gateway.signer.head("PUT", "/bucket/k", body=b"body", unsigned=[("Expect", "100-continue")]))
        reply = second.reply()
        assert (reply.status, reply.code, reply.header(b"retry-after")) == (503, "SlowDown", b"1")
        first.send(b"body")
        assert first.reply().status == 200
        first.send(gateway.signer.head("GET", "/bucket/k"))
        assert first.reply().status == 200
        upstream.requests.clear()


def test_bad_signatures_of_an_address_end_before_its_good_ones_do(upstream: RecordingUpstream) -> None:
    """The connection that asked wrongly is not read for the rest of the second, whatever it sends."""
    with RunningEngine(upstream.port, refusals_per_address=5) as gateway:
        good = gateway.signer.head("GET", "/bucket/k")
        forged = replace(gateway.signer, secret_access_key="s" * 40).head("GET", "/bucket/k")
        with gateway.connect() as honest, gateway.connect() as other, gateway.connect(timeout=30.0) as flood:
            honest.send(good)
            assert honest.reply().status == 200
            clock = gateway.call(lambda: gateway.engine.clock)
            wait_until(lambda: gateway.call(lambda: gateway.engine.clock) != clock)  # a second begins
            flood.send(forged * 20)
            answers = [flood.reply().code for _ in range(6)]
            assert answers == ["SignatureDoesNotMatch"] * 5 + ["SlowDown"]
            honest.send(good)
            assert honest.reply().status == 200
            other.send(good)
            assert other.reply().code == "SlowDown"  # from the same address, and it has proven nothing
            began = time.monotonic()
            assert [flood.reply().code for _ in range(12)] == answers * 2
            assert time.monotonic() - began > 0.5  # each round waited for its second
            other.send(good)
            assert other.reply().status in (200, 503)


def test_a_client_told_by_a_proxy_has_the_limits_of_its_own_address(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, refusals_per_address=2, trusted=["127.0.0.1"]) as gateway:
        forger = replace(gateway.signer, secret_access_key="s" * 40)

        def asked(signer: Signer, source: str) -> str:
            with gateway.connect() as client:
                client.send(signer.head("GET", "/bucket/k", unsigned=[("X-Forwarded-For", source)]))
                return client.reply().code

        clock = gateway.call(lambda: gateway.engine.clock)
        wait_until(lambda: gateway.call(lambda: gateway.engine.clock) != clock)
        assert [asked(forger, "192.0.2.1") for _ in range(3)] == ["SignatureDoesNotMatch"] * 2 + ["SlowDown"]
        assert asked(gateway.signer, "192.0.2.2") == ""
        assert asked(gateway.signer, "192.0.2.1") == "SlowDown"


def test_one_address_may_be_given_its_number_of_connections(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, connections_per_address=2) as gateway:
        with gateway.connect() as first, gateway.connect() as second, gateway.connect() as third:
            assert third.reply().code == "SlowDown"
            assert third.is_closed()
            for client in (first, second):
                client.send(gateway.signer.head("GET", "/bucket/k"))
                assert client.reply().status == 200
        wait_until(lambda: gateway.call(lambda: gateway.engine.connections) == 0)
        with gateway.connect() as again:
            again.send(gateway.signer.head("GET", "/bucket/k"))
            assert again.reply().status == 200


def test_connections_at_rest_give_way_to_newcomers_and_those_at_work_do_not(upstream: RecordingUpstream) -> None:
    with RunningEngine(upstream.port, connections=3) as gateway, contextlib.ExitStack() as opened:
        working, idle, slow_head = (opened.enter_context(gateway.connect()) for _ in range(3))
        working.send(gateway.signer.head("PUT", "/bucket/k", body=b"body"))
        slow_head.send(b"GET /bu")
        time.sleep(2.2)
        for gone in (idle, slow_head):
            newcomer = opened.enter_context(gateway.connect())
            newcomer.send(gateway.signer.head("GET", "/bucket/k"))
            assert newcomer.reply().status == 200
            assert gone.is_closed()
        working.send(b"body")
        assert working.reply().status == 200


def test_a_form_that_does_not_say_who_it_is_from_in_time_is_ended(upstream: RecordingUpstream) -> None:
    """A byte now and then kept it for ever: only silence counted, and nobody was authenticated yet."""
    with RunningEngine(upstream.port, head_timeout=2) as gateway, gateway.connect() as client:
        head = f"POST /bucket HTTP/1.1\r\nHost: {gateway.signer.host}\r\nContent-Type: multipart/form-data; boundary=b"
        client.send(head.encode() + b"\r\nContent-Length: 10000\r\n\r\n")
        client.send_slowly(b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nk', piece=1, pause=0.1)
        assert client.reply().code == "RequestTimeout"
