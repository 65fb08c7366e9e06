from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from gateway.console.app import MAX_BODY, Door, build_app
from tests.support.plane import Plane


async def asked(plane: Plane, path: str, state: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
    async def readiness() -> dict[str, Any] | None:
        return state

    app = build_app(Door(plane.config, plane.acts, plane.keystore.store, readiness, lambda: plane.ring))
    async with TestClient(TestServer(app)) as client:
        reply = await client.get(path)
        assert reply.headers["Server"] == "nqgate"
        return reply.status, await reply.json()


async def test_alive_is_what_needs_no_restart_whatever_is_not_ready(plane: Plane) -> None:
    alive = {"alive": True, "supervisor": "answering"}
    assert await asked(plane, "/healthz", {"ready": False, "keystore": "not answering"}) == (200, alive)


async def test_without_a_supervisor_nothing_mends_itself(plane: Plane) -> None:
    assert await asked(plane, "/healthz", None) == (503, {"alive": False, "supervisor": "not answering"})


async def test_ready_is_what_the_supervisor_says(plane: Plane) -> None:
    for ready, status in ((True, 200), (False, 503)):
        state = {"ready": ready, "keystore": "fresh"}
        assert await asked(plane, "/readyz", state) == (status, state)


async def test_a_supervisor_that_does_not_answer_is_not_ready(plane: Plane) -> None:
    status, told = await asked(plane, "/readyz", None)
    assert (status, told["ready"], told["supervisor"]) == (503, False, "not answering")
    assert "restart the gateway" in told["not_ready"][0]


async def test_a_body_is_bounded_everywhere(plane: Plane) -> None:
    async with plane.served() as rest:
        reply = await rest.raw("POST", "/keys", b" " * (MAX_BODY + 1), {"Content-Type": "application/json"})
        assert reply.status == 413


async def test_a_form_posted_to_the_root_is_answered_in_the_words_of_iam(plane: Plane) -> None:
    async with plane.served() as rest:
        reply = await rest.client.post("/", data={"Action": "ListUsers", "Version": "2010-05-08"})
        assert reply.status == 403
        assert "<Code>MissingAuthenticationToken</Code>" in await reply.text()
        assert (reply.headers["Cache-Control"], reply.headers["Server"]) == ("no-store", "nqgate")
