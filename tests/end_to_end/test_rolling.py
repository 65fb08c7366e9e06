"""A gateway that is changed while 500 requests a second go through it: workers replaced, and another gateway that takes
over. None is lost, and what is revoked meanwhile is revoked.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.sigv4.signing import UpstreamSigner
from keystore.derived import UpstreamCredential
from tests.support.gateway_process import COMMAND, Gateway, IssuedKey
from tests.support.hammer import EMPTY
from tests.support.paced import Paced, QuickStore
from tests.support.postgres import Postgres, postgres, postgres_database
from tests.support.raw_client import RawConnection
from tests.support.server_process import LOOPBACK, ServerProcess
from tests.support.stores import Store
from tests.support.wire import wait_until

__all__ = ["postgres", "postgres_database"]  # fixtures
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("rolling")]  # each wants the processors for itself

SETTINGS = {"workers": {"count": 2}, "limits": {"drain_timeout": 5, "replace_timeout": 60}}


@pytest.fixture
def quick() -> Iterator[QuickStore]:
    with QuickStore() as store:
        yield store


@pytest.fixture
def gateway(tmp_path: Path, quick: QuickStore) -> Iterator[Gateway]:
    store = Store("generic", f"http://{LOOPBACK}:{quick.port}", "store", "x" * 40)
    with Gateway(tmp_path, store, SETTINGS) as running:
        yield running


def paced(gateway: Gateway, issued: IssuedKey) -> Paced:
    signer = UpstreamSigner(UpstreamCredential(issued.access_key_id, issued.secret_access_key), b"us-east-1")
    host = gateway.host.encode()

    def head(number: int) -> bytes:
        path = b"/bucket/%d" % number
        return b"GET %b HTTP/1.1\r\n%b\r\n" % (path, signer.sign(b"GET", path, b"", host, [], EMPTY, time.time()))

    return Paced(head, gateway.port)


def reload(gateway: Gateway, *words: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(gateway.command("reload", *words, "--json"))
    return answer


def status(gateway: Gateway, issued: IssuedKey) -> int:
    with gateway.connect() as connection:
        connection.send(gateway.signer(issued).head("GET", "/bucket/k"))
        return connection.reply().status


def test_all_workers_are_replaced_twice_under_load_and_no_request_is_lost(
    gateway: Gateway, record_property: Callable[[str, object], None]
) -> None:
    issued = gateway.create_key()
    first = gateway.workers()
    with paced(gateway, issued).running() as load:
        load.wait_for(300)
        began, before = time.monotonic(), load.sent
        assert reload(gateway, "--restart-workers")["workers_replaced"] == 2
        load.wait_for(1000)
        assert reload(gateway, "--restart-workers")["workers_replaced"] == 2
        load.wait_for(3000)
        rate = (load.sent - before) / (time.monotonic() - began)
        wait_until(lambda: len(gateway.workers()) == 2, 40)  # the old ones have ended
    assert load.lost == []
    assert set(load.answered) == {200}
    assert sum(load.answered.values()) == load.sent
    assert load.told_to_close > 0, "no connection was kept over a replacement: nothing was tried"
    assert not set(first) & set(gateway.workers())
    record_property("workers replaced twice: requests a second meanwhile, none lost", f"{rate:.0f}")


def test_connections_that_wait_to_be_accepted_are_served_by_the_next_generation(gateway: Gateway) -> None:
    """What lies in the queue of a listening socket is reset when that is closed: it must be the same socket."""
    issued = gateway.create_key()
    old = gateway.workers()
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    with ExitStack() as opened:
        waiting = [opened.enter_context(gateway.connect(timeout=60)) for _ in range(40)]
        for connection in waiting:
            connection.send(gateway.signer(issued).head("GET", "/bucket/k"))
        assert reload(gateway, "--restart-workers")["workers_replaced"] == 2
        assert [connection.reply().status for connection in waiting] == [200] * 40
    for pid in old:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_a_worker_killed_under_load_costs_what_it_had_and_nothing_after(gateway: Gateway) -> None:
    issued = gateway.create_key()
    with paced(gateway, issued).running() as load:
        load.wait_for(300)
        dead = gateway.workers()[0]
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: len(gateway.workers()) == 2 and dead not in gateway.workers(), 30)
        load.wait_for(500)
        lost = list(load.lost)
        load.wait_for(1000)
        assert load.lost == lost, "requests are lost though another has its place"
    assert set(load.answered) == {200}
    assert len(lost) < 200, f"more than it can have had: {lost[:5]}"


def begun(gateway: Gateway, issued: IssuedKey, quick: QuickStore) -> RawConnection:
    """A connection on which a request runs that the store does not answer: whoever has it stays until it is cut."""
    connection = gateway.connect(timeout=60)
    asked = quick.unanswered
    connection.send(gateway.signer(issued).head("GET", "/bucket/never"))
    wait_until(lambda: quick.unanswered > asked, 20)
    return connection


def test_a_key_revoked_while_both_generations_serve_is_refused_by_both_and_counted_once(
    gateway: Gateway, quick: QuickStore
) -> None:
    kept, doomed = gateway.create_key(), gateway.create_key()
    with paced(gateway, kept).running() as load, begun(gateway, doomed, quick) as old:
        load.wait_for(100)
        reload(gateway, "--restart-workers")
        assert len(gateway.workers()) > 2, "the old ones have left already: nothing is tried"
        told = gateway.revoke(doomed)
        assert (told["gateways"], told["confirmed"], told["lapsed"], told["transfers_cut"]) == (1, 1, 0, 1)
        assert old.reply().status == 403
        assert [status(gateway, doomed) for _ in range(10)] == [403] * 10
        load.wait_for(200)
    assert load.lost == []


def successor(gateway: Gateway) -> ServerProcess:
    command = [COMMAND, "--config", str(gateway.config), "serve", "--take-over"]
    return ServerProcess("the next gateway", command, gateway.folder / "next.log")


def test_another_gateway_takes_over_under_load_and_no_connection_is_refused(
    gateway: Gateway, quick: QuickStore
) -> None:
    kept, doomed = gateway.create_key(), gateway.create_key()
    with paced(gateway, kept).running() as load, begun(gateway, doomed, quick) as old:
        load.wait_for(300)
        with successor(gateway) as after:
            after.wait_until(lambda: "takes no more connections" in after.log_text(), 60)
            assert gateway.readyz() == 200
            told = gateway.revoke(doomed)
            assert (told["gateways"], told["confirmed"], told["lapsed"]) == (2, 2, 0), "both serve at that moment"
            assert told["transfers_cut"] == 1
            assert old.reply().status == 403
            load.wait_for(1000)
            assert gateway.process.wait(60) == 0
            load.wait_for(500)
            assert [status(gateway, doomed) for _ in range(4)] == [403] * 4
            assert load.lost == []
            assert set(load.answered) == {200}
            assert reload(gateway, "--restart-workers")["workers_replaced"] == 2, "it takes orders in its turn"
            load.wait_for(500)
            load.stop()
    assert load.lost == []
    assert load.told_to_close > 0


def test_a_successor_that_cannot_serve_leaves_the_gateway_as_it_was(gateway: Gateway) -> None:
    issued = gateway.create_key()
    text = gateway.config.read_text()
    gateway.config.write_text(
        text.replace("[upstream]", '[upstream]\nca_file = "/nowhere"').replace("http://", "https://")
    )
    with paced(gateway, issued).running() as load:
        load.wait_for(50)
        done = subprocess.run(
            [COMMAND, "--config", str(gateway.config), "serve", "--take-over"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 1
        assert "upstream.ca_file" in done.stderr
        load.wait_for(200)
    assert load.lost == []
    assert gateway.is_ready()
    gateway.config.write_text(text)
    assert reload(gateway)["reloaded"]


def test_on_postgresql_too_both_generations_and_both_gateways_hear_of_a_revoke(
    tmp_path: Path, quick: QuickStore, postgres: Postgres, postgres_database: str
) -> None:
    """Workers are told there: each generation, and each of two gateways, has feeds of its own."""
    settings = {**SETTINGS, "keystore": {"url": postgres.url(postgres_database), "kek_file": str(tmp_path / "kek")}}
    store = Store("generic", f"http://{LOOPBACK}:{quick.port}", "store", "x" * 40)
    with Gateway(tmp_path, store, settings) as gateway:
        kept, first, second = (gateway.create_key() for _ in range(3))
        load = paced(gateway, kept)
        with load.running(), begun(gateway, first, quick) as old, begun(gateway, second, quick) as older:
            load.wait_for(100)
            reload(gateway, "--restart-workers")
            told = gateway.revoke(first)
            assert (told["gateways"], told["confirmed"], told["lapsed"], told["transfers_cut"]) == (1, 1, 0, 1)
            assert old.reply().status == 403
            with successor(gateway) as after:
                after.wait_until(lambda: "takes no more connections" in after.log_text(), 90)
                told = gateway.revoke(second)
                assert (told["gateways"], told["confirmed"], told["lapsed"], told["transfers_cut"]) == (2, 2, 0, 1)
                assert older.reply().status == 403
                assert [status(gateway, second) for _ in range(6)] == [403] * 6
                load.wait_for(500)
                assert gateway.process.wait(60) == 0
                load.wait_for(200)
                assert reload(gateway)["reloaded"]
                load.stop()
        assert load.lost == []
        assert set(load.answered) == {200}
