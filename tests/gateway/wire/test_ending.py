"""Every way in which an exchange ends gives back what it held, once, and tells nobody twice."""

import pytest

from gateway.wire.ending import Ending
from gateway.wire.exchange import Exchange
from tests.support.recording_upstream import RecordingUpstream, canned, never_answers, ok
from tests.support.wire import RunningEngine, wait_until


def test_an_exchange_is_one_that_ends() -> None:
    assert issubclass(Exchange, Ending)


@pytest.mark.parametrize("leaves", [True, False])
def test_whoever_leaves_or_is_answered_leaves_nothing_behind(
    gateway: RunningEngine, upstream: RecordingUpstream, *, leaves: bool
) -> None:
    body = b"x" * 5000
    upstream.script = never_answers if leaves else canned(ok())
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=body) + body)
        upstream.wait_for_requests(1)
        if not leaves:
            assert client.reply().status == 200
    wait_until(lambda: gateway.call(lambda: gateway.engine.memory.taken) == 0)


def test_a_refused_head_is_answered_without_a_document(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    gateway.directory.revoke()
    with gateway.connect() as client:
        client.send(gateway.signer.head("HEAD", "/bucket/k"))
        reply = client.reply(head_request=True)
    assert reply.header(b"x-amz-error-code") == b"InvalidAccessKeyId"
    upstream.assert_untouched()


def test_why_a_request_was_refused_stands_in_the_log_under_its_id(
    gateway: RunningEngine, upstream: RecordingUpstream
) -> None:
    gateway.directory.revoke()
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        request_id = client.reply().header(b"x-amz-request-id").decode()
    wait_until(lambda: bool(gateway.said))
    assert f"{request_id} refused: " in "".join(gateway.said)
    assert "has been revoked" in "".join(gateway.said)
