"""Addresses of clients, and what is known of each."""

import pytest

from gateway.source import NOWHERE, UNIX, read_trusted
from gateway.wire.addresses import MAX_KNOWN, Addresses, one_customer


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (UNIX, UNIX),
        (NOWHERE, NOWHERE),
        ("no:address", "no:address"),
    ],
)
def test_an_ipv6_address_counts_as_its_64_and_any_other_as_itself(address: str, name: str) -> None:
    assert one_customer(address) == name


def test_two_addresses_of_one_64_are_one_and_those_of_another_are_not() -> None:
    addresses = Addresses(read_trusted(()))
    assert addresses.of("2001:db8::1") is addresses.of("2001:db8::ffff")
    assert addresses.of("2001:db8::1") is not addresses.of("2001:db8:0:1::1")


def test_trusted_proxies_and_the_unix_socket_stand_for_many() -> None:
    addresses = Addresses(read_trusted(["192.0.2.0/24"]))
    assert addresses.of("192.0.2.9").many
    assert addresses.of(UNIX).many
    assert not addresses.of("198.51.100.1").many


def test_what_has_something_open_or_under_way_is_not_forgotten() -> None:
    addresses = Addresses(read_trusted(()))
    connected, asking = addresses.of("192.0.2.1"), addresses.of("192.0.2.2")
    addresses.of("192.0.2.3").refusals = 5
    connected.connections, asking.requests = 1, 1
    addresses.sweep()
    assert len(addresses) == 2
    assert (addresses.of("192.0.2.1"), addresses.of("192.0.2.2")) == (connected, asking)
    assert addresses.of("192.0.2.3").refusals == 0


def test_a_million_addresses_in_one_second_fill_a_bounded_table() -> None:
    addresses = Addresses(read_trusted(()))
    kept = addresses.of("192.0.2.1")
    kept.connections = 1
    for number in range(3 * MAX_KNOWN):
        addresses.of(f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1")
        assert len(addresses) <= MAX_KNOWN + 1
    assert addresses.of("192.0.2.1") is kept
