"""What a database writer without the KEK can do to sign-ins and to creations that are done once: the audit says so, and
no account, key or link is what it was not.
"""

import pytest

from keystore.errors import RecordRefused, Repeated
from keystore.sealing import Secret
from keystore.store import Once
from tests.support.contract import wish
from tests.support.tampered import Place, findings, place, postgres_place, sqlite_place

__all__ = ["place", "postgres_place", "sqlite_place"]  # fixtures

NONCE = "0123456789abcdef" * 2
ONCE = Once("f" * 32, "d" * 64)


@pytest.fixture
async def signed_in(place: Place) -> None:
    """Change 2 makes the account, 3 gives it a credential, 4 is a sign-in."""
    await place.store.create_account("team", "ann")
    await place.store.set_upstream("team", "AKIAOWN", Secret("s" * 40), "ann")
    assert await place.store.note_sign_in(NONCE, "link:ann", "team", {"from": "10.0.0.1"})


@pytest.mark.usefixtures("signed_in")
async def test_sign_ins_that_nobody_touched_hold(place: Place) -> None:
    await place.store.note_sign_in("0" * 32, "link:ann", None, {})
    await place.store.set_upstream("team", None, None, "ann")
    await place.store.note_sign_in("1" * 32, "link:ann", "team", {})
    assert await place.audited() == []


@pytest.mark.usefixtures("signed_in")
async def test_an_older_account_put_back_is_refused_behind_a_sign_in_too(place: Place) -> None:
    place.hand("CREATE TABLE #kept AS SELECT * FROM @account WHERE name = 'team'")
    await place.store.set_upstream("team", None, None, "ann")
    await place.store.note_sign_in("1" * 32, "link:ann", "team", {})
    place.hand("DELETE FROM @account WHERE name = 'team'")
    place.hand("INSERT INTO @account SELECT * FROM #kept")
    with pytest.raises(RecordRefused, match="older one"):
        await place.store.store_credential("team")
    [(table, row_id, what)] = await findings(place)
    assert (table, row_id, "older one" in what) == ("account", "team", True)


@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize(
    ("seq", "edit"),
    [
        (3, "kind = 'console.sign_in'"),
        (4, "kind = 'account.upstream'"),
        (4, "request_id = 'other'"),
        (4, "account = ''"),
    ],
)
async def test_a_change_made_into_a_sign_in_and_a_sign_in_made_into_another_are_found(
    place: Place, seq: int, edit: str
) -> None:
    place.hand(f"UPDATE @change SET {edit} WHERE seq = {seq}")
    assert ("change", str(seq)) in [(table, row_id) for table, row_id, _ in await findings(place)]


@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize("edit", ["actor = 'eve'", "body = kept", "mac = kept"])
async def test_a_link_whose_use_was_forged_is_not_good_again(place: Place, edit: str) -> None:
    await place.store.create_account("other", "ann")  # so that it is not the end of the log, which every act verifies
    place.hand(f"UPDATE @change SET {edit.replace('kept', place.octets(repr('{}')))} WHERE seq = 4")
    with pytest.raises(RecordRefused):
        await place.store.note_sign_in(NONCE, "link:ann", "team", {})


async def test_a_creation_whose_change_was_forged_names_no_key(place: Place) -> None:
    await place.store.create_key(wish(), "ann", ONCE)
    await place.store.create_account("other", "ann")
    with pytest.raises(Repeated):
        await place.store.create_key(wish(), "ann", ONCE)
    place.hand("UPDATE @change SET access_key_id = 'NQAKanother' WHERE seq = 2")
    with pytest.raises(RecordRefused):
        await place.store.create_key(wish(), "ann", ONCE)
    assert ("change", "2") in [(table, row_id) for table, row_id, _ in await findings(place)]
