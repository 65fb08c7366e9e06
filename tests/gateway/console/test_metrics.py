"""Who may read /metrics: the networks that are named, and operators; nobody whom a proxy speaks for without a token."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.console.app import Door, build_app
from gateway.telemetry.exposition import CONTENT_TYPE
from keystore.errors import KeystoreUnavailable
from tests.support.plane import Plane, config_in

NUMBERS = b"# numbers\n"


@asynccontextmanager
async def served(plane: Plane, *networks: str) -> AsyncIterator[TestClient]:
    config = config_in(plane.folder, metrics_networks=networks)
    door = Door(config, plane.acts, plane.keystore.store, plane.ready, lambda: plane.ring, metrics=lambda: NUMBERS)
    async with TestClient(TestServer(build_app(door))) as client:
        yield client


async def asked(plane: Plane, *networks: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    async with served(plane, *networks) as client:
        reply = await client.get("/metrics", headers=headers)
        return reply.status, await reply.read()


async def test_who_connects_from_a_named_network_needs_no_token(plane: Plane) -> None:
    async with served(plane, "127.0.0.0/8") as client:
        reply = await client.get("/metrics")
        assert (reply.status, await reply.read()) == (200, NUMBERS)
        assert reply.headers["Content-Type"] == CONTENT_TYPE
        assert (reply.headers["Cache-Control"], reply.headers["Server"]) == ("no-store", "nqgate")


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "x-forwarded-for"])
async def test_a_proxy_lends_nobody_its_address(plane: Plane, name: str) -> None:
    status, told = await asked(plane, "127.0.0.0/8", headers={name: "127.0.0.1"})
    assert status == 401
    assert NUMBERS not in told


@pytest.mark.parametrize("networks", [(), ("192.0.2.0/24",)])
async def test_anybody_else_needs_an_operators_token(plane: Plane, networks: tuple[str, ...]) -> None:
    token, owners = await plane.token(), await plane.token("acme")
    for shown, status in ((None, 401), ("nqat_made_up", 401), (owners, 403), (token, 200)):
        headers = {} if shown is None else {"Authorization": f"Bearer {shown}"}
        got, told = await asked(plane, *networks, headers=headers)
        assert got == status
        assert (told == NUMBERS) == (status == 200)


async def test_it_answers_while_the_keystore_is_down_and_never_opens_to_others(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await plane.token()

    async def down(token_id: str) -> None:
        raise KeystoreUnavailable("down")

    monkeypatch.setattr(plane.keystore.store, "find_token", down)
    assert (await asked(plane, "127.0.0.0/8"))[0] == 200
    assert (await asked(plane, headers={"Authorization": f"Bearer {token}"}))[0] == 503


async def test_nothing_but_get_is_answered(plane: Plane) -> None:
    async with served(plane, "127.0.0.0/8") as client:
        assert (await client.post("/metrics")).status == 405
        assert (await client.get("/metrics/")).status == 404
