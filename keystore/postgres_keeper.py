"""The keeper: the one process of a gateway that talks to PostgreSQL, and says until when its workers may serve.

One connection proves, follows the log and hears that something was committed; it does one thing after another, so the
word, the ring and the row never tell of different moments. The order is the law: changes are verified, then lie in the
ring, then the word holds them, then the row says so; and a lease is counted from before it was asked for.
Where the database is not reached the word runs out by itself: workers serve until then. Where it is another one than
was known, or an older one, the word is over at once.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

from keystore import lease
from keystore.access_key import AccessKey
from keystore.accounts import Account
from keystore.bucket_claims import BucketClaim
from keystore.errors import KeystoreError, WentBack
from keystore.postgres_gateways import CHANNEL, Acknowledgement
from keystore.postgres_lease import Janitor, PlaceLost, PostgresLease, boottime_ms
from keystore.postgres_log import News, PostgresLog, ToldChange
from keystore.postgres_lookups import Lookups
from keystore.postgres_server import FOREIGN, PostgresHand, connect, said, server_name
from keystore.sealing import KekRing, Secret

__all__ = ["Acknowledgement", "PostgresKeeper", "ToldChange", "Workers"]

LOG: Final = logging.getLogger("nqgate")
FIRST_PAUSE: Final = 0.05  # seconds after a failure; doubled with each, up to a quarter of the lease
READ_SECONDS: Final = 5.0  # a thousand changes take 20 ms; more than these nobody makes in an outage
SHORTEST_CONNECT: Final = 0.5  # seconds, where a quarter of the lease is less
LEAVE_SECONDS: Final = 2.0
TROUBLE: Final[tuple[type[Exception], ...]] = (KeystoreError, *FOREIGN)

# Of what needs no proof, and may be lost; whatever a role's defaults are.
SESSION: Final = (
    "SET synchronous_commit = off; SET default_transaction_isolation = 'read committed';"
    " SET default_transaction_read_only = off"
)

T = TypeVar("T")


class Workers(Protocol):
    """The workers of this gateway. Called on the keeper's loop; nothing here waits or raises."""

    def ring(self, changes: Sequence[ToldChange]) -> None:
        """When it returns, they lie where every worker finds them before any later word."""

    def word(self, word: int) -> None:
        """One aligned store of 64 bits."""

    def acknowledgement(self) -> Acknowledgement:
        """As of now. Who changes what this returns calls `acknowledge_soon`."""


