"""One client against one store: directly, and through the gateway over http and https."""

import itertools
from pathlib import Path
from typing import Any

from tests.sdks.access import Access
from tests.sdks.clients import CLIENTS
from tests.sdks.operations import OPERATIONS, Bench, Outcome, run
from tests.sdks.table import WAYS
from tests.support.house import House

_numbers = itertools.count(1)

Measured = dict[str, tuple[Outcome, ...]]  # operation → one outcome for each of WAYS


def access(house: House, store: str, way: str, home: Path) -> Access:
    if way == "direct":
        behind = house.store(store)
        return Access(behind.endpoint, behind.access_key_id, behind.secret_access_key, home)
    fronted = house.fronted(store) if way == "http" else house.secured(store)
    gateway, issued = fronted.gateway, fronted.access_key
    trusted = None if gateway.tls is None else gateway.tls.authority
    return Access(gateway.endpoint, issued.access_key_id, issued.secret_access_key, home, trusted)


def measure(house: House, store: str, client: str, folder: Path) -> Measured:
    outcomes = [_run(house, store, client, way, folder) for way in WAYS]
    return {operation: tuple(ran[operation] for ran in outcomes) for operation in OPERATIONS}


def _run(house: House, store: str, client: str, way: str, folder: Path) -> dict[str, Outcome]:
    home = folder / way
    home.mkdir()
    bucket = f"matrix-{next(_numbers)}-{way}"
    direct: Any = house.direct(store)
    direct.create_bucket(Bucket=bucket)
    to = access(house, store, way, home)
    with CLIENTS[client](to) as opened:
        return run(Bench(opened, direct, bucket, home, to.ca, parts_show=store != "rclone"))
