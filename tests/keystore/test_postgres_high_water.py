"""The mark of a keystore on PostgreSQL: what it notices, on each host by itself, and that adopting ends it."""

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from keystore import mark_file, postgres_high_water
from keystore.access_key import RevokeReason, Status
from keystore.admin_tokens import Role
from keystore.adoption import adopt, consider
from keystore.errors import KeystoreUnavailable, MarkUnreadable, RecordRefused, WentBack, WrongKek
from keystore.mark import Ended, Mark
from keystore.mark_file import read_mark
from keystore.postgres import PostgresStore, open_postgres_store
from keystore.postgres_high_water import PostgresHighWater, kept_postgres
from keystore.sealing import Kek, KekRing
from keystore.store import FIRST_PLACE, NewToken
from tests.support.keystore_on_postgres import Sql, made, sql, store, url
from tests.support.restored_postgres import backed_up, put_back

__all__ = ["sql", "store", "url"]  # fixtures
pytestmark = pytest.mark.server


@pytest.fixture
def water(store: PostgresStore, ring: KekRing, kek_file: Path) -> PostgresHighWater:
    return PostgresHighWater(store, ring, kek_file.with_name("kek.state"), kek_file)


@pytest.fixture
def other_host(store: PostgresStore, ring: KekRing, kek_file: Path) -> PostgresHighWater:
    return PostgresHighWater(store, ring, kek_file.with_name("other.state"), kek_file)


def known(water: PostgresHighWater) -> Mark:
    mark = read_mark(water.path)
    assert mark is not None
    return mark


# ---- the mark ----


async def test_a_missing_mark_is_made_from_what_the_keystore_says(
    water: PostgresHighWater, store: PostgresStore, sql: Sql
) -> None:
    ended = await made(store)
    await store.revoke_key(ended, RevokeReason.UNUSED, "bob")
    await water.meet()
    [[store_id, generation, seq, head]] = sql("SELECT store_id, generation, seq, encode(head, 'hex') FROM nqgate.store")
    mark = known(water)
    assert mark[:4] == (store_id, int(generation), int(seq), bytes.fromhex(head))
    [[at, request_id]] = sql("SELECT at, request_id FROM nqgate.change WHERE seq = 3")
    assert mark.ended == (Ended(ended, int(at), RevokeReason.UNUSED, 3, request_id),)
    assert stat.S_IMODE(water.path.stat().st_mode) == 0o600


async def test_it_follows_the_keystore_and_is_not_written_when_nothing_came(
    water: PostgresHighWater, store: PostgresStore
) -> None:
    await water.meet()
    before = water.path.stat().st_ino
    await water.meet()
    assert water.path.stat().st_ino == before
    await made(store)
    await water.meet()
    assert known(water).seq == 2


async def test_an_older_copy_put_back_is_refused_and_the_mark_stays(
    water: PostgresHighWater, store: PostgresStore, sql: Sql
) -> None:
    backed_up(sql)
    await made(store)
    await water.meet()
    before = water.path.read_bytes()
    put_back(sql)
    with pytest.raises(WentBack, match=r"went back in time: change 2 was known, it ends at 1: `nqgate keystore adopt`"):
        await water.meet()
    assert water.path.read_bytes() == before


@pytest.mark.parametrize("changes", [1, 2])
async def test_a_fork_is_refused_as_long_as_the_older_one_or_longer(
    water: PostgresHighWater, store: PostgresStore, sql: Sql, changes: int
) -> None:
    backed_up(sql)
    await made(store)
    await water.meet()
    put_back(sql)
    for _ in range(changes):
        await made(store)
    with pytest.raises(WentBack, match="change 2 was known, another one stands there"):
        await water.meet()


async def test_another_keystore_in_the_place_is_refused(
    water: PostgresHighWater, url: str, ring: KekRing, kek_file: Path, sql: Sql
) -> None:
    await water.meet()
    sql("DROP SCHEMA nqgate CASCADE")
    async with open_postgres_store(url, ring, create=True) as another:
        with pytest.raises(WentBack, match="now it is"):
            await PostgresHighWater(another, ring, water.path, kek_file).meet()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"store_id": "f" * 32}, "keystore ffffffff was here"),
        ({"generation": 2}, "generation 2 was known"),
        ({"seq": 2}, "change 2 was known, it ends at 1"),
        ({"head": b"x" * 32}, "another one stands there"),
    ],
)
async def test_each_part_of_the_mark_is_held_against_the_keystore(
    water: PostgresHighWater, changed: dict[str, Any], says: str
) -> None:
    await water.meet()
    mark = known(water)
    assert await water.judge(mark) == ""
    water.file.write(mark._replace(**changed))
    with pytest.raises(WentBack, match=says):
        await water.meet()


