"""How much may be under way at once, and who is refused when it is too much."""

from typing import Any

import pytest

from gateway.config import LimitsSettings
from gateway.s3.errors import Code, S3Error
from gateway.source import read_trusted
from gateway.wire.addresses import Address
from gateway.wire.admission import Admission
from gateway.wire.limits import Limits
from keystore.access_key import AccessKey, Status
from keystore.scope import AllBuckets


class Client:
    def __init__(self, address: Address) -> None:
        self.address = address
        self.proven = False
        self.held = 0

    def hold_back(self) -> None:
        self.held += 1


def admission(**changed: int) -> Admission:
    limits = Limits(**(LimitsSettings().model_dump() | {"upstream_connections": 1} | changed))
    return Admission(limits, read_trusted(["10.0.0.0/8"]))


def access_key(name: str) -> AccessKey:
    return AccessKey(
        access_key_id=name,
        account="team",
        label="test",
        scope=AllBuckets(),
        status=Status.ACTIVE,
        created_at=1,
        created_by="test",
    )


GREEDY, MODEST, THIRD = access_key("greedy"), access_key("modest"), access_key("third")


def is_refused(at: Admission, one: AccessKey, address: Address) -> S3Error | None:
    """As a request comes: looked at before its signature, then let in."""
    try:
        at.check(address, Client(address))
        at.enter(one, address)
    except S3Error as error:
        return error
    return None


def enter_all(at: Admission, one: AccessKey, address: Address, times: int) -> int:
    """How many of `times` are let in; the others are told to slow down."""
    refused = [error for error in (is_refused(at, one, address) for _ in range(times)) if error]
    assert {(error.code, error.retry_after, error.holder) for error in refused} <= {(Code.SLOW_DOWN, 1, "")}
    return times - len(refused)


# ---- signed ----


def test_one_key_may_have_all_that_is_wanted_and_no_more() -> None:
    at = admission(requests=8)
    address = at.addresses.of("192.0.2.1")
    assert enter_all(at, GREEDY, address, 100) == 8
    assert (at.requests, address.requests) == (8, 8)


def test_as_many_as_there_may_be_connections_to_the_store_are_always_wanted() -> None:
    at = admission(requests=1, upstream_connections=20)
    assert enter_all(at, GREEDY, at.addresses.of("192.0.2.1"), 100) == 20


def test_another_key_gets_its_share_although_the_first_has_taken_everything() -> None:
    at = admission(requests=8)
    address = at.addresses.of("192.0.2.1")
    enter_all(at, GREEDY, address, 100)
    assert enter_all(at, MODEST, address, 100) == 4  # half
    assert enter_all(at, GREEDY, address, 100) == 0
    assert enter_all(at, THIRD, address, 100) == 2  # a third


@pytest.mark.parametrize("keys", [1, 2, 3, 8, 100, 1000])
def test_however_many_keys_come_twice_the_limit_is_the_end(keys: int) -> None:
    at = admission(requests=8)
    address = at.addresses.of("192.0.2.1")
    entered = [enter_all(at, access_key(f"key {number}"), address, 10) for number in range(keys)]
    assert at.requests == sum(entered) <= 16
    assert (at.requests == 16) is (keys >= 8)


def test_of_whom_a_request_was_is_said_to_the_operator() -> None:
    at = admission(requests=1)
    address = at.addresses.of("192.0.2.1")
    enter_all(at, GREEDY, address, 1)
    error = is_refused(at, GREEDY, address)
    assert error is not None
    assert (error.named, error.account) == ("greedy", "team")


def test_what_has_left_makes_room_in_any_order() -> None:
    at = admission(requests=4)
    address = at.addresses.of("192.0.2.1")
    first = [at.enter(GREEDY, address) for _ in range(4)]
    second = [at.enter(MODEST, address) for _ in range(2)]
    for share in [*first[::2], *second, *first[1::2]]:
        at.leave(share, address)
    assert (at.requests, address.requests) == (0, 0)
    assert enter_all(at, MODEST, address, 10) == 4  # alone again


def test_a_key_may_be_given_a_limit_of_its_own() -> None:
    at = admission(requests=8, requests_per_access_key=3)
    address = at.addresses.of("192.0.2.1")
    assert enter_all(at, GREEDY, address, 10) == 3
    assert enter_all(at, MODEST, address, 10) == 3


def test_shares_that_nobody_uses_are_forgotten_and_others_kept() -> None:
    at = admission(requests=8)
    address = at.addresses.of("192.0.2.1")
    kept = at.enter(GREEDY, address)
    at.leave(at.enter(MODEST, address), address)
    at.tick(1.0)
    assert at.enter(GREEDY, address) is kept
    at.leave(kept, address)
    at.leave(kept, address)
    at.tick(2.0)
    shares: Any = at._shares
    assert not shares


# ---- before anything is proven ----


def test_too_many_from_one_address_are_refused_before_a_signature_is_looked_at() -> None:
    at = admission(requests_per_address=2)
    address, other = at.addresses.of("192.0.2.1"), at.addresses.of("192.0.2.2")
    enter_all(at, GREEDY, address, 2)
    with pytest.raises(S3Error) as refused:
        at.check(address, Client(address))
    assert refused.value.code is Code.SLOW_DOWN
    at.check(other, Client(other))


def test_a_trusted_proxy_is_many_and_has_no_limit_of_one() -> None:
    at = admission(requests_per_address=2, refusals_per_address=2)
    proxy = at.addresses.of("10.1.2.3")
    enter_all(at, GREEDY, proxy, 5)
    for _ in range(5):
        at.refused(proxy, Client(proxy))
    at.check(proxy, Client(proxy))


def test_after_so_many_refusals_an_address_is_told_to_slow_down_until_the_second_ends() -> None:
    at = admission(refusals_per_address=3)
    at.tick(1.0)
    address, other = at.addresses.of("192.0.2.1"), at.addresses.of("192.0.2.2")
    client = Client(address)
    address.connections = 1
    for _ in range(3):
        at.check(address, client)
        at.refused(address, client)
    with pytest.raises(S3Error) as told:
        at.check(address, client)
    assert (told.value.code, told.value.retry_after, client.held) == (Code.SLOW_DOWN, 1, 1)
    at.check(other, Client(other))
    at.tick(2.0)
    at.check(address, client)
    at.refused(address, client)
    at.check(address, client)


def test_whose_connection_proved_something_last_does_not_pay_for_its_neighbours() -> None:
    at = admission(refusals_per_address=1)
    address = at.addresses.of("192.0.2.1")
    good, bad = Client(address), Client(address)
    good.proven = True
    at.refused(address, bad)
    at.check(address, good)
    at.refused(address, good)  # and from here on it is a stranger again
    with pytest.raises(S3Error):
        at.check(address, good)


def test_what_one_client_of_a_proxy_proved_is_no_proof_for_another() -> None:
    at = admission(refusals_per_address=1)
    proxy, told = at.addresses.of("10.1.2.3"), at.addresses.of("192.0.2.1")
    connection = Client(proxy)
    at.refused(told, connection)
    connection.proven = True
    with pytest.raises(S3Error):
        at.check(told, connection)
