"""How much may be under way at once: of all clients, of one access key, of one address. Reads no clock, knows no S3.

What a stranger can claim costs nobody anything: a request counts for a key, and among all, only once its signature has
held. Before that only refusals count, for the address they came from. Why each limit is as it is, and why nobody is
made to wait here: docs/decisions/admission.md.
"""

from typing import Final, Protocol

from gateway.s3.errors import Code, S3Error
from gateway.source import NOWHERE, Trusted
from gateway.wire.addresses import Address, Addresses
from gateway.wire.limits import Limits
from keystore.access_key import AccessKey

RETRY_AFTER: Final = 1  # seconds
_NO_LIMIT: Final = 1 << 62


class Asker(Protocol):
    """A client connection, as far as its requests are admitted. `proven`: its last request held a signature."""

    address: Address
    proven: bool

    def hold_back(self) -> None: ...


class Share:
    """What one access key has under way."""

    __slots__ = ("requests",)

    def __init__(self) -> None:
        self.requests = 0


class Admission:
    """Of one event loop. `requests`: under way, all together. `addresses`: from where."""

    __slots__ = (
        "_active",
        "_ceiling",
        "_per_access_key",
        "_per_address",
        "_refusals",
        "_second",
        "_shares",
        "_wanted",
        "addresses",
        "nowhere",
        "requests",
    )

    def __init__(self, limits: Limits, trusted: Trusted) -> None:
        self._wanted = max(limits.requests, limits.upstream_connections)
        self._ceiling = 2 * self._wanted
        self._per_access_key = limits.requests_per_access_key or _NO_LIMIT
        self._per_address = limits.requests_per_address or _NO_LIMIT
        self._refusals = limits.refusals_per_address or _NO_LIMIT
        self._second = 0.0
        self._shares: dict[str, Share] = {}
        self._active = 0  # access keys with something under way
        self.requests = 0
        self.addresses = Addresses(trusted)
        self.nowhere = self.addresses.of(NOWHERE)  # of a connection that is not made yet

    def check(self, address: Address, client: Asker) -> None:
        """Before any signature is computed: S3Error SLOW_DOWN. `address`: where the request came from, which a trusted
        proxy may have told.

        Whoever proved something with the last request of a connection of its own is not made to pay for others behind
        the same address.
        """
        if self.requests >= self._ceiling:
            raise _slow_down("too many requests at once: limits.requests")
        if address.many:
            return
        spent = address.refusals >= self._refusals and address.second == self._second
        if spent and not (client.proven and client.address is address):
            client.hold_back()
            raise _slow_down("too many refused requests from this address: limits.refusals_per_address")
        if address.requests >= self._per_address:
            raise _slow_down("too many requests from this address at once: limits.requests_per_address")

    def enter(self, access_key: AccessKey, address: Address) -> Share:
        """The signature has held: from here on the request counts, until `leave`. S3Error SLOW_DOWN.

        Where more is under way than wanted, a key that has its share is refused; one that has less is let in, up to as
        much again, so that nobody is kept out by another's crowd.
        """
        name = access_key.access_key_id
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = Share()
        running = share.requests
        if running >= self._per_access_key:
            raise _slow_down("too many requests of one access key at once: limits.requests_per_access_key", access_key)
        if self.requests >= self._wanted:
            keys = self._active if running else self._active + 1
            if running and running >= self._wanted // keys:
                raise _slow_down("too many requests at once, and this key has its share: limits.requests", access_key)
        if not running:
            self._active += 1
        share.requests = running + 1
        self.requests += 1
        address.requests += 1
        return share

    def leave(self, share: Share, address: Address) -> None:
        """Once for each `enter`."""
        share.requests -= 1
        if not share.requests:
            self._active -= 1
        self.requests -= 1
        address.requests -= 1

    def refused(self, address: Address, client: Asker) -> None:
        """A request that nobody had proven anything with."""
        client.proven = False
        if address.second != self._second:
            address.second = self._second
            address.refusals = 0
        address.refusals += 1

    def tick(self, now: float) -> None:
        """Another second has begun. What nobody uses is forgotten."""
        self._second = now
        for name in [name for name, share in self._shares.items() if not share.requests]:
            del self._shares[name]
        self.addresses.sweep()


def _slow_down(reason: str, access_key: AccessKey | None = None) -> S3Error:
    error = S3Error(Code.SLOW_DOWN, reason, retry_after=RETRY_AFTER)
    if access_key is not None:
        error.named, error.account = access_key.access_key_id, access_key.account
    return error
