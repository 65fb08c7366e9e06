"""Source networks: their stored form, and which addresses are in them."""

import pytest

from keystore.errors import InvalidInput
from keystore.source_cidrs import MAX_CIDRS, clean_cidrs, read_address, read_networks, within


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("10.0.4.0/24", "10.0.4.0/24"),
        (" 10.0.4.7 ", "10.0.4.7/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
    ],
)
def test_a_network_has_one_stored_form(given: str, stored: str) -> None:
    assert clean_cidrs([given]) == clean_cidrs([stored, given]) == (stored,)


@pytest.mark.parametrize(
    "text", ["", "x", "10.0.4", "10.0.4.0/33", "10.0.4.7/24", "10.0.4.0/-1", "010.0.4.0/24", "1.2.3.4/24/8", "::1/129"]
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        clean_cidrs([text])


def test_networks_are_bounded() -> None:
    clean_cidrs([f"10.0.{number}.0/24" for number in range(MAX_CIDRS)])
    with pytest.raises(InvalidInput):
        clean_cidrs([f"10.0.{number}.0/24" for number in range(MAX_CIDRS + 1)])


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        *(("10.0.4.7", True), ("10.0.5.7", False), ("::ffff:10.0.4.7", True), ("2001:db8::5", True)),
        *(("2001:db8::5%eth0", True), ("2001:db9::5", False), ("", False), ("x", False), ("10.0.4.7:80", False)),
    ],
)
def test_an_address_is_inside_or_not_and_nonsense_never_is(address: str, inside: bool) -> None:
    assert within(read_address(address), read_networks(["10.0.4.0/24", "2001:db8::/32"])) is inside
    if read_address(address) is None:
        assert not within(None, read_networks(["0.0.0.0/0", "::/0"]))
