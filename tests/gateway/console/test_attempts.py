import pytest

from gateway.console.attempts import IN_ALL, PER_ADDRESS, Attempts
from tests.support.console import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_address_has_so_many_at_once_and_then_one_after_a_while(clock: Clock) -> None:
    attempts = Attempts(clock)
    assert [attempts.allow("192.0.2.1") for _ in range(PER_ADDRESS[0] + 2)] == [True] * PER_ADDRESS[0] + [False] * 2
    clock.now += PER_ADDRESS[1]
    assert attempts.allow("192.0.2.1")
    assert not attempts.allow("192.0.2.1")


def test_one_address_takes_nothing_from_another(clock: Clock) -> None:
    attempts = Attempts(clock)
    for _ in range(1000):
        attempts.allow("192.0.2.1")
    assert attempts.allow("192.0.2.2")


def test_addresses_of_one_ipv6_site_are_one(clock: Clock) -> None:
    attempts = Attempts(clock)
    assert sum(attempts.allow(f"2001:db8::{number:x}") for number in range(100)) == PER_ADDRESS[0]
    assert attempts.allow("2001:db8:0:1::1")


def test_all_addresses_together_have_a_limit(clock: Clock) -> None:
    attempts = Attempts(clock)
    assert sum(attempts.allow(f"10.0.{one >> 8}.{one & 255}") for one in range(IN_ALL[0] + 50)) == IN_ALL[0]


def test_whoever_had_the_right_token_begins_anew(clock: Clock) -> None:
    attempts = Attempts(clock)
    for _ in range(PER_ADDRESS[0]):
        attempts.allow("192.0.2.1")
    attempts.forget("192.0.2.1")
    assert attempts.allow("192.0.2.1")


def test_memory_is_bounded(clock: Clock) -> None:
    attempts = Attempts(clock, most=5)
    for one in range(100):
        clock.now += 10
        attempts.allow(f"192.0.2.{one}")
    assert len(attempts) == 5


def test_what_is_no_address_is_limited_too(clock: Clock) -> None:
    attempts = Attempts(clock)
    assert sum(attempts.allow("") for _ in range(50)) == PER_ADDRESS[0]
