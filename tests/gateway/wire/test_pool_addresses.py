"""Several addresses of one store: each is used, what is dead costs no request, and comes back by itself."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.wire.endpoints import Address, Endpoint
from gateway.wire.pool import UpstreamPool
from gateway.wire.tls import listener_context, upstream_context
from tests.support.certificates import make_certificate
from tests.support.raw_client import RawReply
from tests.support.recording_upstream import (
    Exchange,
    RecordingUpstream,
    canned,
    close_without_answer,
    never_answers,
    ok,
)
from tests.support.server_process import LOOPBACK, free_port
from tests.support.wire import RunningEngine, wait_until

BODY = b"a body that is sent whole with its head"


def called(port: int) -> Endpoint:
    return Endpoint(LOOPBACK, port, None, None, host_header=b"127.0.0.1:%d" % port)


@pytest.fixture
def nodes() -> Iterator[list[RecordingUpstream]]:
    with ExitStack() as stack:
        yield [stack.enter_context(RecordingUpstream(canned(ok(b"hello", b"ETag: x")))) for _ in range(2)]


@pytest.fixture
def gateway(nodes: list[RecordingUpstream]) -> Iterator[RunningEngine]:
    endpoints = [called(node.port) for node in nodes]
    with RunningEngine(0, endpoints=endpoints, upstream_connect_timeout=2, upstream_reply_timeout=2) as running:
        yield running


def pool_of(gateway: RunningEngine) -> UpstreamPool:
    return gateway.engine.upstream.pool


def ask(gateway: RunningEngine, method: str = "GET", body: bytes | None = None) -> RawReply:
    with gateway.connect() as client:
        client.send(gateway.signer.head(method, "/bucket/k", body=body) + (body or b""))
        return client.reply()


def aside(gateway: RunningEngine) -> list[bool]:
    return gateway.call(lambda: [address.aside for address in pool_of(gateway).addresses])


def served(node: RecordingUpstream) -> list[bytes]:
    """The requests of clients; the pool's own questions are HEAD /."""
    return [request.line for request in list(node.requests) if not request.line.startswith(b"HEAD / ")]


def test_every_address_is_used_and_called_by_its_own_name(
    gateway: RunningEngine, nodes: list[RecordingUpstream]
) -> None:
    for _ in range(6):
        assert ask(gateway).status == 200
        assert ask(gateway, "PUT", BODY).status == 200
    for node in nodes:
        assert len(served(node)) >= 3
        for request in node.requests:
            assert request.header(b"host") == b"127.0.0.1:%d" % node.port
            if request.line.startswith(b"PUT"):
                assert bytes(request.body) == BODY


