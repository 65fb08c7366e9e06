"""A collector of OpenTelemetry, as far as traces over HTTP go: decodes what it is sent, and keeps it."""

import asyncio
import gzip
import threading
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.server_process import LOOPBACK, free_port


class Collector:
    """`status`: of its answers. `silent`: if set, no answer before that."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.status = 200
        self.silent: asyncio.Event | None = None
        self.spans: list[Any] = []
        self.resource: dict[str, str] = {}

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.silent is not None:
            await self.silent.wait()
        if self.status == 200:
            assert request.content_type == "application/x-protobuf"
            for one in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resource = {pair.key: pair.value.string_value for pair in one.resource.attributes}
                self.spans += [span for scope in one.scope_spans for span in scope.spans]
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(status=self.status, body=answer, content_type="application/x-protobuf")


class RunningCollector(Collector):
    """In a thread of its own, for gateways in processes of theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self.endpoint = f"http://{LOOPBACK}:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/traces", self.take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, self.port).start()
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()
