"""What is not known yet, because another process has been asked: the request waits, and nobody else does."""

import socket
from collections.abc import Callable, Iterator

import pytest

from gateway.wire.sockets import RESET
from keystore.access_key import KnownKey
from keystore.errors import KeystoreError, KeystoreUnavailable, NotKnownYet
from tests.support.posted import posted_form
from tests.support.recording_upstream import RecordingUpstream
from tests.support.wire import ACCESS_KEY_ID, SECRET, RunningEngine, wait_until

Told = Callable[[KeystoreError | None], None]


class Asked:
    """The questions that were asked of somebody else; the test answers them."""

    def __init__(self, gateway: RunningEngine, times: int = 1) -> None:
        self._gateway = gateway
        self._find = gateway.directory.find
        self._left = times
        self.waiting: list[Told] = []
        gateway.call(self._install)

    def _install(self) -> None:
        engine = self._gateway.engine
        engine._lookups = engine._lookups._replace(find=self.find)

    def find(self, access_key_id: str, date: bytes) -> KnownKey | None:
        if self._left:
            self._left -= 1
            raise NotKnownYet("a key", self.waiting.append)
        return self._find(access_key_id, date)

    def answer(self, error: KeystoreError | None = None) -> None:
        wait_until(lambda: bool(self.waiting))
        self._gateway.call(lambda: self.waiting.pop()(error))


@pytest.fixture
def gateway(upstream: RecordingUpstream) -> Iterator[RunningEngine]:
    with RunningEngine(upstream.port) as running:
        yield running


def test_a_request_waits_and_others_do_not(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    asked = Asked(gateway)
    with gateway.connect() as first, gateway.connect() as second:
        first.send(gateway.signer.head("GET", "/bucket/first"))
        wait_until(lambda: bool(asked.waiting))
        second.send(gateway.signer.head("GET", "/bucket/second"))
        assert second.reply().status == 200
        upstream.wait_for_requests(1)
        asked.answer()
        assert first.reply().status == 200
        first.send(gateway.signer.head("GET", "/bucket/again"))
        assert first.reply().status == 200
    paths = [request.line.split()[1] for request in upstream.requests]
    assert paths == [b"/bucket/second", b"/bucket/first", b"/bucket/again"]


@pytest.mark.parametrize("body", [b"small", b"x" * (3 << 20)], ids=["held", "streamed"])
def test_an_upload_is_not_asked_for_its_body_before_its_key_is_known(
    gateway: RunningEngine, upstream: RecordingUpstream, body: bytes
) -> None:
    asked = Asked(gateway)
    with gateway.connect() as client:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=body, headers=[("Expect", "100-continue")]))
        wait_until(lambda: bool(asked.waiting))
        assert client.nothing_arrives(0.1)
        asked.answer()
        assert client.read(12) == b"HTTP/1.1 100"
        client.send(body)
        [put] = upstream.wait_for_requests(1)
        wait_until(lambda: put.complete)
    assert put.body == body


@pytest.mark.parametrize("size", [3000, 20 << 20], ids=["held", "streamed"])
def test_a_form_waits_with_what_has_come_of_its_file(
    gateway: RunningEngine, upstream: RecordingUpstream, size: int
) -> None:
    """The read buffer belongs to all connections: what waits is kept beside it."""
    asked = Asked(gateway)
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    posted = posted_form(f"127.0.0.1:{gateway.port}", (ACCESS_KEY_ID, SECRET), content).request()
    head = posted.index(b"\r\n\r\n") + 4
    first = posted.index(b"0123") + min(size, 1000)  # the fields and the beginning of the file
    with gateway.connect() as client, gateway.connect() as other:
        client.send(posted[:head])
        wait_until(lambda: any(one.exchange is not None for one in gateway.engine.clients))
        client.send(posted[head:first])  # read by itself, so that it stands in the read buffer
        wait_until(lambda: bool(asked.waiting))
        for _ in range(3):
            other.send(gateway.signer.head("GET", "/bucket/other", headers=[("user-agent", "z" * 6000)]))
            assert other.reply().status == 200
        asked.answer()
        client.send(posted[first:])
        assert client.reply().status == 204
    [put] = [request for request in upstream.requests if request.line.startswith(b"PUT")]
    assert put.body == content


def test_what_could_not_be_told_is_503(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    asked = Asked(gateway)
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        asked.answer(KeystoreUnavailable("the keeper is gone"))
        reply = client.reply()
        assert (reply.status, reply.code, reply.header(b"retry-after")) == (503, "ServiceUnavailable", b"1")
    upstream.assert_untouched()


def test_a_request_asks_a_few_times_and_not_for_ever(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    asked = Asked(gateway, times=1000)
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        for _ in range(8):
            asked.answer()
        assert client.reply().status == 503
    assert asked.waiting == []
    upstream.assert_untouched()


def test_a_key_revoked_while_its_request_waits_is_refused(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    asked = Asked(gateway)
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        wait_until(lambda: bool(asked.waiting))
        gateway.directory.revoke()
        asked.answer()
        assert client.reply().code == "InvalidAccessKeyId"
    upstream.assert_untouched()


def test_a_client_that_went_away_is_nobody_to_go_on_for(gateway: RunningEngine, upstream: RecordingUpstream) -> None:
    asked = Asked(gateway)
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        wait_until(lambda: bool(asked.waiting))
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    wait_until(lambda: gateway.engine.connections == 0)
    asked.answer()
    upstream.assert_untouched()
