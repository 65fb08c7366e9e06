from aiohttp.test_utils import TestClient, TestServer

from gateway.console.app import Readiness, build_app


async def asked(
    path: str, *, fresh: bool = True, serving: bool = True, error: str | None = None
) -> tuple[int, dict[str, object]]:
    app = build_app(Readiness(lambda: fresh, lambda: serving, lambda: error, lambda: "holds"))
    async with TestClient(TestServer(app)) as client:
        reply = await client.get(path)
        return reply.status, await reply.json()


async def test_health_is_the_process_alone() -> None:
    assert await asked("/healthz", fresh=False, serving=False) == (200, {"alive": True})


async def test_ready_when_the_listeners_serve_and_the_keystore_is_fresh() -> None:
    status, state = await asked("/readyz")
    assert (status, state["ready"]) == (200, True)


async def test_a_keystore_that_does_not_answer_is_named() -> None:
    status, state = await asked("/readyz", fresh=False)
    assert (status, state["keystore"]) == (503, "not answering")


async def test_a_draining_gateway_is_not_ready() -> None:
    status, state = await asked("/readyz", serving=False)
    assert (status, state["listeners"]) == (503, "not serving")


async def test_a_store_that_is_down_stands_in_the_body_only() -> None:
    status, state = await asked("/readyz", error="refused")
    assert (status, state["upstream"]) == (200, "refused")
