"""Success is said when every gateway that lives has taken the change, and never before."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keystore.board import Identity, Seat, board_path
from keystore.confirmation import Confirmation, confirm, confirmation_json
from keystore.sqlite_file import shm_path
from keystore.wal_index import identity_of


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Any files: what is in them is not looked at here. A board from before."""
    path = tmp_path / "keystore.db"
    for file in (path, shm_path(path)):
        file.touch()
    Seat(path, Identity(0, 0, 0, 0), 0).leave()
    return path


def files(database: Path) -> Identity:
    return Identity(*identity_of(database), *identity_of(shm_path(database)))


@pytest.fixture
def seat(database: Path) -> Iterator[Seat]:
    taken = Seat(database, files(database), 6)
    yield taken
    taken.leave()


ANOTHER = 1  # the process of another gateway


def after(count: int, act: Callable[[], None]) -> Callable[[float], None]:
    """A sleep that acts when it is called for the `count`-th time."""
    calls = 0

    def sleep(seconds: float) -> None:
        nonlocal calls
        calls += 1
        if calls == count:
            act()
        time.sleep(seconds)

    return sleep


def never(seconds: float) -> None:
    raise AssertionError("nothing to wait for")


def test_without_a_gateway_nothing_is_waited_for(database: Path) -> None:
    found = confirm(database, 7, since=time.monotonic(), sleep=never)
    assert (found.gateways, found.confirmed, found.lapsed, found.proven) == (0, 0, 0, True)


def test_a_board_of_ones_own_making_waits_for_gateways_that_lost_theirs(database: Path) -> None:
    board_path(database).unlink()
    slept: list[float] = []
    confirm(database, 7, since=time.monotonic(), sleep=slept.append)
    assert slept == [2.0]


def test_success_waits_until_the_change_is_applied(database: Path, seat: Seat) -> None:
    applied = threading.Event()

    def apply() -> None:
        seat.tell(7, 2, [])
        seat.applied(7)
        applied.set()

    found = confirm(database, 7, since=time.monotonic(), sleep=after(5, apply))
    assert applied.is_set()
    assert (found.gateways, found.confirmed, found.lapsed, found.transfers_cut) == (1, 1, 0, 2)
    assert found.proven


def test_a_gateway_that_does_not_apply_it_in_time_lapses(database: Path, seat: Seat) -> None:
    other = Seat(database, files(database), 9, ANOTHER)
    found = confirm(database, 7, since=time.monotonic(), patience=0.05)
    assert (found.gateways, found.confirmed, found.lapsed, found.proven) == (2, 1, 1, False)
    other.leave()


def test_a_gateway_has_confirmed_when_all_its_workers_have(database: Path, seat: Seat) -> None:
    first, second = Seat(database, files(database), 7, ANOTHER), Seat(database, files(database), 6, ANOTHER)
    first.tell(7, 1, [])
    seat.applied(7)
    lacking = confirm(database, 7, since=time.monotonic(), patience=0.05)
    assert (lacking.gateways, lacking.confirmed, lacking.lapsed, lacking.proven) == (2, 1, 1, False)
    second.tell(7, 2, [])
    second.applied(7)
    found = confirm(database, 7, since=time.monotonic())
    assert (found.gateways, found.confirmed, found.lapsed, found.transfers_cut) == (2, 2, 0, 3)
    assert found.proven
    first.leave()
    second.leave()


def test_a_gateway_that_dies_meanwhile_has_confirmed(database: Path) -> None:
    dying = Seat(database, files(database), 6)
    found = confirm(database, 7, since=time.monotonic(), sleep=after(3, dying.leave))
    assert (found.gateways, found.confirmed, found.proven) == (1, 1, True)


def test_a_gateway_with_another_file_open_is_no_success(database: Path, seat: Seat) -> None:
    seat.applied(7)
    database.rename(database.with_name("moved"))
    database.touch()
    found = confirm(database, 7, since=time.monotonic())
    assert (found.confirmed, found.lapsed, found.elsewhere, found.proven) == (0, 1, (os.getpid(),), False)


def test_what_the_store_answers_soon_is_waited_for(database: Path, seat: Seat) -> None:
    seat.tell(7, 1, ["DeleteObject b/k"])
    seat.applied(7)
    found = confirm(database, 7, since=time.monotonic(), sleep=after(4, lambda: seat.settled(7, "DeleteObject b/k")))
    assert (found.transfers_cut, found.in_store_settled, found.in_store_unsettled) == (1, 1, ())


def test_what_the_store_does_not_answer_is_named(database: Path, seat: Seat) -> None:
    seat.tell(6, 0, ["PutObject b/of-another-change"])
    seat.tell(7, 0, ["DeleteObject b/k", "PutObject b/l"])
    seat.applied(7)
    seat.settled(7, "PutObject b/l")
    found = confirm(database, 7, since=time.monotonic(), settle=0.05)
    assert (found.in_store_settled, found.in_store_unsettled) == (1, ("DeleteObject b/k",))
    assert found.proven


def test_who_lapsed_is_no_obstacle_where_its_lease_is_over() -> None:
    three = Confirmation(3, 1, 2, (), 0, 0, (), 1000)
    assert [three._replace(out_of_lease=count).proven for count in (0, 1, 2)] == [False, False, True]
    assert not three._replace(out_of_lease=2, elsewhere=(7,)).proven


def test_the_json_has_every_field_as_a_number_or_a_list(database: Path, seat: Seat) -> None:
    seat.applied(7)
    shown = confirmation_json(confirm(database, 7, since=time.monotonic()))
    took = shown.pop("took_ms")
    assert isinstance(took, int)
    assert shown == {
        "gateways": 1,
        "confirmed": 1,
        "lapsed": 0,
        "out_of_lease": 0,
        "transfers_cut": 0,
        "in_store_settled": 0,
        "in_store_unsettled": [],
    }
