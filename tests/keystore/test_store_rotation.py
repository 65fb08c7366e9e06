"""The contract, asked of every implementation: another key-encryption key."""

from collections.abc import Callable

import pytest

from keystore.accounts import DEFAULT_ACCOUNT
from keystore.admin_tokens import Role
from keystore.errors import Conflict, WrongKek
from keystore.sealing import Kek, KekRing
from keystore.store import FIRST_PLACE, NewToken, Place
from tests.support.contract import EVERY_STORE, STORES, Opener, made


@pytest.fixture(params=EVERY_STORE)
def opened_with(request: pytest.FixtureRequest) -> Callable[[KekRing], Opener]:
    return lambda ring: STORES[request.param](request, ring)


async def test_everything_is_there_under_another_kek_and_the_old_one_reads_the_log_only(
    opened_with: Callable[[KekRing], Opener], ring: KekRing
) -> None:
    both = KekRing((*ring.keks, Kek(b"n" * 32)))
    async with opened_with(ring)() as store:
        kept = [await made(store, f"label {number}") for number in range(5)]
        claimed = (await store.claim_bucket("photos", DEFAULT_ACCOUNT, "ann")).claim
        token, _ = await store.create_token(NewToken(Role.OPERATOR, "ci"), "ann")
    async with opened_with(both)() as store:
        place: Place | None = FIRST_PLACE
        rows = []
        while place is not None:
            before = store.committed_seq
            page = await store.reseal(both.newest.kek_id, place, 2, "bob")
            assert store.committed_seq > before
            place = page.following
            rows.append(page.rows)
        assert sum(rows) == len(kept) + 3
        assert max(rows) == 2
        with pytest.raises(Conflict, match=both.newest.kek_id):
            await store.reseal(ring.newest.kek_id, FIRST_PLACE, 2, "bob")
    async with opened_with(KekRing(both.keks[1:], ring.keks))() as store:
        assert sorted(await store.list_keys(None), key=str) == sorted(kept, key=str)
        assert await store.list_claims(None) == {"photos": claimed}
        assert await store.find_token(token.token_id) == token
        assert (await made(store)).created_by == "ann"
    for lacking in (ring, KekRing((both.newest,))):
        with pytest.raises(WrongKek):
            async with opened_with(lacking)() as store:
                await store.list_keys(None)