async def test_a_log_that_does_not_hold_from_the_mark_on_raises_nothing(
    water: PostgresHighWater, store: PostgresStore, sql: Sql
) -> None:
    await water.meet()
    await made(store)
    sql("UPDATE nqgate.change SET actor = 'eve' WHERE seq = 2")
    with pytest.raises(RecordRefused):
        await water.meet()
    assert known(water).seq == 1


async def test_a_long_log_is_followed_to_its_end(
    water: PostgresHighWater, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_high_water, "FOLLOW_AT_MOST", 1)
    shorter = postgres_high_water.SELECT_LOG.replace("+ 1000", "+ 1")
    monkeypatch.setattr(postgres_high_water, "SELECT_LOG", shorter)
    for _ in range(4):
        await made(store)
    await water.meet()
    assert known(water).seq == 5


async def test_a_damaged_or_unwritable_file_is_a_clear_error(
    water: PostgresHighWater, store: PostgresStore, ring: KekRing, kek_file: Path
) -> None:
    water.path.write_bytes(b"{")
    with pytest.raises(MarkUnreadable, match="damaged: `nqgate keystore adopt`"):
        await water.meet()
    with pytest.raises(KeystoreUnavailable, match="No such file"):
        await PostgresHighWater(store, ring, kek_file.with_name("none") / "mark", kek_file).meet()


async def test_with_another_ring_it_is_raised_once_the_keystore_stands_under_it(
    water: PostgresHighWater, store: PostgresStore, ring: KekRing
) -> None:
    await water.meet()
    both = KekRing((*ring.keks, Kek(b"n" * 32)))
    store.use(both)
    while (await store.reseal(both.newest.kek_id, FIRST_PLACE, 500, "ann")).following is not None:
        pass
    with pytest.raises(WrongKek):
        await water.meet()
    water.use(both)
    await water.meet()
    assert known(water).seq == store.committed_seq


# ---- several processes of a host ----


