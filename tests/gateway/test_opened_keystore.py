"""A keystore opened for a gateway's life, in a file; in PostgreSQL: tests/end_to_end/test_fleet.py."""

import contextlib
from pathlib import Path

from gateway.opened_keystore import open_keystore
from gateway.workers.sides import SideHere
from keystore.scope import AllBuckets
from keystore.sealing import create_kek_file, load_kek_ring
from keystore.store import NewKey
from tests.support.plane import config_in


async def test_a_new_one_is_made_is_fresh_and_lets_go_of_everything_at_the_end(tmp_path: Path) -> None:
    create_kek_file(tmp_path / "kek")
    ring = load_kek_ring(tmp_path / "kek")
    for written in (1, 2):
        async with contextlib.AsyncExitStack() as stack:
            opened = await open_keystore(stack, config_in(tmp_path), ring, lambda number, why: None)
            assert isinstance(opened.side, SideHere)
            assert opened.fresh()
            await opened.writer.create_key(NewKey("default", "a", AllBuckets()), "a test")
            assert len(await opened.writer.list_keys(None)) == written
            assert opened.fresh()
        assert (tmp_path / "keys.db.state").exists(), "how far it had come is remembered"
