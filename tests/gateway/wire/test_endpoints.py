"""Which address is chosen, what puts one aside, and that the last one stays."""

from typing import Any, cast

import pytest

from gateway.wire.endpoints import FAILURES, LONGEST_PAUSE, Address, Endpoint, Waited, least_busy, next_to_try
from gateway.wire.upstream import UpstreamConnection

pytestmark = pytest.mark.interpreted  # its pool inherits from a class that is compiled


class Pool(Waited):
    """What an address tells it."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.ailed: list[str] = []
        self.well = 0

    def take_waiting(self, connection: UpstreamConnection) -> bool:
        return False

    def room_again(self) -> None:
        pass

    def ailing(self, address: Address, reason: str) -> None:
        self.ailed.append(reason)

    def recovered(self, address: Address) -> None:
        self.well += 1


class Connection:
    """One that has answered."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.idle_since = 0.0
        self.aborted = False
        self.transport = self

    def abort(self) -> None:
        self.aborted = True


def answered(status: int) -> Any:
    return cast("Any", Connection(status))


def addresses(number: int) -> list[Address]:
    pool = Pool()
    return [Address(pool, Endpoint(f"10.0.0.{one}", 80, None, None)) for one in range(number)]


def test_the_least_busy_is_chosen_and_equals_take_turns() -> None:
    three = addresses(3)
    assert [least_busy(three, turn) for turn in range(4)] == [*three, three[0]]
    three[0].opening = 2
    three[1].opening = 1
    assert {least_busy(three, turn) for turn in range(3)} == {three[2]}


def test_nobody_is_sent_to_what_is_aside_while_another_is_left() -> None:
    two = addresses(2)
    two[0].put_aside(0.0)
    assert {least_busy(two, turn) for turn in range(2)} == {two[1]}
    assert next_to_try(two, [two[1]], 0) is two[0]
    assert next_to_try(two, two, 0) is None
    two[1].put_aside(5.0)
    assert least_busy(two, 0) is None
    assert next_to_try(two, [], 0) is two[0]  # due first


def test_failures_in_a_row_make_it_ail_and_a_good_answer_between_them_does_not() -> None:
    pool = Pool()
    address = Address(pool, Endpoint("10.0.0.1", 80, None, None))
    for _ in range(3 * FAILURES):
        address.failed("it closed the connection")
        address.release(answered(200))
    assert not pool.ailed
    for status in (502, 503, 504):
        address.release(answered(status))
    assert pool.ailed == ["it answered 504"]


def test_an_answer_is_judged_once() -> None:
    address = Address(Pool(), Endpoint("10.0.0.1", 80, None, None))
    connection = answered(503)
    address.release(connection)
    address.lost(connection)
    assert address.failures == 1


def test_an_error_of_one_object_says_nothing_of_the_address() -> None:
    address = Address(Pool(), Endpoint("10.0.0.1", 80, None, None))
    address.failed("once")
    for status in (500, 404, 403, 501):
        address.release(answered(status))
        assert address.failures == 0


def test_the_pause_is_doubled_and_bounded_and_begins_anew_when_it_is_back() -> None:
    [address] = addresses(1)
    pauses = []
    for _ in range(8):
        address.put_aside(100.0)
        pauses.append(address.until - 100.0)
    assert pauses[:3] == [1.0, 2.0, 4.0]
    assert pauses[-1] == LONGEST_PAUSE
    address.take_back()
    address.put_aside(0.0)
    assert address.until == 1.0


def test_what_lies_idle_is_closed_when_the_address_is_put_aside_or_gone() -> None:
    [address] = addresses(1)
    idle, late = answered(200), answered(200)
    address.release(idle)
    address.put_aside(0.0)
    address.release(late)
    assert (idle.aborted, late.aborted, address.idle) == (True, True, [])


def test_an_address_is_shown_as_people_write_it() -> None:
    assert Endpoint("10.0.0.1", 80, None, None).shown == "10.0.0.1:80"
    assert Endpoint("::1", 80, None, None).shown == "[::1]:80"
    assert Endpoint("", 0, None, None, "/run/store.sock").shown == "/run/store.sock"
