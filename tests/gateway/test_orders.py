"""A command and a gateway that talk over a real socket."""

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from gateway import orders as module
from gateway.listening import NOTHING, Handed, listen
from gateway.orders import NobodyThere, ask_reload, orders_name, take_over, taking_orders
from gateway.workers.link import Message, encode
from tests.support.server_process import LOOPBACK


class Gateway:
    """`reloads`: with what each was asked for. `successor`: the process that took over."""

    def __init__(self, handed: Handed = NOTHING) -> None:
        self.reloads: list[bool] = []
        self.successor = 0
        self._handed = handed

    async def reload(self, *, restart_workers: bool) -> Message:
        self.reloads.append(restart_workers)
        return {"applied": ["limits.connections"]}

    def hand_over(self) -> Handed:
        return self._handed

    def taken_over(self, pid: int) -> None:
        self.successor = pid


@pytest.fixture
def name(tmp_path: Path) -> str:
    return orders_name(tmp_path / "gateway.toml")


def test_the_name_is_that_of_the_file_wherever_it_is_asked_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert orders_name(tmp_path / "gateway.toml") == orders_name(Path("gateway.toml"))
    assert orders_name(tmp_path / "other.toml") != orders_name(Path("gateway.toml")) != orders_name(None)


async def test_a_reload_is_asked_for_and_answered(name: str) -> None:
    gateway = Gateway()
    async with taking_orders(name, gateway):
        for restart in (False, True):
            answer = await asyncio.to_thread(ask_reload, name, restart_workers=restart)
            assert answer == {"applied": ["limits.connections"]}
    assert gateway.reloads == [False, True]


async def test_where_no_gateway_runs_nobody_is_there(name: str) -> None:
    with pytest.raises(NobodyThere):
        await asyncio.to_thread(ask_reload, name, restart_workers=False)
    async with taking_orders(name, Gateway()):
        pass
    with pytest.raises(NobodyThere):
        await asyncio.to_thread(take_over, name)


async def test_sockets_are_handed_over_in_their_groups_and_work(name: str) -> None:
    groups = tuple(tuple(group) for group in listen(LOOPBACK, 0, 2))
    [console] = listen(LOOPBACK, 0, 1)
    gateway = Gateway(Handed(groups, shared=False, console=tuple(console), ours=True))
    async with taking_orders(name, gateway):
        before = await asyncio.to_thread(take_over, name)
        try:
            taken = before.handed
            assert [[one.getsockname() for one in group] for group in taken.s3] == [
                [one.getsockname() for one in group] for group in groups
            ]
            assert (taken.shared, taken.ours) == (False, True)
            with socket.create_connection(console[0].getsockname()) as client:
                accepted, _ = taken.console[0].accept()
                accepted.close()
                assert client.recv(1) == b""
            assert gateway.successor == 0
            await asyncio.to_thread(before.serving)
            assert gateway.successor == os.getpid()
            async with taking_orders(name, Gateway()) as _:
                assert (await asyncio.to_thread(ask_reload, name, restart_workers=False))["applied"]
        finally:
            for one in (*(one for group in before.handed.s3 for one in group), *before.handed.console):
                one.close()
    for one in (*(one for group in groups for one in group), *console):
        one.close()


async def test_one_that_asks_for_the_sockets_and_ends_changes_nothing(name: str) -> None:
    gateway = Gateway()
    async with taking_orders(name, gateway):
        before = await asyncio.to_thread(take_over, name)
        before.connection.close()
        assert (await asyncio.to_thread(ask_reload, name, restart_workers=False))["applied"]
    assert gateway.successor == 0


async def test_one_that_says_too_late_that_it_serves_hears_that_the_other_goes_on(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two gateways would serve on the same sockets, and neither would know."""
    gateway = Gateway()
    monkeypatch.setattr(module, "TAKE_SECONDS", 0.1)
    async with taking_orders(name, gateway):
        before = await asyncio.to_thread(take_over, name)
        await asyncio.sleep(0.5)
        with pytest.raises(OSError, match=r"."):
            await asyncio.to_thread(before.serving)
        assert (await asyncio.to_thread(ask_reload, name, restart_workers=False))["applied"]
    assert gateway.successor == 0


async def test_another_user_is_not_heard(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway()
    monkeypatch.setattr(module, "_ours", lambda connection: False)
    async with taking_orders(name, gateway):
        with pytest.raises(ConnectionError):
            await asyncio.to_thread(ask_reload, name, restart_workers=False)
    assert gateway.reloads == []


async def test_a_gateway_of_another_user_is_not_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may take a name in that namespace."""
    gateway = Gateway()
    async with taking_orders(name, gateway):
        monkeypatch.setattr(module.os, "getuid", lambda: 12345)
        with pytest.raises(PermissionError):
            await asyncio.to_thread(ask_reload, name, restart_workers=False)
    assert gateway.reloads == []


async def test_a_name_that_is_taken_is_said_and_the_gateway_goes_on(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Gateway(), Gateway()
    async with taking_orders(name, first), taking_orders(name, second):
        await asyncio.to_thread(ask_reload, name, restart_workers=False)
    assert (len(first.reloads), len(second.reloads)) == (1, 0)
    assert "another gateway" in caplog.text


@pytest.mark.parametrize("said", [b"", b"\xff\xff\xff\xff", encode({"dance": True}), encode({"reload": True})[:6]])
async def test_who_speaks_of_something_else_is_let_go(name: str, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", 0.3)
    async with taking_orders(name, Gateway()):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(name)
            client.sendall(said)
            client.settimeout(5)
            with suppress(ConnectionError):
                assert await asyncio.to_thread(client.recv, 1) == b""
        monkeypatch.setattr(module, "ASK_SECONDS", 5)
        assert (await asyncio.to_thread(ask_reload, name, restart_workers=False))["applied"]
