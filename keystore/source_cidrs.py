"""Source addresses a key may be used from: CIDR ranges of IPv4 and IPv6. Knows nobody but the errors."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from keystore.errors import InvalidInput

MAX_CIDRS: Final = 64  # they are looked through for every request of the key
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def clean_cidrs(cidrs: Sequence[str]) -> tuple[str, ...]:
    """In their stored form, each once: `10.0.0.7` is `10.0.0.7/32`. () = from everywhere.

    InvalidInput for what is no network, for host bits behind the mask, and for more than 64.
    """
    networks = dict.fromkeys(_network(text) for text in cidrs)
    if len(networks) > MAX_CIDRS:
        raise InvalidInput(f"at most {MAX_CIDRS} source networks")
    return tuple(str(network) for network in networks)


def _network(text: str) -> Network:
    try:
        network = ip_network(text.strip(), strict=False)
        if ip_network(text.strip().partition("/")[0]).network_address != network.network_address:
            raise InvalidInput(f"{text!r} has bits behind its mask; did you mean {network}?")
    except ValueError:
        raise InvalidInput(f"{text!r} is not a network; write 10.0.4.0/24, 2001:db8::/32 or an address") from None
    return network


def read_networks(cidrs: Sequence[str]) -> tuple[Network, ...]:
    """Of their stored form."""
    return tuple(_network(text) for text in cidrs)


def read_address(text: str) -> Address | None:
    """None for what is no address. An IPv4 address written as IPv6 (`::ffff:10.0.0.7`) is IPv4; a zone is left out."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def within(address: Address | None, networks: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in networks)