async def test_the_mark_is_read_before_the_keystore(
    water: PostgresHighWater, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other way round, a change between the two would look like a keystore that went back."""
    order: list[str] = []
    read, snapshot = postgres_high_water.read_mark, PostgresStore.snapshot
    monkeypatch.setattr(postgres_high_water, "read_mark", lambda path: (order.append("mark"), read(path))[1])
    monkeypatch.setattr(PostgresStore, "snapshot", lambda self: (order.append("keystore"), snapshot(self))[1])
    await water.meet()
    assert order[:2] == ["mark", "keystore"]


async def test_a_mark_that_another_process_raised_meanwhile_is_never_lowered(
    water: PostgresHighWater, store: PostgresStore, ring: KekRing, kek_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = PostgresHighWater(store, ring, water.path, kek_file)
    await water.meet()
    await made(store)
    held = PostgresHighWater._held_against
    overtaken: list[int] = []

    async def slow(self: PostgresHighWater, mark: Mark | None) -> Mark | None:
        raised = await held(self, mark)
        if self is water and not overtaken:
            overtaken.append(1)
            await made(store)
            await another.meet()
            assert known(water).seq == 3
        return raised

    monkeypatch.setattr(PostgresHighWater, "_held_against", slow)
    await water.meet()
    assert overtaken
    assert known(water).seq == 3


async def test_many_at_once_end_where_the_keystore_is(
    url: str, store: PostgresStore, ring: KekRing, kek_file: Path, water: PostgresHighWater
) -> None:
    async def act() -> None:
        async with open_postgres_store(url, ring, create=False) as own:
            mine = PostgresHighWater(own, ring, water.path, kek_file)
            for _ in range(3):
                await made(own)
                await mine.meet()

    await asyncio.gather(*[act() for _ in range(4)])
    assert known(water).seq == 13


async def test_the_file_is_not_locked_while_the_database_is_asked(
    water: PostgresHighWater, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mark_file, "PATIENCE", 0.05)
    held = PostgresHighWater._held_against

    async def asked(self: PostgresHighWater, mark: Mark | None) -> Mark | None:
        with self.file.locked():
            return await held(self, mark)

    monkeypatch.setattr(PostgresHighWater, "_held_against", asked)
    await water.meet()


# ---- adopting ----


@pytest.fixture
async def rolled(water: PostgresHighWater, store: PostgresStore, sql: Sql) -> dict[str, str]:
    """A keystore as it was before keys of it were ended: `unused`, `leaked`, `deleted`; `kept` was not."""
    keys = {label: await made(store) for label in ("unused", "leaked", "deleted", "kept")}
    await water.meet()
    backed_up(sql)
    await store.revoke_key(keys["unused"], RevokeReason.UNUSED, "bob")
    await store.revoke_key(keys["leaked"], RevokeReason.COMPROMISED, "bob")
    await store.delete_key(keys["deleted"], "bob")
    await water.meet()
    put_back(sql)
    return keys


async def statuses(store: PostgresStore, keys: dict[str, str]) -> dict[str, tuple[Status, RevokeReason | None]]:
    found = {one.access_key_id: (one.status, one.revoked_reason) for one in await store.list_keys(None)}
    return {label: found[access_key_id] for label, access_key_id in keys.items()}


async def test_keys_that_were_ended_since_are_revoked_again_for_their_old_reason(
    rolled: dict[str, str], store: PostgresStore, water: PostgresHighWater
) -> None:
    case = await consider(water)
    assert case.why == "change 8 was known, it ends at 5"
    adopted = await adopt(store, water, case, "ann")
    assert adopted.generation == 2
    assert await statuses(store, rolled) == {
        "unused": (Status.REVOKED, RevokeReason.UNUSED),
        "leaked": (Status.REVOKED, RevokeReason.COMPROMISED),
        "deleted": (Status.REVOKED, RevokeReason.OTHER),
        "kept": (Status.ACTIVE, None),
    }
    await water.meet()
    assert (await consider(water)).why == ""
    assert known(water).generation == 2


async def test_a_token_that_was_revoked_since_is_revoked_again(
    store: PostgresStore, water: PostgresHighWater, sql: Sql
) -> None:
    token, _ = await store.create_token(NewToken(Role.OPERATOR, "ci"), "ann")
    backed_up(sql)
    await store.revoke_token(token.token_id, "bob")
    await water.meet()
    put_back(sql)
    adopted = await adopt(store, water, await consider(water), "ann")
    assert adopted.tokens == (token.token_id,)
    found = await store.find_token(token.token_id)
    assert found is not None
    assert found.revoked_by == "adopt"
    assert known(water).tokens == (token.token_id,)


@pytest.mark.parametrize("step", ["revoke_key", "adopt", "rewrite"])
async def test_stopped_anywhere_before_the_end_it_is_refused_still_and_can_be_adopted_again(
    rolled: dict[str, str],
    store: PostgresStore,
    water: PostgresHighWater,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(PostgresHighWater if step == "rewrite" else PostgresStore, step, crash)
        with pytest.raises(RuntimeError):
            await adopt(store, water, await consider(water), "ann")
    with pytest.raises(WentBack):
        await water.meet()
    await adopt(store, water, await consider(water), "ann")
    assert (await statuses(store, rolled))["leaked"] == (Status.REVOKED, RevokeReason.COMPROMISED)
    await water.meet()


async def test_a_log_that_does_not_hold_is_not_adopted(
    rolled: dict[str, str], store: PostgresStore, water: PostgresHighWater, sql: Sql
) -> None:
    sql("UPDATE nqgate.change SET actor = 'eve' WHERE seq = 3")
    before = sql("SELECT * FROM nqgate.access_key"), sql("SELECT * FROM nqgate.store")
    with pytest.raises(RecordRefused):
        await adopt(store, water, await consider(water), "ann")
    assert (sql("SELECT * FROM nqgate.access_key"), sql("SELECT * FROM nqgate.store")) == before


async def test_another_host_refuses_it_until_it_is_adopted_there_too(
    store: PostgresStore, water: PostgresHighWater, other_host: PostgresHighWater, sql: Sql
) -> None:
    backed_up(sql)
    access_key_id = await made(store)
    await made(store)
    await made(store)
    for host in (water, other_host):
        await host.meet()
    put_back(sql)
    await adopt(store, water, await consider(water), "ann")
    await water.meet()
    with pytest.raises(WentBack):
        await other_host.meet()
    adopted = await adopt(store, other_host, await consider(other_host), "ann")
    assert adopted.generation == 3
    for host in (water, other_host):
        await host.meet()
    assert known(water).ended == known(other_host).ended
    assert access_key_id not in {one.access_key_id for one in await store.list_keys(None)}


# ---- while a gateway runs ----


async def test_a_gateway_raises_it_while_changes_come_and_at_its_end(
    water: PostgresHighWater, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mark_file, "RAISE_EVERY", 0.01)
    await water.meet()
    told: list[Any] = []
    async with kept_postgres(water, lambda: store.committed_seq, lambda *words: told.append(words)):
        assert known(water).seq == 1
        await made(store)
        for _ in range(500):
            if known(water).seq == 2:
                break
            await asyncio.sleep(0.01)
        assert known(water).seq == 2
        monkeypatch.setattr(mark_file, "RAISE_EVERY", 60)
        await asyncio.sleep(0.05)
        await made(store)
    assert known(water).seq == 3
    assert told == []


async def test_a_gateway_does_not_start_on_a_keystore_that_went_back(water: PostgresHighWater) -> None:
    await water.meet()
    water.file.write(known(water)._replace(seq=7))
    with pytest.raises(WentBack):
        async with kept_postgres(water, lambda: 1, print):
            raise AssertionError("started")
