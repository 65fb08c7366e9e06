"""A keystore here: what waits does so in a thread, and whose KEKs are used. The rest is asked in test_keystore.py."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from keystore import local_keystore
from keystore.audited_rows import Wanted
from keystore.board import Identity, Seat
from keystore.errors import KeystoreUnavailable, WrongKek
from keystore.local_keystore import LocalFiles, LocalKeystore, open_local_keystore
from keystore.sealing import Kek, KekRing
from keystore.sqlite_file import shm_path
from keystore.uploads import Note, Upload
from keystore.usage import Used, usage_path
from keystore.wal_index import identity_of
from tests.support.contract import made

ASKED: dict[str, tuple[str, Callable[[LocalKeystore], Awaitable[object]]]] = {
    "confirm": ("confirmed", lambda keystore: keystore.confirmed(1, 0.0)),
    "read_usage": ("usage", lambda keystore: keystore.usage(None)),
    "write_usage": ("used", lambda keystore: keystore.used("NQAKone", Used(1, "", "", "", "", ""))),
    "forget_usage": ("forget", lambda keystore: keystore.forget("NQAKone")),
    "forget_uploads": ("forget", lambda keystore: keystore.forget("NQAKone")),
    "find_refused": ("refusal", lambda keystore: keystore.refusal("A")),
    "list_refused": ("refusals", lambda keystore: keystore.refusals(None, 1)),
    "list_changes": ("changes", lambda keystore: keystore.changes(Wanted(None, None, None, 1))),
    "read_uploads": ("unfinished", lambda keystore: keystore.unfinished(["NQAKone"])),
    "write_uploads": ("note", lambda keystore: keystore.note({Upload("b", b"k", b"u"): Note(ended=True)}, 1.0)),
}


def test_all_that_is_asked_is_asked_below() -> None:
    methods = {name for name in vars(LocalFiles) if not name.startswith("_")}
    assert {method for method, _ in ASKED.values()} == methods


@pytest.mark.parametrize("blocking", ASKED)
async def test_what_waits_for_a_disk_or_a_gateway_does_so_in_a_thread(
    database: Path, ring: KekRing, monkeypatch: pytest.MonkeyPatch, blocking: str
) -> None:
    threads: list[int] = []
    monkeypatch.setattr(local_keystore, blocking, lambda *_, **__: threads.append(threading.get_ident()))
    async with open_local_keystore(database, ring, create=False) as keystore:
        await ASKED[blocking][1](keystore)
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_a_gateway_confirms_when_it_has_taken_the_change(database: Path, ring: KekRing) -> None:
    async with open_local_keystore(database, ring, create=False) as keystore:
        await made(keystore.store)
        seq = keystore.store.committed_seq
        seat = Seat(database, Identity(*identity_of(database), *identity_of(shm_path(database))), seq - 1)
        try:
            waiting = asyncio.create_task(keystore.confirmed(seq, time.monotonic()))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            seat.applied(seq)
            confirmation = await waiting
        finally:
            seat.leave()
    assert (confirmation.gateways, confirmation.confirmed, confirmation.proven) == (1, 1, True)


async def test_the_log_is_verified_with_the_keks_that_the_store_uses(database: Path, ring: KekRing) -> None:
    async with open_local_keystore(database, ring, create=False) as keystore:
        assert len(await keystore.changes(Wanted(None, None, None, 10))) == 1
        keystore.store.use(KekRing((Kek(b"o" * 32),)))
        with pytest.raises(WrongKek):
            await keystore.changes(Wanted(None, None, None, 10))


async def test_a_file_beside_it_that_is_no_database_is_an_answer(database: Path, ring: KekRing) -> None:
    usage_path(database).write_bytes(b"x" * 5000)
    async with open_local_keystore(database, ring, create=False) as keystore:
        for asked in (keystore.usage(None), keystore.refusals(None, 1), keystore.refusal("A"), keystore.forget("A")):
            with pytest.raises(KeystoreUnavailable):
                await asked


async def test_one_that_is_not_there_is_not_made_unasked(tmp_path: Path, ring: KekRing) -> None:
    with pytest.raises(KeystoreUnavailable, match="no keystore at"):
        async with open_local_keystore(tmp_path / "none.db", ring, create=False):
            pass
    assert list(tmp_path.glob("none*")) == []