def test_the_one_with_fewer_requests_under_way_gets_the_next(
    gateway: RunningEngine, nodes: list[RecordingUpstream]
) -> None:
    def slow(exchange: Exchange) -> None:
        exchange.read_body()
        time.sleep(1.0)
        exchange.send(ok(b"slow"))

    nodes[0].script = slow
    clients = [gateway.connect() for _ in range(12)]
    for client in clients[:2]:
        client.send(gateway.signer.head("GET", "/bucket/k"))
    wait_until(lambda: len(served(nodes[0])) == 1 and len(served(nodes[1])) == 1)
    for client in clients[2:]:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        client.reply()
    assert (len(served(nodes[0])), len(served(nodes[1]))) == (1, 11)
    for client in clients:
        client.close()


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PUT", BODY), ("DELETE", None)])
def test_an_address_that_refuses_costs_no_request_and_is_asked_no_more(
    nodes: list[RecordingUpstream], method: str, body: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    dead = free_port()
    caplog.set_level(logging.WARNING)
    with RunningEngine(0, endpoints=[called(dead), called(nodes[0].port)], upstream_connect_timeout=2) as gateway:
        assert [ask(gateway, method, body).status for _ in range(10)] == [200] * 10
        assert aside(gateway) == [True, False]
    told = [message for message in caplog.messages if f"127.0.0.1:{dead} fails" in message]
    assert len(told) == 1


def test_it_comes_back_by_itself_once_it_answers(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    caplog.set_level(logging.WARNING)
    with RecordingUpstream() as living:
        endpoints = [called(port), called(living.port)]
        with RunningEngine(0, endpoints=endpoints, upstream_connect_timeout=2) as gateway:
            for _ in range(2):
                assert ask(gateway).status == 200
            assert aside(gateway) == [True, False]
            with RecordingUpstream(at=(LOOPBACK, port)) as back:
                wait_until(lambda: aside(gateway) == [False, False])
                wait_until(lambda: bool(ask(gateway).status == 200 and served(back)))
    assert f"the store at 127.0.0.1:{port} answers again" in caplog.messages


@pytest.mark.parametrize(
    "broken",
    [close_without_answer, canned(ok(status=b"502 Bad Gateway")), canned(ok(status=b"503 Service Unavailable"))],
)
def test_one_that_fails_again_and_again_is_put_aside(
    gateway: RunningEngine, nodes: list[RecordingUpstream], broken: object
) -> None:
    nodes[0].script = broken  # type: ignore[assignment]
    for _ in range(20):
        ask(gateway, "PUT", BODY)
    wait_until(lambda: aside(gateway) == [True, False])
    before = len(served(nodes[0]))
    assert [ask(gateway).status for _ in range(5)] == [200] * 5
    assert len(served(nodes[0])) == before


def test_one_that_never_answers_is_put_aside(gateway: RunningEngine, nodes: list[RecordingUpstream]) -> None:
    nodes[0].script = never_answers
    clients = [gateway.connect() for _ in range(8)]
    for client in clients:
        client.send(gateway.signer.head("PUT", "/bucket/k", body=BODY) + BODY)
    assert sorted(client.reply().status for client in clients).count(503) >= 3
    wait_until(lambda: aside(gateway)[0])
    for client in clients:
        client.close()


def test_the_last_one_is_never_put_aside(gateway: RunningEngine, nodes: list[RecordingUpstream]) -> None:
    for node in nodes:
        node.script = close_without_answer
    for _ in range(20):
        assert ask(gateway, "PUT", BODY).status == 503
    assert aside(gateway).count(True) == 1
    for node in nodes:
        node.script = canned(ok(b"hello"))
    wait_until(lambda: aside(gateway) == [False, False] and ask(gateway).status == 200)


def test_a_download_that_got_no_byte_is_asked_once_at_another_address(
    gateway: RunningEngine, nodes: list[RecordingUpstream]
) -> None:
    nodes[0].script = close_without_answer
    assert [ask(gateway).status for _ in range(2)] == [200, 200]
    assert (len(served(nodes[0])), len(served(nodes[1]))) == (1, 2)


def test_a_download_that_every_address_drops_is_asked_twice_and_no_more(
    gateway: RunningEngine, nodes: list[RecordingUpstream]
) -> None:
    for node in nodes:
        node.script = close_without_answer
    assert ask(gateway).status == 503
    assert [len(served(node)) for node in nodes] == [1, 1]


@pytest.mark.parametrize(("method", "body"), [("PUT", BODY), ("DELETE", None), ("POST", b"")])
def test_what_changes_something_is_never_asked_twice(
    gateway: RunningEngine, nodes: list[RecordingUpstream], method: str, body: bytes | None
) -> None:
    for node in nodes:
        node.script = close_without_answer
    target = "/bucket/k?uploads" if method == "POST" else "/bucket/k"
    with gateway.connect() as client:
        client.send(gateway.signer.head(method, target, body=body) + (body or b""))
        assert client.reply().status == 503
    assert sum(len(served(node)) for node in nodes) == 1


def test_a_download_that_got_a_byte_is_not_asked_again(gateway: RunningEngine, nodes: list[RecordingUpstream]) -> None:
    def half(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        exchange.close()

    for node in nodes:
        node.script = half
    with gateway.connect() as client:
        client.send(gateway.signer.head("GET", "/bucket/k"))
        with pytest.raises((EOFError, ConnectionResetError)):
            client.reply()
    assert sum(len(served(node)) for node in nodes) == 1


def test_a_request_that_waited_is_signed_for_the_address_it_goes_to(nodes: list[RecordingUpstream]) -> None:
    """Both connections are taken; whichever is free first serves who waits, under its own name."""

    def slow(exchange: Exchange) -> None:
        exchange.read_body()
        time.sleep(0.2)
        exchange.send(ok(b"slow"))

    for node in nodes:
        node.script = slow
    endpoints = [called(node.port) for node in nodes]
    with RunningEngine(0, endpoints=endpoints, upstream_connections=2) as gateway:
        clients = [gateway.connect() for _ in range(8)]
        for client in clients:
            client.send(gateway.signer.head("PUT", "/bucket/k", body=BODY) + BODY)
        assert [client.reply().status for client in clients] == [200] * 8
        for client in clients:
            client.close()
    for node in nodes:
        for request in node.requests:
            assert request.header(b"host") == b"127.0.0.1:%d" % node.port
            assert request.line.startswith(b"HEAD") or bytes(request.body) == BODY


def test_idle_connections_of_one_leave_room_for_another(nodes: list[RecordingUpstream]) -> None:
    endpoints = [called(node.port) for node in nodes]
    with RunningEngine(0, endpoints=endpoints, upstream_connections=1, upstream_wait_timeout=2) as gateway:
        assert [ask(gateway).status for _ in range(6)] == [200] * 6
        assert gateway.call(lambda: pool_of(gateway).open) == 1


def test_nothing_is_leaked_by_what_failed(gateway: RunningEngine, nodes: list[RecordingUpstream]) -> None:
    for node in nodes:
        node.script = close_without_answer
    for _ in range(10):
        ask(gateway, "PUT", BODY)
        ask(gateway)
    wait_until(lambda: gateway.call(lambda: (pool_of(gateway).open, gateway.engine.memory.taken)) == (0, 0))


# ---- names ----


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the store's name stands for: loopback addresses; none: it cannot be looked up."""
    hosts: list[str] = ["127.0.0.2"]

    async def look_up(name: object) -> list[str]:
        if not hosts:
            raise OSError("no such name")
        return list(hosts)

    monkeypatch.setattr("gateway.wire.names.Name._hosts", look_up)
    return hosts


def shown(gateway: RunningEngine) -> list[str]:
    return gateway.call(lambda: [address.endpoint.host for address in pool_of(gateway).addresses])


def resolve(gateway: RunningEngine) -> None:
    gateway.call(lambda: [name.tick(time.monotonic() + 3600) for name in pool_of(gateway)._names])


def test_all_addresses_of_a_name_are_used_and_a_dead_first_one_holds_nobody_up(hosts: list[str]) -> None:
    port = free_port()
    hosts[:] = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]  # nobody listens at the first
    with (
        RecordingUpstream(at=("127.0.0.3", port)) as one,
        RecordingUpstream(at=("127.0.0.4", port)) as two,
        RunningEngine(0, endpoints=[Endpoint("store.test", port, None, None)]) as gateway,
    ):
        assert [ask(gateway, "PUT", BODY).status for _ in range(9)] == [200] * 9
        assert served(one)
        assert served(two)
        assert aside(gateway) == [True, False, False]


def test_a_name_that_moves_takes_its_connections_along(hosts: list[str]) -> None:
    port = free_port()
    endpoint = Endpoint("store.test", port, None, None)
    with (
        RecordingUpstream(at=("127.0.0.2", port)) as before,
        RecordingUpstream(at=("127.0.0.3", port)) as after,
        RunningEngine(0, endpoints=[endpoint]) as gateway,
    ):
        assert ask(gateway).status == 200
        hosts[:] = ["127.0.0.3"]
        resolve(gateway)
        wait_until(lambda: shown(gateway) == ["127.0.0.3"])
        before.reset()
        assert [ask(gateway).status for _ in range(3)] == [200] * 3
        assert (served(before), len(served(after))) == ([], 3)
        wait_until(lambda: not gateway.call(lambda: [one for one in pool_of(gateway)._gone if one.open]))


def test_a_transfer_under_way_to_an_address_that_is_gone_ends_well_and_its_connection_is_closed(
    hosts: list[str],
) -> None:
    port = free_port()

    def slow(exchange: Exchange) -> None:
        exchange.read_body()
        time.sleep(0.5)
        exchange.send(ok(b"whole"))

    with (
        RecordingUpstream(slow, at=("127.0.0.2", port)) as before,
        RecordingUpstream(at=("127.0.0.3", port)),
        RunningEngine(0, endpoints=[Endpoint("store.test", port, None, None)]) as gateway,
        gateway.connect() as client,
    ):
        client.send(gateway.signer.head("GET", "/bucket/k"))
        before.wait_for_requests(1)
        gone: list[Address] = gateway.call(lambda: list(pool_of(gateway).addresses))
        hosts[:] = ["127.0.0.3"]
        resolve(gateway)
        assert client.reply().body == b"whole"
        wait_until(lambda: gateway.call(lambda: gone[0].open) == 0)


def test_a_name_that_cannot_be_looked_up_any_more_keeps_its_addresses(hosts: list[str]) -> None:
    port = free_port()
    with (
        RecordingUpstream(at=("127.0.0.2", port)),
        RunningEngine(0, endpoints=[Endpoint("store.test", port, None, None)]) as gateway,
    ):
        assert ask(gateway).status == 200
        hosts.clear()
        resolve(gateway)
        assert [ask(gateway).status for _ in range(3)] == [200] * 3


def test_a_name_that_was_never_looked_up_is_503_and_served_as_soon_as_it_is(hosts: list[str]) -> None:
    port = free_port()
    hosts.clear()
    with (
        RecordingUpstream(at=("127.0.0.2", port)),
        RunningEngine(0, endpoints=[Endpoint("store.test", port, None, None)]) as gateway,
    ):
        reply = ask(gateway)
        assert (reply.status, reply.code, reply.header(b"retry-after")) == (503, "ServiceUnavailable", b"1")
        hosts[:] = ["127.0.0.2"]
        assert ask(gateway).status == 200


def test_what_waits_for_a_name_to_be_looked_up_counts_as_a_connection(hosts: list[str]) -> None:
    """All at once they would have opened more connections than there may be."""
    port = free_port()
    hosts.clear()
    endpoints = [Endpoint("store.test", port, None, None)]
    with RunningEngine(0, endpoints=endpoints, upstream_connections=2) as gateway:
        clients = [gateway.connect() for _ in range(6)]
        for client in clients:
            client.send(gateway.signer.head("GET", "/bucket/k"))
        assert [client.reply().status for client in clients] == [503] * 6
        assert gateway.call(lambda: pool_of(gateway).open) == 0
        with RecordingUpstream(canned(ok(b"hello")), at=("127.0.0.2", port)) as store:
            hosts[:] = ["127.0.0.2"]
            for client in clients:
                client.send(gateway.signer.head("GET", "/bucket/k"))
            assert [client.reply().status for client in clients] == [200] * 6
            assert store.connections <= 2
        for client in clients:
            client.close()


@pytest.mark.parametrize(("name", "status"), [("localhost", 200), ("another.test", 503)])
def test_a_certificate_must_name_the_endpoint_whatever_address_it_was_looked_up_at(
    tmp_path: Path, hosts: list[str], name: str, status: int
) -> None:
    """Who can answer for DNS has no certificate of the store."""
    certificate, private_key, authority = make_certificate(tmp_path)
    listening = listener_context(certificate, private_key)
    with RecordingUpstream(canned(ok(b"hello")), tls=listening, at=("127.0.0.2", free_port())) as store:
        endpoint = Endpoint(name, store.port, upstream_context(authority), name)
        with RunningEngine(0, endpoints=[endpoint]) as gateway:
            assert ask(gateway).status == status
            assert bool(store.requests) is (status == 200)


def test_while_one_of_several_serves_the_store_is_not_called_unreachable(nodes: list[RecordingUpstream]) -> None:
    dead = called(free_port())
    with RunningEngine(0, endpoints=[dead, called(nodes[0].port)], upstream_connect_timeout=2) as gateway:
        for _ in range(4):
            ask(gateway)
        assert gateway.call(lambda: (pool_of(gateway).last_error, pool_of(gateway).aside)) == (None, 1)
    with RunningEngine(0, endpoints=[dead, called(free_port())], upstream_connect_timeout=2) as gateway:
        ask(gateway)
        assert "ConnectionRefusedError" in str(gateway.call(lambda: pool_of(gateway).last_error))
