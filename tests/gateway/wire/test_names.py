"""Names looked up anew, answers that hold while nobody can tell, and no look-up beside another."""

import asyncio
from typing import Any, cast

import pytest
import uvloop

from gateway.wire.endpoints import Endpoint
from gateway.wire.names import MAX_ADDRESSES, Name, is_name

STORE = Endpoint("store.test", 8333, None, "store.test")


class Resolver:
    """The loop, as far as a name needs it: `answer` is a list of hosts or an error, `asked` counts."""

    def __init__(self, *answer: str) -> None:
        self._loop = asyncio.get_running_loop()
        self.answer: list[str] | Exception = list(answer)
        self.asked = 0
        self.now = 0.0
        self.gate = asyncio.Event()
        self.gate.set()

    def time(self) -> float:
        return self.now

    def create_task(self, work: Any) -> Any:
        return self._loop.create_task(work)

    async def getaddrinfo(self, host: str, port: int, **more: Any) -> list[Any]:
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return [(0, 0, 0, "", (one, port)) for one in self.answer]


def name_of(resolver: Resolver, found: list[list[str]]) -> Name:
    name = Name(STORE, 30.0, lambda told: found.append([one.host for one in told.addresses]))
    name._loop = cast("Any", resolver)
    return name


@pytest.mark.parametrize(("host", "named"), [("10.0.0.1", False), ("::1", False), ("store.test", True), ("1.2", True)])
def test_only_a_name_is_looked_up(host: str, named: bool) -> None:
    assert is_name(STORE._replace(host=host)) is named
    assert not is_name(STORE._replace(path="/run/store.sock"))


def test_it_is_looked_up_again_after_the_interval_and_told_when_it_changed() -> None:
    async def run() -> None:
        resolver, found = Resolver("10.0.0.1", "10.0.0.2", "10.0.0.1"), list[list[str]]()
        name = name_of(resolver, found)
        for now in (0.0, 10.0, 29.0, 30.0):
            resolver.now = now
            name.tick(now)
            await asyncio.sleep(0.01)
        resolver.answer = ["10.0.0.2", "10.0.0.1"]  # in another order: the same
        name.tick(60.0)
        await asyncio.sleep(0.01)
        assert (resolver.asked, found) == (3, [["10.0.0.1", "10.0.0.2"]])
        resolver.answer = ["10.0.0.3"]
        name.tick(90.0)
        await asyncio.sleep(0.01)
        assert found[1:] == [["10.0.0.3"]]

    uvloop.run(run())


def test_what_cannot_be_looked_up_keeps_its_last_answer_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        resolver, found = Resolver("10.0.0.1"), list[list[str]]()
        name = name_of(resolver, found)
        await name.looked_up()
        resolver.answer = OSError("no such name")
        for _ in range(3):
            await name.looked_up()
        assert [one.host for one in name.addresses] == ["10.0.0.1"]
        assert name.error is not None
        assert len(caplog.messages) == 1
        assert "last 1 addresses are used" in caplog.messages[0]
        resolver.answer = ["10.0.0.1"]
        await name.looked_up()
        assert (name.error, len(found)) == (None, 1)
        assert caplog.messages[1:] == ["store.test can be looked up again"]

    uvloop.run(run())


def test_there_is_one_look_up_at_a_time_and_failures_do_not_make_a_flood() -> None:
    async def run() -> None:
        resolver = Resolver("10.0.0.1")
        name = name_of(resolver, [])
        resolver.gate.clear()
        waiting = [asyncio.ensure_future(name.looked_up()) for _ in range(50)]
        for now in range(100):
            name.doubt(float(now))
            name.tick(float(now))
            await asyncio.sleep(0)
        assert resolver.asked == 1
        resolver.gate.set()
        await asyncio.gather(*waiting)
        for tenth in range(50):
            name.doubt(1000.0 + tenth / 10)
            await asyncio.sleep(0.001)
        assert resolver.asked <= 1 + 5

    uvloop.run(run())


def test_the_addresses_of_one_name_are_bounded() -> None:
    async def run() -> None:
        name = name_of(Resolver(*[f"10.0.{one // 250}.{one % 250}" for one in range(1000)]), [])
        await name.looked_up()
        assert len(name.addresses) == MAX_ADDRESSES

    uvloop.run(run())
