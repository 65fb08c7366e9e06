"""Acts on keys in any order, beside a model of a few words for each key: what the store says, also as the control plane
asks it, what a directory that follows it finds at once, and what one finds that starts now, is what the model says.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from keystore import minting
from keystore.access_key import AccessKey, KnownKey, RevokeReason, Status
from keystore.directory import Directory, open_directory
from keystore.errors import Conflict, NotFound, Repeated
from keystore.key_acts import Edit
from keystore.postgres import open_postgres_store
from keystore.scope import AllBuckets, BucketGrant, Rights, Scope, SpecificBuckets
from keystore.sealing import KekRing
from keystore.sqlite import migrate, open_sqlite_store
from keystore.store import NewKey, Once, Store
from tests.support.postgres import Postgres
from tests.support.soak import TIMES

T = TypeVar("T")

EXAMPLES = 40 * TIMES
STEPS = 40
FEW = 3  # keys that are made; so few that much happens to each
DATE = b"20250101"
SCOPES: list[Scope] = [
    AllBuckets(),
    AllBuckets(Rights.READ_ONLY),
    SpecificBuckets((BucketGrant("photos"),)),
    SpecificBuckets((BucketGrant("photos", Rights.READ_ONLY), BucketGrant("logs", prefix="2025/"))),
]
EXPIRIES: list[int | None] = [None, 50, 300, 100_000]  # seconds from now


@dataclass
class Life:
    """What must be true of a key."""

    access_key_id: str
    secret: str
    label: str
    scope: Scope
    expires_at: int | None
    status: str = "active"
    compromised: bool = False
    replaced: bool = False
    drains: bool = False
    version: int = 1

    def over(self, now: int) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    def fits(self, found: AccessKey) -> bool:
        return (
            found.access_key_id == self.access_key_id
            and found.label == self.label
            and found.scope == self.scope
            and found.expires_at == self.expires_at
            and found.status.value == self.status
            and (found.revoked_reason is RevokeReason.COMPROMISED) == self.compromised
            and (found.revoked_at is None) == (self.status == "active")
            and (found.replaced_by is not None) == self.replaced
            and found.drains == self.drains
            and found.version == self.version
        )


class Place:
    """One keystore for all the examples, each of which has keys of its own. `begin`: a directory that starts now."""

    def __init__(self, begin: Callable[[], Directory] | None) -> None:
        self.now = 1_700_000_000
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.begin = begin
        self.following = None if begin is None else begin()
        self.store: Store

    def run(self, act: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(act)

    def close(self) -> None:
        if self.following is not None:
            self.following.close()
        self.run(self.stack.aclose())
        self.runner.close()


def of_a_key(**chosen: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A rule whose first argument is one of the keys there are."""

    def made(act: Callable[..., None]) -> Any:
        def picked(self: "KeyLife", pick: int, **values: Any) -> None:
            act(self, self.lives[pick % len(self.lives)], **values)

        picked.__name__ = act.__name__
        return precondition(lambda self: self.lives)(rule(pick=st.integers(0, 5), **chosen)(picked))

    return made


