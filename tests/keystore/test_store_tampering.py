"""What a database writer without the KEK can do to keys: nothing that the control plane would verify a request by, or
show.
"""

import pytest

from keystore.access_key import AccessKey, RevokeReason
from keystore.errors import RecordRefused
from tests.support.contract import made
from tests.support.tampered import Place, place, postgres_place, sqlite_place

__all__ = ["place", "postgres_place", "sqlite_place"]  # fixtures

DATE = b"20250101"


@pytest.fixture
async def kept(place: Place) -> AccessKey:
    """An active key, of which somebody has kept the row."""
    access_key = await made(place.store)
    place.hand(f"CREATE TABLE #kept AS SELECT * FROM @access_key WHERE access_key_id = '{access_key.access_key_id}'")
    return access_key


def put_back(place: Place) -> None:
    place.hand("DELETE FROM @access_key")
    place.hand("INSERT INTO @access_key SELECT * FROM #kept")


async def refused(place: Place, access_key: AccessKey) -> str:
    """That it is neither known nor on a page; why."""
    for account in (None, access_key.account):
        with pytest.raises(RecordRefused):
            await place.store.page_keys(account, None, 10)
    with pytest.raises(RecordRefused) as told:
        await place.store.known_key(access_key.access_key_id, DATE)
    return str(told.value)


async def test_a_revoked_key_whose_older_record_was_put_back_is_refused(place: Place, kept: AccessKey) -> None:
    await place.store.revoke_key(kept.access_key_id, RevokeReason.COMPROMISED, "ann")
    put_back(place)
    assert "older one" in await refused(place, kept)


async def test_a_deleted_key_that_is_back_is_refused(place: Place, kept: AccessKey) -> None:
    await place.store.delete_key(kept.access_key_id, "ann")
    put_back(place)
    assert "was deleted" in await refused(place, kept)


async def test_a_key_that_nobody_made_is_refused(place: Place, kept: AccessKey) -> None:
    place.hand("UPDATE #kept SET access_key_id = 'NQAKforged'")
    put_back(place)
    with pytest.raises(RecordRefused, match="no change wrote"):
        await place.store.known_key("NQAKforged", DATE)
    with pytest.raises(RecordRefused):
        await place.store.page_keys(None, None, 10)


async def test_the_key_of_another_account_is_not_moved_to_ones_own(place: Place, kept: AccessKey) -> None:
    await place.store.create_account("team", "ann")
    place.hand("UPDATE @access_key SET account = 'team'")
    with pytest.raises(RecordRefused, match="MAC"):
        await place.store.page_keys("team", None, 10)
    with pytest.raises(RecordRefused, match="MAC"):
        await place.store.known_key(kept.access_key_id, DATE)


async def test_a_key_taken_out_is_not_taken_for_one_that_never_was(place: Place, kept: AccessKey) -> None:
    place.hand("DELETE FROM @access_key")
    with pytest.raises(RecordRefused, match="taken out"):
        await place.store.known_key(kept.access_key_id, DATE)


async def test_the_secret_of_another_key_does_not_verify_for_it(place: Place, kept: AccessKey) -> None:
    other = await made(place.store)
    of_other = f"(SELECT secret_sealed FROM @access_key WHERE access_key_id = '{other.access_key_id}')"
    place.hand(f"UPDATE @access_key SET secret_sealed = {of_other} WHERE access_key_id = '{kept.access_key_id}'")
    await refused(place, kept)
