"""What a database writer without the KEK can do to admin tokens: nothing that opens anything, and the audit says so."""

from typing import NamedTuple

import pytest

from keystore.admin_tokens import Role
from keystore.errors import RecordRefused
from keystore.store import NewToken
from tests.support.tampered import Place, findings, place, postgres_place, sqlite_place

__all__ = ["place", "postgres_place", "sqlite_place"]  # fixtures


class Made(NamedTuple):
    """The ids of an operator's token and of one of the account `team`."""

    operator: str
    owner: str


@pytest.fixture
async def made(place: Place) -> Made:
    await place.store.create_account("team", "ann")
    news = (NewToken(Role.OPERATOR, "all"), NewToken(Role.OWNER, "team", "team"))
    tokens = [(await place.store.create_token(new, "ann"))[0] for new in news]
    return Made(*(token.token_id for token in tokens))


async def refused(place: Place, *token_ids: str) -> str:
    """That none of these is found, nor can be revoked, nor listed; why the last is not."""
    why = ""
    for token_id in token_ids:
        with pytest.raises(RecordRefused):
            await place.store.revoke_token(token_id, "eve")
        with pytest.raises(RecordRefused) as told:
            await place.store.find_token(token_id)
        why = str(told.value)
    with pytest.raises(RecordRefused):
        await place.store.list_tokens()
    return why


async def test_tokens_that_nobody_touched_hold(place: Place, made: Made) -> None:
    await place.store.revoke_token(made.owner, "bob")
    assert await place.audited() == []


async def test_whole_rows_swapped_between_ids_are_refused_and_found(place: Place, made: Made) -> None:
    for before, after in (made.operator, "tmp"), (made.owner, made.operator), ("tmp", made.owner):
        place.hand(f"UPDATE @admin_token SET token_id = '{after}' WHERE token_id = '{before}'")
    await refused(place, *made)
    assert {(table, row_id) for table, row_id, _ in await findings(place)} == {
        ("admin_token", made.operator),
        ("admin_token", made.owner),
    }


async def test_the_record_of_an_operator_under_the_id_of_an_owner_is_refused_and_found(
    place: Place, made: Made
) -> None:
    of_operator = f"FROM @admin_token WHERE token_id = '{made.operator}'"
    place.hand(f"CREATE TABLE #kept AS SELECT * {of_operator}")
    columns = ", ".join(f"{name} = (SELECT {name} FROM #kept)" for name in ("account", "created_at", "record", "mac"))
    place.hand(f"UPDATE @admin_token SET {columns} WHERE token_id = '{made.owner}'")
    assert "older one" in await refused(place, made.owner)
    told = await findings(place)
    assert {row_id for _, row_id, _ in told} == {made.owner}
    assert [("older one" in what, "MAC" in what) for _, _, what in told] == [(True, False), (False, True)]


async def test_an_older_record_put_back_is_refused_and_found(place: Place, made: Made) -> None:
    """A revoked token would be valid again."""
    place.hand(f"CREATE TABLE #kept AS SELECT * FROM @admin_token WHERE token_id = '{made.operator}'")
    await place.store.revoke_token(made.operator, "bob")
    place.hand(f"DELETE FROM @admin_token WHERE token_id = '{made.operator}'")
    place.hand("INSERT INTO @admin_token SELECT * FROM #kept")
    assert "older one" in await refused(place, made.operator)
    [(table, row_id, what)] = await findings(place)
    assert (table, row_id, "older one" in what) == ("admin_token", made.operator, True)


@pytest.mark.parametrize("edit", ["token = NULL", "token = 'zzzzzzzzzzzz'", "kind = 'token.create'"])
async def test_an_older_record_put_back_and_its_revoke_hidden_is_found(place: Place, made: Made, edit: str) -> None:
    place.hand(f"CREATE TABLE #kept AS SELECT * FROM @admin_token WHERE token_id = '{made.operator}'")
    await place.store.revoke_token(made.operator, "bob")
    place.hand(f"DELETE FROM @admin_token WHERE token_id = '{made.operator}'")
    place.hand("INSERT INTO @admin_token SELECT * FROM #kept")
    place.hand(f"UPDATE @change SET {edit} WHERE kind = 'token.revoke'")
    assert (await findings(place))[0][:2] == ("change", "5")


async def test_a_token_taken_out_is_refused_and_found(place: Place, made: Made) -> None:
    place.hand(f"DELETE FROM @admin_token WHERE token_id = '{made.owner}'")
    assert "taken out" in await refused(place, made.owner)
    assert await findings(place) == [("admin_token", made.owner, "its record was taken out")]


async def test_an_inserted_token_is_refused_and_found(place: Place, made: Made) -> None:
    columns = "account, version, created_at, record, kek_id, mac"
    place.hand(f"INSERT INTO @admin_token SELECT 'zzzzzzzzzzzz', {columns} FROM @admin_token WHERE account = ''")
    assert "no change wrote" in await refused(place, "zzzzzzzzzzzz")
    told = await findings(place)
    assert {row_id for _, row_id, _ in told} == {"zzzzzzzzzzzz"}
    assert told[0][2] == "no change wrote this record"


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ('"secret_sha256":"', '"secret_sha256":"0'),
        ('"role":"owner"', '"role":"operator"'),
        ('"account":"team"', '"account":null'),
        ('"expires_at":null', '"expires_at":9999999999'),
        ('"version":1', '"version":2'),
    ],
)
async def test_a_changed_record_is_refused_and_found(place: Place, made: Made, written: str, instead: str) -> None:
    edited = place.octets(f"replace({place.text('record')}, '{written}', '{instead}')")
    place.hand(f"UPDATE @admin_token SET record = {edited} WHERE token_id = '{made.owner}'")
    await refused(place, made.owner)
    told = await findings(place)
    assert [(row_id, "older one" in what, "MAC" in what) for _, row_id, what in told] == [
        (made.owner, True, False),
        (made.owner, False, True),
    ]


@pytest.mark.parametrize("edit", ["account = ''", "version = 9", "created_at = 1", "mac = kept_mac"])
async def test_index_columns_and_the_mac_are_refused_and_found(place: Place, made: Made, edit: str) -> None:
    forged = edit.replace("kept_mac", place.octets("'0'"))
    place.hand(f"UPDATE @admin_token SET {forged} WHERE token_id = '{made.owner}'")
    assert "MAC" in await refused(place, made.owner)
    [(table, row_id, what)] = await findings(place)
    assert (table, row_id, "MAC" in what) == ("admin_token", made.owner, True)


async def test_a_token_under_a_kek_that_is_not_there_is_found(place: Place, made: Made) -> None:
    place.hand(f"UPDATE @admin_token SET kek_id = 'x' WHERE token_id = '{made.owner}'")
    [(table, row_id, what)] = await findings(place)
    assert (table, row_id, "wrong key" in what) == ("admin_token", made.owner, True)
