"""Where a request came from: the other end of its connection, or what trusted proxies say of it. Pure.

X-Forwarded-For is a list to which each proxy adds the address it was asked from. Only what trusted proxies added
counts, so it is read from its end: the first address that is no trusted proxy's is the source. What stands before it
was written by strangers.

A connection to a Unix socket comes from no address. It is called UNIX, which lies in no network, and speaks for others
only where that very word is trusted.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from keystore.source_cidrs import Network, read_address, read_networks, within

NOWHERE: Final = ""  # matches no network
UNIX: Final = "unix"  # nor does this: the other end of a Unix socket
_WITH_PORT: Final = re.compile(r"\[([^\]]*)\](?::\d{1,5})?|([0-9.]+):\d{1,5}")


class Trusted(NamedTuple):
    """Proxies that may speak for others: those in `networks`, and with `unix` whoever connects to the Unix socket."""

    networks: tuple[Network, ...] = ()
    unix: bool = False

    def believes(self, peer: str) -> bool:
        return self.unix if peer == UNIX else within(read_address(peer), self.networks)


NOBODY: Final = Trusted()


def read_trusted(words: Sequence[str]) -> Trusted:
    """Of `[s3] trusted_proxies`."""
    networks = read_networks([word for word in words if word != UNIX])
    return Trusted(networks, UNIX in words) if words else NOBODY


def source_address(peer: str, forwarded_for: bytes | None, trusted: Trusted) -> str:
    """`peer`: the address of the connection, or UNIX.

    NOWHERE where a trusted proxy said something that is no address: it must not pass for the proxy itself.
    """
    if forwarded_for is None or not trusted.believes(peer):
        return peer
    source = peer
    for entry in reversed(forwarded_for.decode("latin-1").split(",")):
        text = entry.strip(" \t")
        with_port = _WITH_PORT.fullmatch(text)
        source = (with_port[1] or with_port[2]) if with_port else text
        address = read_address(source)
        if address is None:
            return NOWHERE
        if not within(address, trusted.networks):
            return source
    return source
