"""A keystore that went back in time: what accepting it does again, and that it is refused until all of that is done."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from keystore import adoption
from keystore.access_key import RevokeReason, Status
from keystore.admin_tokens import Role
from keystore.adoption import Adopted, adopt, consider
from keystore.audited_rows import Wanted
from keystore.directory import open_directory
from keystore.errors import Conflict, NotFound, RecordRefused, WentBack
from keystore.high_water import HighWater
from keystore.mark_file import read_mark
from keystore.scope import AllBuckets
from keystore.sealing import KekRing
from keystore.sqlite import SqliteStore, migrate, open_sqlite_store
from keystore.sqlite_audit import audit_keystore, list_changes
from keystore.store import NewKey, NewToken


class Rolled:
    """A keystore as it was before keys of it were ended: `unused`, `leaked`, `deleted`, and `gone`: leaked, deleted."""

    def __init__(
        self, database: Path, ring: KekRing, water: HighWater, keys: dict[str, str], tokens: dict[str, str]
    ) -> None:
        self.database, self.ring, self.water, self.keys, self.tokens = database, ring, water, keys, tokens

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[SqliteStore]:
        async with open_sqlite_store(self.database, self.ring, create=False) as store:
            yield store

    async def adopt(self) -> Adopted:
        async with self.opened() as store:
            return await adopt(store, self.water, await consider(self.water), "ann")


@pytest.fixture
async def rolled(database: Path, ring: KekRing, tmp_path: Path) -> Rolled:
    water = HighWater(database, ring)
    keys: dict[str, str] = {}
    tokens: dict[str, str] = {}
    async with open_sqlite_store(database, ring, create=False) as store:
        for label in ("unused", "leaked", "deleted", "gone", "kept", "restored"):
            keys[label] = (await store.create_key(NewKey("default", label, AllBuckets()), "ann"))[0].access_key_id
        await store.revoke_key(keys["restored"], RevokeReason.OTHER, "ann")
        for label in ("stolen", "kept", "over"):
            tokens[label] = (await store.create_token(NewToken(Role.OPERATOR, label), "ann"))[0].token_id
        await store.revoke_token(tokens["over"], "ann")
        water.meet()
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(tmp_path / "copy")) as copy:
            source.backup(copy)
        await store.revoke_key(keys["unused"], RevokeReason.UNUSED, "bob")
        await store.revoke_key(keys["leaked"], RevokeReason.COMPROMISED, "bob")
        await store.delete_key(keys["deleted"], "bob")
        await store.revoke_key(keys["gone"], RevokeReason.COMPROMISED, "bob")
        await store.delete_key(keys["gone"], "bob")
        await store.restore_key(keys["restored"], "bob")
        late = (await store.create_key(NewKey("default", "late", AllBuckets()), "ann"))[0].access_key_id
        keys["late"] = late
        await store.revoke_key(late, RevokeReason.OTHER, "bob")
        for label in ("stolen", "over"):
            await store.revoke_token(tokens[label], "bob")
        later, _ = await store.create_token(NewToken(Role.OPERATOR, "later"), "ann")
        await store.revoke_token(later.token_id, "bob")
        water.meet()
    shutil.copy(tmp_path / "copy", database)
    return Rolled(database, ring, water, keys, tokens)


async def test_it_is_refused_until_it_is_adopted(rolled: Rolled) -> None:
    with pytest.raises(WentBack):
        rolled.water.meet()
    why, mark = await consider(rolled.water)
    assert why == "change 24 was known, it ends at 12"
    assert mark is not None
    await rolled.adopt()
    rolled.water.meet()
    assert (await consider(rolled.water)).why == ""


async def test_keys_that_were_ended_since_are_revoked_again_for_their_old_reason(rolled: Rolled) -> None:
    adopted = await rolled.adopt()
    keys = rolled.keys
    assert {one.access_key_id for one in adopted.revoked} == {
        keys[name] for name in ("unused", "leaked", "deleted", "gone")
    }
    async with rolled.opened() as store:
        found = {one.label: one for one in await store.list_keys(None)}
        reasons = {label: one.revoked_reason for label, one in found.items() if one.status is Status.REVOKED}
        assert reasons == {
            "unused": RevokeReason.UNUSED,
            "leaked": RevokeReason.COMPROMISED,
            "deleted": RevokeReason.OTHER,
            "gone": RevokeReason.COMPROMISED,
            "restored": RevokeReason.OTHER,
        }
        assert found["kept"].status is Status.ACTIVE
        assert found["unused"].revoked_by == "adopt"
        with pytest.raises(Conflict, match="compromised"):
            await store.restore_key(keys["gone"], "ann")
        with pytest.raises(NotFound):
            await store.get_key(keys["late"])


async def test_tokens_that_were_revoked_since_are_revoked_again(rolled: Rolled) -> None:
    assert (await rolled.adopt()).tokens == (rolled.tokens["stolen"],)
    async with rolled.opened() as store:
        found = {one.label: one.revoked_by for one in await store.list_tokens()}
    assert found == {"stolen": "adopt", "kept": None, "over": "ann"}
    mark = read_mark(rolled.water.path)
    assert mark is not None
    assert set(mark.tokens) >= {rolled.tokens["stolen"], rolled.tokens["over"]}
    assert len(mark.tokens) == 3


async def test_a_token_that_does_not_hold_is_passed_over_and_told(
    rolled: Rolled, hand: Callable[..., list[Any]]
) -> None:
    hand("UPDATE admin_token SET version = 9 WHERE token_id = ?", rolled.tokens["stolen"])
    adopted = await rolled.adopt()
    assert (adopted.refused, adopted.tokens) == ((rolled.tokens["stolen"],), ())


async def test_the_generation_is_raised_last_in_a_change_of_its_own(rolled: Rolled) -> None:
    adopted = await rolled.adopt()
    assert adopted.generation == 2
    *revokes, last = list_changes(rolled.database, rolled.ring, Wanted(None, None, None, 6))
    assert {(one.change.kind, one.change.actor) for one in revokes} == {
        ("key.revoke", "adopt"),
        ("token.revoke", "adopt"),
    }
    assert (last.change.kind, last.change.actor, last.change.account) == ("keystore.adopt", "ann", "")
    assert (last.change.access_key_id, last.change.bucket) == (None, None)
    assert all(one.verified for one in (*revokes, last))
    assert audit_keystore(rolled.database, rolled.ring).findings == []
    mark = read_mark(rolled.water.path)
    assert mark is not None
    assert (mark.generation, mark.seq) == (2, last.change.seq)


async def test_what_was_remembered_is_remembered_on(rolled: Rolled, tmp_path: Path) -> None:
    await rolled.adopt()
    mark = read_mark(rolled.water.path)
    assert mark is not None
    assert {one.access_key_id for one in mark.ended} >= {
        rolled.keys[name] for name in ("unused", "leaked", "deleted", "gone", "late")
    }
    shutil.copy(tmp_path / "copy", rolled.database)
    again = await rolled.adopt()
    assert len(again.revoked) == 4
    assert again.generation == 3, "above what was known, not above what the old copy says"


@pytest.mark.parametrize("step", ["revoke_key", "revoke_token", "adopt", "rewrite"])
async def test_stopped_anywhere_before_the_end_it_is_refused_still_and_can_be_adopted_again(
    rolled: Rolled, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(HighWater if step == "rewrite" else SqliteStore, step, crash)
        with pytest.raises(RuntimeError):
            await rolled.adopt()
    with pytest.raises(WentBack):
        rolled.water.meet()
    await rolled.adopt()
    async with rolled.opened() as store:
        found = {one.label: one.status for one in await store.list_keys(None)}
    assert found["leaked"] is Status.REVOKED
    assert found["deleted"] is Status.REVOKED
    rolled.water.meet()


async def test_a_log_that_does_not_hold_is_not_adopted(rolled: Rolled, hand: Callable[..., list[Any]]) -> None:
    hand("UPDATE change SET actor = 'eve' WHERE seq = 3")
    before = hand("SELECT * FROM access_key"), hand("SELECT * FROM store")
    with pytest.raises(RecordRefused):
        await rolled.adopt()
    assert (hand("SELECT * FROM access_key"), hand("SELECT * FROM store")) == before


async def test_a_record_that_does_not_hold_is_passed_over_and_told(
    rolled: Rolled, hand: Callable[..., list[Any]]
) -> None:
    hand("UPDATE access_key SET version = 9 WHERE access_key_id = ?", rolled.keys["leaked"])
    adopted = await rolled.adopt()
    assert adopted.refused == (rolled.keys["leaked"],)
    assert len(adopted.revoked) == 3


async def test_a_damaged_mark_is_written_anew(rolled: Rolled) -> None:
    rolled.water.path.write_text("{")
    case = await consider(rolled.water)
    assert "damaged" in case.why
    assert case.mark is None
    adopted = await rolled.adopt()
    assert (adopted.revoked, adopted.generation) == ((), 2)
    rolled.water.meet()


async def test_another_keystore_is_adopted_and_what_is_remembered_of_the_old_one_harms_nothing(rolled: Rolled) -> None:
    rolled.database.unlink()
    await migrate(rolled.database, rolled.ring)
    adopted = await rolled.adopt()
    assert adopted == Adopted(2, (), ())
    HighWater(rolled.database, rolled.ring).meet()


async def test_nothing_is_behind_without_a_mark_or_with_its_own(database: Path, ring: KekRing) -> None:
    water = HighWater(database, ring)
    assert await consider(water) == ("", None)
    water.meet()
    assert (await consider(water)).why == ""


async def test_a_gateway_that_runs_looks_everything_up_again_or_refuses(
    database: Path, ring: KekRing, store: SqliteStore
) -> None:
    access_key, _ = await store.create_key(NewKey("default", "x", AllBuckets()), "ann")
    directory = open_directory(database, ring)
    try:
        before = directory.find(access_key.access_key_id, b"20250101")
        assert await store.adopt(5, "ann", {}) == 6
        after = directory.find(access_key.access_key_id, b"20250101")
        assert after is not None
        assert after is not before
    finally:
        directory.close()
    assert adoption.ACTOR == "adopt"
