"""The engine of a configuration and its keystore in this process: what a worker runs, without one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from gateway.config import load_config
from gateway.telemetry.metrics import CELLS
from gateway.telemetry.request_counts import RequestCounts
from gateway.wire.engine import Engine
from gateway.wiring import Parts, build_engine, configured_limits
from keystore.derived import UpstreamCredential
from keystore.directory import open_directory
from keystore.sealing import load_kek_ring


class NoBoard:
    def tell(self, seq: int, cut: int, in_store: list[str]) -> None: ...
    def settled(self, seq: int, what: str) -> None: ...
    def tick(self) -> None: ...


@contextmanager
def opened_engine(configuration: Path) -> Iterator[Engine]:
    """The engine of this configuration, on the running loop; its keystore must be there."""
    config = load_config(configuration)
    directory = open_directory(config.keystore.path, load_kek_ring(config.keystore.kek_file))
    try:
        credential = UpstreamCredential("upstream", "the-upstream-ignores-this")
        parts = Parts(directory, credential, cast("Any", None), NoBoard(), configured_limits(config))
        engine = build_engine(config, parts)
        engine.on_ended = (RequestCounts([0] * CELLS).count,)
        yield engine
    finally:
        directory.close()
