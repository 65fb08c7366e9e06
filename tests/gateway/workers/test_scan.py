"""The whole keystore is read in the background, and what does not hold is refused from then on."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.workers.reading import condemn
from gateway.workers.scan import Condemned, Scan, Scanned, condemned
from keystore.access_key import RevokeReason
from keystore.directory import open_directory
from keystore.errors import KeystoreUnavailable, RecordRefused
from keystore.scope import AllBuckets
from keystore.sealing import KekRing, create_kek_file, load_kek_ring
from keystore.sqlite import SqliteStore, open_sqlite_store
from keystore.store import NewKey

TODAY = b"20250101"


def report(*findings: tuple[str, str], found: int | None = None) -> dict[str, Any]:
    listed = [{"table": table, "id": row_id, "what": "does not hold"} for table, row_id in findings]
    return {"findings": listed, "found": len(listed) if found is None else found}


@pytest.mark.parametrize(
    ("found", "refused"),
    [
        (report(("access_key", "NQAKone"), ("bucket", "photos")), Condemned(False, ["NQAKone"], ["photos"])),
        (report(("change", "7")), Condemned(True, [], [])),
        (report(("store", "id")), Condemned(True, [], [])),
        (report(("access_key", "NQAKone"), found=500), Condemned(True, ["NQAKone"], [])),
        (report(("state", ""), ("schema", "an index")), Condemned(False, [], [])),
    ],
)
def test_what_a_finding_condemns(found: dict[str, Any], refused: Condemned) -> None:
    assert condemned(found) == refused


class House(NamedTuple):
    database: Path
    ring: KekRing
    store: SqliteStore
    ids: list[str]
    condemned: list[Condemned]
    scan: Scan


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    create_kek_file(tmp_path / "kek")
    ring = load_kek_ring(tmp_path / "kek")
    database = tmp_path / "keys.db"
    async with open_sqlite_store(database, ring, create=True) as store:
        made = [await store.create_key(NewKey("default", "a", AllBuckets()), "ann") for _ in range(3)]
        found: list[Condemned] = []
        scanned = Scanned(None, str(database), str(tmp_path / "kek"), str(tmp_path / "state"))
        yield House(database, ring, store, [key.access_key_id for key, _ in made], found, Scan(scanned, found.append))


async def once(house: House) -> None:
    running = asyncio.create_task(house.scan.run())
    for _ in range(2000):
        if house.scan.state != "not read yet":
            break
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_keystore_that_holds_is_said_to(house: House) -> None:
    await once(house)
    assert (house.scan.state, house.condemned) == ("holds", [])


async def test_an_old_record_put_back_where_its_log_was_believed_is_found_and_refused_until_it_changes(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    [victim, other, _] = house.ids
    hand = sqlite3.connect(house.database, isolation_level=None)
    [before] = hand.execute("SELECT * FROM access_key WHERE access_key_id = ?", (victim,)).fetchall()
    await house.store.revoke_key(victim, RevokeReason.OTHER, "bob")
    hand.execute(f"REPLACE INTO access_key VALUES ({', '.join('?' * len(before))})", before)
    hand.close()
    directory = open_directory(house.database, house.ring, believed=True)
    await once(house)
    assert house.scan.state.startswith("1 findings")
    assert victim in caplog.text
    assert house.condemned == [Condemned(False, [victim], [])]
    condemn(directory, house.condemned[0])
    with pytest.raises(RecordRefused):
        directory.find(victim, TODAY)
    assert directory.find(other, TODAY) is not None
    await house.store.delete_key(victim, "bob")
    assert directory.find(victim, TODAY) is None
    directory.close()


async def test_a_row_taken_out_of_the_middle_of_the_log_ends_all_belief(house: House) -> None:
    hand = sqlite3.connect(house.database, isolation_level=None)
    hand.execute("DELETE FROM change WHERE seq = 2")
    hand.close()
    directory = open_directory(house.database, house.ring, believed=True)
    assert directory.find(house.ids[2], TODAY) is not None
    await once(house)
    [found] = house.condemned
    assert found.everything
    condemn(directory, found)
    for access_key_id in house.ids:
        with pytest.raises(KeystoreUnavailable, match="audit verify"):
            directory.find(access_key_id, TODAY)
    directory.close()


async def test_a_reader_that_fails_condemns_nothing(house: House, tmp_path: Path) -> None:
    (tmp_path / "kek").unlink()
    await once(house)
    assert house.scan.state.startswith("not read")
    assert house.condemned == []
