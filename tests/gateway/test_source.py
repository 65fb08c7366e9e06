"""Where a request came from, and whom to believe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.source import NOBODY, NOWHERE, UNIX, Trusted, read_trusted, source_address
from keystore.source_cidrs import read_address, read_networks, within

PROXIES = read_trusted(["10.0.0.0/8", "2001:db8::/32"])


@pytest.mark.parametrize("forwarded", [None, b"1.2.3.4", b"nonsense"])
def test_without_trusted_proxies_only_the_connection_counts(forwarded: bytes | None) -> None:
    assert source_address("10.0.0.1", forwarded, NOBODY) == "10.0.0.1"


def test_a_stranger_speaks_for_nobody() -> None:
    assert source_address("192.0.2.1", b"10.9.9.9", PROXIES) == "192.0.2.1"
    assert source_address("", b"10.9.9.9", PROXIES) == ""


@pytest.mark.parametrize(
    ("forwarded", "source"),
    [
        (None, "10.0.0.1"),
        (b"192.0.2.7", "192.0.2.7"),
        (b"192.0.2.7, 10.0.0.2", "192.0.2.7"),
        (b"203.0.113.9,192.0.2.7 ,\t10.0.0.2,10.0.0.3", "192.0.2.7"),
        (b"192.0.2.7:4711", "192.0.2.7"),
        (b"[2001:db9::7]:4711", "2001:db9::7"),
        (b"2001:db9::7", "2001:db9::7"),
        (b"10.0.0.9, 10.0.0.2", "10.0.0.9"),
        (b"192.0.2.7, unknown", NOWHERE),
        (b"192.0.2.7,", NOWHERE),
        (b"", NOWHERE),
        (b"192.0.2.7, 10.0.0.2.evil", NOWHERE),
        (b"\xff", NOWHERE),
    ],
)
def test_of_a_chain_the_last_that_no_trusted_proxy_is_counts(forwarded: bytes | None, source: str) -> None:
    assert source_address("10.0.0.1", forwarded, PROXIES) == source


@given(st.text("0123456789., :[]abc", max_size=40))
def test_b36_what_a_client_writes_in_front_never_changes_the_source(written: str) -> None:
    """Its proxy appends the address it was really asked from."""
    assert source_address("10.0.0.1", f"{written},192.0.2.7".encode(), PROXIES) == "192.0.2.7"


# ---- the Unix socket ----

HERE_ONLY = read_trusted(["unix"])


def test_nobody_is_trusted_by_default() -> None:
    assert read_trusted([]) is NOBODY
    for peer in (UNIX, "127.0.0.1", "", "::1"):
        assert source_address(peer, b"192.0.2.7", NOBODY) == peer


@pytest.mark.parametrize("trusted", [NOBODY, PROXIES, read_trusted(["0.0.0.0/0", "::/0"])])
def test_no_network_holds_the_unix_socket_so_its_peers_speak_for_nobody(trusted: Trusted) -> None:
    assert source_address(UNIX, b"192.0.2.7", trusted) == UNIX


def test_where_the_unix_socket_is_trusted_its_peers_say_where_a_request_came_from() -> None:
    assert source_address(UNIX, b"203.0.113.9, 192.0.2.7", HERE_ONLY) == "192.0.2.7"
    assert source_address(UNIX, b"192.0.2.7, 10.0.0.2", read_trusted(["unix", "10.0.0.0/8"])) == "192.0.2.7"
    assert source_address(UNIX, None, HERE_ONLY) == UNIX
    assert source_address(UNIX, b"192.0.2.7, unix", HERE_ONLY) == NOWHERE


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "192.0.2.1", ""])
def test_a_connection_over_tcp_never_passes_for_the_unix_socket(peer: str) -> None:
    assert source_address(peer, b"192.0.2.7", HERE_ONLY) == peer


@pytest.mark.parametrize("source", [UNIX, NOWHERE])
def test_a_key_with_source_networks_is_not_good_from_nowhere(source: str) -> None:
    assert not within(read_address(source), read_networks(["0.0.0.0/0", "::/0"]))