class KeyLife(RuleBasedStateMachine):
    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.store = place.store
        self.lives: list[Life] = []
        self.asked: dict[str, Once] = {}  # access key id → the request that made it

    def _may(self, allowed: bool, life: Life, act: Coroutine[Any, Any, T]) -> T | None:
        """The result, or None where the model says that it must be refused."""
        if life.status == "gone":
            with pytest.raises(NotFound):
                self.place.run(act)
        elif not allowed:
            with pytest.raises(Conflict):
                self.place.run(act)
        else:
            return self.place.run(act)
        return None

    def _expiry(self, seconds: int | None) -> int | None:
        return None if seconds is None else self.place.now + seconds

    @precondition(lambda self: len(self.lives) < FEW)
    @rule(scope=st.sampled_from(SCOPES), lasts=st.sampled_from(EXPIRIES))
    def create(self, scope: Scope, lasts: int | None) -> None:
        wish = NewKey("default", "made", scope, expires_at=self._expiry(lasts))
        once = Once(minting.mint_request_id(), "digest")
        made, secret = self.place.run(self.store.create_key(wish, "ann", once))
        self.lives.append(Life(made.access_key_id, secret.expose(), "made", scope, wish.expires_at))
        self.asked[made.access_key_id] = once

    @precondition(lambda self: self.asked)
    @rule(pick=st.integers(0, 5), digest=st.sampled_from(["digest", "other"]))
    def create_again(self, pick: int, digest: str) -> None:
        access_key_id, once = list(self.asked.items())[pick % len(self.asked)]
        wish = NewKey("default", "again", AllBuckets())
        with pytest.raises(Repeated) as repeated:
            self.place.run(self.store.create_key(wish, "ann", once._replace(digest=digest)))
        assert (repeated.value.access_key_id, repeated.value.same) == (access_key_id, digest == "digest")

    @of_a_key(reason=st.sampled_from(RevokeReason), drain=st.booleans())
    def revoke(self, life: Life, reason: RevokeReason, drain: bool) -> None:
        drain = drain and not life.compromised and reason is not RevokeReason.COMPROMISED
        if self._may(True, life, self.store.revoke_key(life.access_key_id, reason, "ann", drain=drain)):
            life.status, life.drains = "revoked", drain
            life.version += 1
            life.compromised = life.compromised or reason is RevokeReason.COMPROMISED

    @of_a_key()
    def restore(self, life: Life) -> None:
        allowed = life.status == "revoked" and not life.compromised
        if self._may(allowed, life, self.store.restore_key(life.access_key_id, "ann")):
            life.status, life.drains = "active", False
            life.version += 1

    @of_a_key(overlap=st.sampled_from([0, 40, 400]))
    def roll(self, life: Life, overlap: int) -> None:
        now = self.place.now
        allowed = life.status == "active" and not life.over(now) and not life.replaced
        issued = self._may(allowed, life, self.store.roll_key(life.access_key_id, overlap, "ann"))
        if issued is None:
            return
        successor = Life(
            issued.successor.access_key_id, issued.secret.expose(), life.label, life.scope, life.expires_at
        )
        life.replaced = True
        life.version += 1
        if overlap:
            life.expires_at = now + overlap if life.expires_at is None else min(now + overlap, life.expires_at)
        else:
            life.status, life.drains = "revoked", False
        self.lives.append(successor)

    @of_a_key(label=st.sampled_from(["one", "two", "drei"]), behind=st.sampled_from([None, 0, 1]))
    def relabel(self, life: Life, label: str, behind: int | None) -> None:
        """`behind`: how many versions ago the caller has looked, None = it does not say."""
        seen = None if behind is None else life.version - behind
        if self._may(not behind, life, self.store.update_key(life.access_key_id, Edit(label=label), "ann", seen)):
            life.label = label
            life.version += 1

    @of_a_key(scope=st.sampled_from(SCOPES), lasts=st.sampled_from(EXPIRIES))
    def limit(self, life: Life, scope: Scope, lasts: int | None) -> None:
        expires_at = self._expiry(lasts)
        edit = Edit(scope=scope, expires_at=expires_at)
        if self._may(life.status == "active", life, self.store.update_key(life.access_key_id, edit, "ann")):
            life.scope, life.expires_at = scope, expires_at
            life.version += 1

    @of_a_key(really=st.sampled_from([True, False, False, False]))
    def delete(self, life: Life, really: bool) -> None:
        if not really:  # else there would soon be nothing left
            return
        self._may(True, life, self.store.delete_key(life.access_key_id, "ann"))
        life.status = "gone"

    @rule(seconds=st.integers(1, 200))
    def time_passes(self, seconds: int) -> None:
        self.place.now += seconds

    @rule()
    def a_directory_starts(self) -> None:
        if self.place.begin is not None:
            started = self.place.begin()
            try:
                self._agrees(started)
            finally:
                started.close()

    @invariant()
    def the_store_says_so(self) -> None:
        for life in self.lives:
            found = None
            with suppress(NotFound):
                found = self.place.run(self.store.get_key(life.access_key_id))
            assert found is None if life.status == "gone" else found is not None and life.fits(found), (life, found)

    @invariant()
    def the_control_plane_verifies_by_it(self) -> None:
        for life in self.lives:
            self._known(life, self.place.run(self.store.known_key(life.access_key_id, DATE)))

    @invariant()
    def a_directory_that_follows_finds_so_at_once(self) -> None:
        if self.place.following is not None:
            self._agrees(self.place.following)

    def _agrees(self, directory: Directory) -> None:
        for life in self.lives:
            self._known(life, directory.find(life.access_key_id, DATE))

    def _known(self, life: Life, found: KnownKey | None) -> None:
        if life.status == "gone":
            assert found is None, life
            return
        assert found is not None, life
        assert life.fits(found.access_key), (life, found)
        assert found.date_keys[DATE] == hmac.digest(b"AWS4" + life.secret.encode(), DATE, hashlib.sha256)
        assert found.access_key.expired(self.place.now) == life.over(self.place.now)
        assert (found.access_key.status is Status.ACTIVE) == (life.status == "active")


def lived(place: Place) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: KeyLife(place),
        settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS),
    )


def test_the_life_of_keys_on_sqlite(tmp_path: Path, ring: KekRing) -> None:
    database = tmp_path / "keystore.db"
    asyncio.run(migrate(database, ring))
    place = Place(lambda: open_directory(database, ring, believed=True))
    opened = open_sqlite_store(database, ring, create=False, clock=lambda: place.now + 0.5)
    place.store = place.run(place.stack.enter_async_context(opened))
    try:
        lived(place)
    finally:
        place.close()


@pytest.mark.server
def test_the_life_of_keys_on_postgresql(postgres: Postgres, postgres_database: str, ring: KekRing) -> None:
    place = Place(None)
    opened = open_postgres_store(postgres.url(postgres_database), ring, create=True, clock=lambda: place.now + 0.5)
    place.store = place.run(place.stack.enter_async_context(opened))
    try:
        lived(place)
    finally:
        place.close()
