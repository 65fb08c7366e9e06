"""Where clients come from, and what each address has open, under way and got refused lately. It decides nothing.

An IPv6 address counts as its /64: that is what one customer gets, and every host in it may take any address of it. What
stands for many clients, a trusted proxy or the Unix socket, is told apart: no limit of one address holds for it.
"""

from ipaddress import IPv6Address
from typing import Final

from gateway.source import UNIX, Trusted
from keystore.source_cidrs import read_address

MAX_KNOWN: Final = 16_384  # addresses without a connection, which are kept until the second ends; 2 MB


class Address:
    """`refusals`: of what nobody had proven, in the second that began at `second` of the engine's clock. `many`: it
    stands for many clients."""

    __slots__ = ("connections", "many", "refusals", "requests", "second")

    def __init__(self, many: bool) -> None:
        self.many = many
        self.connections = 0
        self.requests = 0
        self.refusals = 0
        self.second = 0.0


class Addresses:
    """Of one event loop. Bounded: by the connections there are, and MAX_KNOWN beside them."""

    __slots__ = ("_known", "_trusted", "_unused")

    def __init__(self, trusted: Trusted) -> None:
        self._trusted = trusted
        self._known: dict[str, Address] = {}
        self._unused = 0  # at most so many were made since the table was last swept

    def of(self, address: str) -> Address:
        """`address` as `gateway.source` gives it."""
        name = one_customer(address)
        known = self._known.get(name)
        if known is None:
            if self._unused >= MAX_KNOWN:
                self.sweep()
            self._unused += 1
            many = address == UNIX or self._trusted.believes(address)
            known = self._known[name] = Address(many)
        return known

    def sweep(self) -> None:
        """Forget those that have nothing open and nothing under way."""
        self._unused = 0
        for name in [name for name, one in self._known.items() if not one.connections and not one.requests]:
            del self._known[name]

    def __len__(self) -> int:
        return len(self._known)


def one_customer(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one; what is neither stays as it is."""
    if ":" not in address:
        return address
    read = read_address(address)
    if isinstance(read, IPv6Address):
        return f"{IPv6Address(int(read) >> 64 << 64)}/64"
    return address if read is None else str(read)
