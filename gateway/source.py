"""Where a request came from: the other end of its connection, or what trusted proxies say of it. Pure.

X-Forwarded-For is a list to which each proxy adds the address it was asked from. Only what trusted proxies added
counts, so it is read from its end: the first address that is no trusted proxy's is the source. What stands before it
was written by strangers.
"""

import re
from typing import Final

from keystore.source_cidrs import Network, read_address, within

NOWHERE: Final = ""  # matches no network
_WITH_PORT: Final = re.compile(r"\[([^\]]*)\](?::\d{1,5})?|([0-9.]+):\d{1,5}")


def source_address(peer: str, forwarded_for: bytes | None, trusted: tuple[Network, ...]) -> str:
    """`peer`: the address of the connection. `trusted`: networks of proxies that may speak for others.

    NOWHERE where a trusted proxy said something that is no address: it must not pass for the proxy itself.
    """
    if not trusted or forwarded_for is None or not within(read_address(peer), trusted):
        return peer
    source = peer
    for entry in reversed(forwarded_for.decode("latin-1").split(",")):
        text = entry.strip(" \t")
        with_port = _WITH_PORT.fullmatch(text)
        source = (with_port[1] or with_port[2]) if with_port else text
        address = read_address(source)
        if address is None:
            return NOWHERE
        if not within(address, trusted):
            return source
    return source
