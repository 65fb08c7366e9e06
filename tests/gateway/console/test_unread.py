import asyncio
import logging

import pytest
from aiohttp import web

from gateway.console.unread import server_log

TOKEN = "nqat_000000000000_" + "s" * 40
UNREADABLE = {
    "a NUL behind the token": f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\0\r\n\r\n",
    "a token from a file with CRLF": f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\r\n\r\n",
    "in the query": f"GET /?token={TOKEN}\1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target too long": f"GET /{'a' * 9000}{TOKEN} HTTP/1.1\r\nHost: a\r\n\r\n",
    "the token alone": f"{TOKEN}\r\n\r\n",
    "as a chunk's size": f"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{TOKEN}\r\n",
}


async def _answered(sent: str) -> str:
    async def fails(request: web.Request) -> web.Response:
        raise RuntimeError("a bug of ours")

    app = web.Application()
    app.router.add_get("/bug", fails)
    runner = web.AppRunner(app, access_log=None, logger=server_log())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        _, port = runner.addresses[0]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent.encode())
        line = await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        return line.decode()
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("sent", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_is_no_http_is_refused_and_none_of_it_logged(sent: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert " 400 " in await _answered(sent)
    assert TOKEN not in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_bug_is_logged_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    assert " 500 " in await _answered("GET /bug HTTP/1.1\r\nHost: a\r\n\r\n")
    assert "a bug of ours" in caplog.text
