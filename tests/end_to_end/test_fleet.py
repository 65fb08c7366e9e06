"""Three gateways of two workers each, as they are run, on one PostgreSQL: cut off, stopped, killed, restarted."""

import contextlib
import http.client
import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.fleet import GATEWAYS, LEASE, Fleet, running_fleet
from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.hammer import Hammer, just_after, just_before, violations
from tests.support.postgres import Postgres, running
from tests.support.recording_upstream import Exchange, canned, never_answers, ok
from tests.support.rest import Rest, admin_token
from tests.support.soak import TIMES
from tests.support.wire import wait_until

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("fleet")]

ROUNDS = 40 * TIMES


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """One of its own, which may be restarted."""
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def fleet(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running_fleet(postgres, tmp_path_factory.mktemp("fleet")) as running_one:
        yield running_one


@pytest.fixture(autouse=True)
def healed(fleet: Fleet) -> Iterator[None]:
    fleet.upstream.reset(canned(ok(b"hello")))
    yield
    fleet.heal()


def test_a_key_made_on_one_machine_works_on_all_and_a_revoke_is_confirmed_by_all(fleet: Fleet) -> None:
    issued = fleet.create_key()
    assert fleet.statuses(issued) == [200] * GATEWAYS
    told = fleet.revoke(issued, 1)
    assert (told["gateways"], told["confirmed"], told["lapsed"]) == (3, 3, 0)
    assert told["took_ms"] < 2000
    assert fleet.statuses(issued) == [403] * GATEWAYS


def test_by_rest_a_key_is_made_on_one_machine_and_revoked_by_another(fleet: Fleet) -> None:
    token = admin_token(fleet.gateways[0], "operator")
    rests = [Rest(gateway.console_port, token) for gateway in fleet.gateways]
    wish = {"label": "by rest", "scope": {"type": "all"}}
    made = rests[0].ask("POST", "/keys", wish, {"Idempotency-Key": "one"})
    again = rests[1].ask("POST", "/keys", wish, {"Idempotency-Key": "one"})
    assert (made.status, again.status) == (201, 200)
    assert (again.body["access_key_id"], again.body["secret_available"]) == (made.body["access_key_id"], False)
    issued = IssuedKey(made.body["access_key_id"], made.body["secret_access_key"])
    assert fleet.statuses(issued) == [200] * GATEWAYS
    told = rests[2].done("POST", f"/keys/{issued.access_key_id}/revoke", {})
    assert (told["gateways"], told["confirmed"], told["proven"]) == (3, 3, True)
    assert fleet.statuses(issued) == [403] * GATEWAYS
    assert rests[1].done("GET", f"/keys/{issued.access_key_id}")["status"] == "revoked"


def test_a_sign_in_link_opens_one_console_of_all_once(fleet: Fleet) -> None:
    url = json.loads(fleet.gateways[1].command("console", "link", "--json"))["url"]
    text = url.partition("#")[2]
    assert [_open_link(gateway, text) for gateway in fleet.gateways] == [303, 403, 403]


def _open_link(gateway: Gateway, text: str) -> int:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", gateway.console_port, timeout=10)) as connection:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        connection.request("POST", "/link", urlencode({"link": text}), headers)
        return connection.getresponse().status


def test_a_key_that_is_restored_is_refused_by_none_once_that_is_said(fleet: Fleet) -> None:
    issued = fleet.create_key()
    for _ in range(5):
        fleet.revoke(issued)
        assert fleet.statuses(issued) == [403] * GATEWAYS
        told = json.loads(fleet.gateways[1].command("keys", "restore", issued.access_key_id, "--json"))
        assert (told["gateways"], told["confirmed"]) == (3, 3)
        assert fleet.statuses(issued) == [200] * GATEWAYS


def test_transfers_on_every_machine_are_cut_and_counted(fleet: Fleet) -> None:
    def half(exchange: Exchange) -> None:
        exchange.send(ok(b"x" * 1000)[:-500])
        exchange.wait_for_end()

    issued = fleet.create_key()
    fleet.upstream.reset(half)
    with ExitStack() as stack:
        connections = []
        for gateway in fleet.gateways:
            connection = stack.enter_context(gateway.connect())
            connection.send(gateway.signer(issued).head("GET", "/bucket/k"))
            assert connection.socket.recv(15) == b"HTTP/1.1 200 OK"
            connections.append(connection)
        told = fleet.revoke(issued)
        assert (told["confirmed"], told["transfers_cut"]) == (3, 3)
        for connection in connections:
            assert connection.is_reset()


def test_what_the_store_has_is_named_across_machines(fleet: Fleet) -> None:
    issued = fleet.create_key()
    fleet.upstream.reset(never_answers)
    gateway = fleet.gateways[2]
    with gateway.connect() as connection:
        connection.send(gateway.signer(issued).head("DELETE", "/bucket/slow"))
        fleet.upstream.wait_for_requests(1)
        told = fleet.revoke(issued)
        assert told["in_store_unsettled"] == ["DeleteObject bucket/slow"]
        assert told["transfers_cut"] == 0


def test_no_request_that_leaves_after_a_revoke_returned_is_accepted_on_any_machine(fleet: Fleet) -> None:
    with Hammer(*fleet.gateways, url=fleet.url) as hammer:
        rounds = [hammer.round() for _ in range(ROUNDS)]
    assert violations(rounds, fleet.upstream) == []
    assert just_after(rounds) >= ROUNDS // 2, "a vacuous run: hardly anything left just after a return"
    assert just_before(rounds) >= 1, "a vacuous run: nothing was accepted before a return"
    assert sum(one.confirmed == GATEWAYS for one in rounds) >= ROUNDS // 2, "a vacuous run: hardly ever did all answer"
    assert {sent.status for one in rounds for sent in one.sent} <= {200, 403, 503}  # 503: of a lease that ran out


def test_a_machine_cut_off_from_the_database_refuses_in_time_and_heals_by_itself(fleet: Fleet) -> None:
    issued, kept = fleet.create_key(), fleet.create_key()
    assert fleet.statuses(issued) == fleet.statuses(kept) == [200] * GATEWAYS
    fleet.cables[2].cut()
    told = fleet.revoke(issued)
    assert (told["gateways"], told["confirmed"], told["lapsed"], told["out_of_lease"]) == (3, 2, 1, 1)
    assert told["took_ms"] < (LEASE + 1.5) * 1000  # the lease, the commit, and a busy machine
    assert fleet.statuses(issued) == [403, 403, 503]
    assert fleet.statuses(kept) == [200, 200, 503]
    assert fleet.gateways[2].readyz() == 503
    fleet.cables[2].heal()
    began = time.monotonic()
    wait_until(lambda: fleet.status(2, kept) == 200, 20)
    assert time.monotonic() - began < 10
    assert fleet.status(2, issued) == 403


def test_a_machine_whose_connections_are_reset_goes_on(fleet: Fleet) -> None:
    issued = fleet.create_key()
    assert fleet.statuses(issued) == [200] * GATEWAYS
    fleet.cables[1].reset()
    told = fleet.revoke(issued)
    assert (told["confirmed"], told["lapsed"]) == (3, 0)
    assert fleet.statuses(issued) == [403] * GATEWAYS


def test_a_machine_that_stands_still_lapses_and_refuses_when_it_goes_on(fleet: Fleet) -> None:
    issued = fleet.create_key()
    assert fleet.statuses(issued) == [200] * GATEWAYS
    fleet.gateways[1].signal_all(signal.SIGSTOP)
    told = fleet.revoke(issued)
    assert (told["confirmed"], told["lapsed"]) == (2, 1)
    gateway = fleet.gateways[1]
    with gateway.connect() as connection:
        connection.send(gateway.signer(issued).head("GET", "/bucket/k"))
        gateway.signal_all(signal.SIGCONT)
        with contextlib.suppress(ConnectionError, EOFError):  # a worker that was stopped for long may be replaced
            assert connection.reply().status in (403, 503)
    wait_until(lambda: fleet.status(1, issued) == 403, 20)


def test_a_machine_that_died_costs_one_lease_once(fleet: Fleet) -> None:
    first, second = fleet.create_key(), fleet.create_key()
    fleet.gateways[2].signal_all(signal.SIGKILL)
    fleet.gateways[2].process.wait(10)
    told = fleet.revoke(first)
    assert (told["confirmed"], told["confirmed"] + told["lapsed"]) in ((2, 3), (2, 2))
    time.sleep(LEASE + 2)
    told = fleet.revoke(second)
    assert (told["gateways"], told["confirmed"], told["lapsed"]) == (2, 2, 0)
    assert told["took_ms"] < 2000


def test_a_bucket_is_claimed_once_however_many_machines_are_asked(fleet: Fleet) -> None:
    gateway = fleet.gateways[0]
    gateway.command("accounts", "create", "left")
    gateway.command("accounts", "create", "right")
    ours = [gateway.create_key(extra=("--account", account)) for account in ("left", "right")]

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        looked = exchange.request.line.startswith(b"HEAD")
        exchange.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n" if looked else ok())

    fleet.upstream.reset(script)
    answers: list[int] = []

    def make(number: int, issued: IssuedKey) -> None:
        one = fleet.gateways[number]
        with one.connect() as connection:
            connection.send(one.signer(issued).head("PUT", "/contested"))
            answers.append(connection.reply().status)

    threads = [threading.Thread(target=make, args=(number, issued)) for number, issued in enumerate(ours)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 409]


def test_the_databases_password_is_in_no_worker_and_in_no_log(fleet: Fleet, postgres: Postgres) -> None:
    for gateway in fleet.gateways:
        assert postgres.password not in gateway.log_text()
        for pid in gateway.workers():
            assert postgres.password.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
            assert postgres.password.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_when_a_key_was_last_used_is_known_on_all_machines_once_it_is_written(fleet: Fleet) -> None:
    issued = fleet.create_key()
    assert fleet.status(2, issued, "/photos/k") == 200
    assert fleet.gateways[2].stop() == 0  # which writes what is left
    shown = json.loads(fleet.gateways[0].command("keys", "get", issued.access_key_id, "--json"))
    assert (shown["last_used"]["operation"], shown["last_used"]["bucket"]) == ("GetObject", "photos")


def test_uploads_that_a_key_began_on_any_machine_are_aborted_from_any_other(fleet: Fleet) -> None:
    issued, others = fleet.create_key(), fleet.create_key()
    result = b"<InitiateMultipartUploadResult><UploadId>of%b</UploadId></InitiateMultipartUploadResult>"

    def script(exchange: Exchange) -> None:
        line = exchange.request.line
        path = line.split(b" ")[1].partition(b"?")[0]
        exchange.send(ok(result % path) if line.startswith(b"POST") else b"HTTP/1.1 204 No Content\r\n\r\n")

    fleet.upstream.reset(script)
    for number, one, name in ((1, issued, "a"), (2, issued, "b"), (2, issued, "c"), (1, others, "d")):
        gateway = fleet.gateways[number]
        with gateway.connect() as connection:
            connection.send(gateway.signer(one).head("POST", f"/bucket/{name}?uploads", [("Content-Length", "0")]))
            assert b"of/bucket" in connection.reply().body
            if name == "c":  # by another worker than the one where it began, perhaps
                connection.send(gateway.signer(one).head("DELETE", "/bucket/c?uploadId=of%2Fbucket%2Fc"))
                assert connection.reply().status == 204
    fleet.upstream.reset(script)
    words = ("keys", "revoke", issued.access_key_id, "--abort-uploads", "--yes", "--json")
    told = json.loads(fleet.gateways[0].command(*words))
    assert (told["uploads_aborted"], told["uploads_left"], told["confirmed"]) == (2, 0, GATEWAYS)
    assert {request.line.split(b" ")[1] for request in fleet.upstream.requests} == {
        b"/bucket/a?uploadId=of%2Fbucket%2Fa",
        b"/bucket/b?uploadId=of%2Fbucket%2Fb",
    }


def test_the_whole_keystore_holds_after_all_of_this_and_every_machine_has_its_kek(fleet: Fleet) -> None:
    found = json.loads(fleet.gateways[0].command("audit", "verify", "--json"))
    assert (found["ok"], found["findings"]) == (True, [])
    shown = json.loads(fleet.gateways[1].command("kek", "status", "--json"))
    assert len({gateway["name"] for gateway in shown["gateways"]}) == GATEWAYS
