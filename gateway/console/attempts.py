"""How often somebody may show a token: so many at once, then one every few seconds, for each address and in all.

A token has 238 random bits, so this guards no guess but the cost of looking and the noise in the log. Bounded: of more
addresses than it has room for, the one that asked longest ago is forgotten.
"""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_network
from typing import Final

from keystore.source_cidrs import read_address

PER_ADDRESS: Final = (10, 6.0)  # at once; seconds for one more
IN_ALL: Final = (200, 0.1)
MAX_ADDRESSES: Final = 4096
_IPV6_SITE: Final = 64  # bits: one customer has them all


class Attempts:
    """`clock`: seconds."""

    def __init__(self, clock: Callable[[], float], most: int = MAX_ADDRESSES) -> None:
        self._clock = clock
        self._most = most
        self._owed: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address → attempts it owes, as of when
        self._all = (0.0, clock())

    def allow(self, address: str) -> bool:
        """Counts one attempt. One that is refused counts for nobody."""
        now = self._clock()
        name = _site(address)
        mine = _added(self._owed.get(name, (0.0, now)), now, PER_ADDRESS)
        everybody = _added(self._all, now, IN_ALL)
        if mine is None or everybody is None:
            return False
        self._owed[name], self._all = mine, everybody
        self._owed.move_to_end(name)
        while len(self._owed) > self._most:
            self._owed.popitem(last=False)
        return True

    def forget(self, address: str) -> None:
        """It had the right token."""
        self._owed.pop(_site(address), None)

    def __len__(self) -> int:
        return len(self._owed)


def _added(owed: tuple[float, float], now: float, allowed: tuple[int, float]) -> tuple[float, float] | None:
    """None when there would be too many."""
    at_once, seconds = allowed
    left = max(0.0, owed[0] - (now - owed[1]) / seconds) + 1
    return None if left > at_once else (left, now)


def _site(address: str) -> str:
    read = read_address(address)
    if isinstance(read, IPv6Address):
        return str(ip_network((int(read), _IPV6_SITE), strict=False))
    return str(read)