class PostgresKeeper:
    """`name`: of the gateway, for people. Belongs to one event loop.

    Raises InvalidInput or KeystoreUnavailable for a URL that is not understood.
    """

    def __init__(
        self, url: Secret, ring: KekRing, workers: Workers, *, name: str, clock_ms: Callable[[], int] = boottime_ms
    ) -> None:
        self.applied = 0
        self._url = url
        self._where = server_name(url.expose())
        self._workers = workers
        self._clock_ms = clock_ms
        self._word = lease.NEVER
        self._lease_ms = lease.DEFAULT_LEASE_MS
        self._ring = ring
        self._log = PostgresLog(ring)
        self._lease = PostgresLease(name, clock_ms)
        self._janitor = Janitor(clock_ms)
        self._lookups = Lookups(self._log, self._where, self._reach)
        self._awake = asyncio.Event()
        self._proven = asyncio.Event()
        self._heard = False
        self._back: WentBack | None = None
        self._failures = 0
        self._complained = ""

    def fresh(self) -> bool:
        return lease.fresh(self._word, self.applied, self._clock_ms())

    def lease_left(self) -> float:
        """Seconds for which what it knows is proven; 0 when that has run out."""
        return max(0, lease.expiry_of(self._word) - self._clock_ms()) / 1000

    async def ready(self) -> None:
        """Return when the first proof has been had."""
        await self._proven.wait()

    def acknowledge_soon(self) -> None:
        """Workers have taken or settled something."""
        self._awake.set()

    def use(self, ring: KekRing) -> None:
        """Verify with these KEKs from now on, and show them. WrongKek, and nothing is changed, when one is missing."""
        self._log.use(ring)
        self._ring = ring
        self._awake.set()

    # ---- look-ups: read anew on the primary; raise KeystoreUnavailable and its kinds ----

    async def find_key(self, access_key_id: str) -> tuple[AccessKey, Secret] | None:
        """None for an id that never was or was deleted."""
        return await self._looked_up(self._lookups.find_key(access_key_id))

    async def known_key(self, access_key_id: str) -> tuple[AccessKey, Secret] | None:
        """As `find_key`, and without asking the database again while the lease stands and nothing was changed."""
        if not self.fresh():
            return await self.find_key(access_key_id)
        return await self._looked_up(self._lookups.known_key(access_key_id))

    async def find_claims(self, names: Sequence[str]) -> dict[str, BucketClaim]:
        """Of those that somebody claimed."""
        return await self._looked_up(self._lookups.find_claims(names))

    async def find_account(self, name: str) -> tuple[Account, Secret | None]:
        """With the secret of its own credential at the store. RecordRefused when there is no such account."""
        return await self._looked_up(self._lookups.find_account(name))

    async def _looked_up(self, finding: Awaitable[T]) -> T:
        try:
            return await finding
        except WentBack as error:
            self._stop_serving()
            self._back = error
            self._awake.set()
            raise

    # ---- running ----

    async def run(self) -> None:
        """Join, prove, follow, acknowledge and fence, until it is cancelled; then leave. Raises nothing of the
        keystore's: what is wrong is logged, and tried again."""
        try:
            while True:
                try:
                    async with self._connected() as hand:
                        await self._serve_or_leave(hand)
                except TROUBLE as error:
                    self._complain(error)
                self._lease.doubt_acknowledged()
                await self._pause()
        finally:
            self._stop_serving()
            await self._lookups.close()
            await self._leave()

    async def _serve_or_leave(self, hand: PostgresHand) -> None:
        """Where the keystore is not what it was nothing is served from it, and no revoke has to wait for that."""
        try:
            await self._serve(hand)
        except PlaceLost:
            self._stop_serving()
            raise
        except WentBack:
            self._stop_serving()
            with contextlib.suppress(*TROUBLE):
                await self._within_a_proof(self._lease.leave(hand))
            raise

    def _complain(self, error: Exception) -> None:
        """Once, until the next proof."""
        why = str(error) if isinstance(error, KeystoreError) else said(error)
        if why != self._complained:
            self._complained = why
            LOG.log(
                logging.ERROR if isinstance(error, WentBack) else logging.WARNING,
                "the keystore on %s is not followed: %s", self._where, why,
            )  # fmt: skip

    async def _serve(self, hand: PostgresHand) -> None:
        """Until the connection, or the place, is lost, which is raised."""
        await self._within_a_proof(hand.listen(CHANNEL, self._hear))
        if self._lease.joined:  # what was committed before LISTEN is told by nobody
            async with asyncio.timeout(READ_SECONDS):
                self._take(await self._log.news(hand))
        else:
            await self._join(hand)
        proof_at = look_at = self._clock_ms()
        while True:
            now = self._clock_ms()
            if now >= proof_at:
                asked = await self._prove(hand)
                proof_at = asked + _jittered(lease.proof_every_ms(self._lease_ms))
            if self._heard:
                self._heard = False
                self._take(await self._within_a_proof(self._log.news(hand)))
            await self._within_a_proof(self._acknowledge(hand))
            if now >= look_at:
                await self._within_a_proof(self._janitor.look(hand, self._lease_ms, self._lease.gateway_id))
                look_at = self._clock_ms() + _jittered(lease.proof_every_ms(self._lease_ms))
            await self._rest(hand, min(proof_at, look_at))

    async def _join(self, hand: PostgresHand) -> None:
        async with asyncio.timeout(READ_SECONDS):
            await self._log.begin(hand)  # one that cannot be read is joined by nobody: a revoke would wait in vain
        self._stop_serving()
        self._back = None
        await self._within_a_proof(self._lease.join(hand, self._keks))
        async with asyncio.timeout(READ_SECONDS):
            self._take(await self._log.begin(hand))
        LOG.info("this gateway has joined those of the keystore on %s, at change %d", self._where, self.applied)

    async def _prove(self, hand: PostgresHand) -> int:
        """When it was asked for."""
        t0_ms, store = await self._lease.prove(hand, self.applied, lease.proof_timeout_ms(self._lease_ms))
        known = self._log.position
        assert known is not None, "the log was begun"
        self._log.check(store, known, store.head if store.seq == known.seq else known.head)
        if store.seq > self.applied:
            self._take(await self._within_a_proof(self._log.news(hand)))
        self._raise_if_back()
        self._lease_ms = lease.checked_lease(store.lease_ms)
        self._say(lease.extended(self._word, lease.Proof(t0_ms, store.seq, self._lease_ms), self.applied))
        self._failures = 0
        self._complained = ""
        self._proven.set()
        return t0_ms

    async def _acknowledge(self, hand: PostgresHand) -> None:
        await self._lease.acknowledge(hand, self.applied, self._workers.acknowledgement(), self._keks)

    def _take(self, news: News) -> None:
        """Into the ring, and only then into the word."""
        if news.told:
            self._workers.ring(news.told)
        self._log.take(news)
        self.applied = news.position.seq
        self._say(lease.told(self._word, self.applied))

    def _say(self, word: int) -> None:
        if word != self._word:
            self._word = word
            self._workers.word(word)

    def _stop_serving(self) -> None:
        self._word = lease.NEVER
        self._workers.word(lease.NEVER)

    @property
    def _keks(self) -> str:
        return " ".join(kek.kek_id for kek in self._ring.keks)

    # ---- waiting and connecting ----

    def _hear(self) -> None:
        self._heard = True
        self._awake.set()

    async def _rest(self, hand: PostgresHand, until_ms: int) -> None:
        """Until then, or until somebody has something to say."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0, until_ms - self._clock_ms()) / 1000):
                await self._awake.wait()
        self._awake.clear()
        self._raise_if_back()
        if hand.closed:
            raise ConnectionResetError("the connection was lost")

    def _raise_if_back(self) -> None:
        if self._back is not None:
            back, self._back = self._back, None
            raise back

    async def _within_a_proof(self, work: Awaitable[T]) -> T:
        """What takes longer would make the next proof late: the connection is as good as lost."""
        async with asyncio.timeout(lease.proof_timeout_ms(self._lease_ms) / 1000):
            return await work

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[PostgresHand]:
        hand = await self._reach()
        try:
            await self._within_a_proof(hand.run(SESSION))
            yield hand
        except BaseException:
            hand.drop()
            raise
        await hand.close()

    async def _reach(self) -> PostgresHand:
        seconds = max(SHORTEST_CONNECT, lease.proof_every_ms(self._lease_ms) / 1000)
        async with asyncio.timeout(2 * seconds):
            return await connect(self._url.expose(), self._where, seconds=seconds)

    async def _pause(self) -> None:
        longest = lease.proof_every_ms(self._lease_ms) / 1000
        pause = min(longest, FIRST_PAUSE * 2.0 ** min(self._failures, 16))
        self._failures += 1
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # no secret

    async def _leave(self) -> None:
        """So that no revoke waits for who is gone. Who cannot say so is fenced."""
        self._lease.give_up()
        with contextlib.suppress(*TROUBLE):
            async with asyncio.timeout(LEAVE_SECONDS), self._connected() as hand:
                await self._lease.leave(hand)


def _jittered(length_ms: int) -> int:
    """Shorter by up to a tenth, so that gateways that were started at once do not ask at once."""
    return round(length_ms * random.uniform(0.9, 1.0))  # noqa: S311  # no secret
