"""Three gateways of two workers each on one PostgreSQL, each with a cable of its own to it and a recording store."""

import contextlib
import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import recorded_store
from tests.support.partition import Partition
from tests.support.postgres import Postgres
from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.wire import wait_until

GATEWAYS: Final = 3
LEASE: Final = 4.0  # seconds


@dataclass
class Fleet:
    gateways: list[Gateway]
    cables: list[Partition]
    upstream: RecordingUpstream
    url: str = field(repr=False)

    def create_key(self) -> IssuedKey:
        return self.gateways[0].create_key()

    def status(self, number: int, issued: IssuedKey, target: str = "/bucket/k") -> int:
        gateway = self.gateways[number]
        with gateway.connect() as connection:
            connection.send(gateway.signer(issued).head("GET", target))
            return connection.reply().status

    def statuses(self, issued: IssuedKey) -> list[int]:
        return [self.status(number, issued) for number in range(GATEWAYS)]

    def revoke(self, issued: IssuedKey, number: int = 0) -> dict[str, Any]:
        """By the command line beside that gateway."""
        done = self.gateways[number].try_command("keys", "revoke", issued.access_key_id, "--yes", "--json")
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def heal(self) -> None:
        """Whole again, whatever was done to it: every gateway runs and is ready."""
        for number in range(GATEWAYS):
            self.heal_one(number)
        for gateway in self.gateways:
            wait_until(gateway.is_ready, 20)

    def heal_one(self, number: int) -> None:
        gateway = self.gateways[number]
        self.cables[number].heal()
        with contextlib.suppress(ProcessLookupError):
            gateway.signal_all(signal.SIGCONT)
        if not gateway.is_ready() and not Path(f"/proc/{gateway.process.pid}").exists():
            gateway.start()


@contextmanager
def running_fleet(postgres: Postgres, folder: Path) -> Iterator[Fleet]:
    """`folder`: empty, for the files of all."""
    postgres.sql("postgres", "CREATE DATABASE fleet")
    with ExitStack() as stack:
        upstream = stack.enter_context(RecordingUpstream(canned(ok(b"hello"))))
        gateways: list[Gateway] = []
        cables = []
        for number in range(GATEWAYS):
            own = folder / f"gateway-{number}"
            own.mkdir()
            cable = stack.enter_context(Partition(postgres.port))
            keystore = {"url": postgres.url("fleet", cable.port), "kek_file": str(own / "kek")}
            gateway = Gateway(own, recorded_store(upstream), {"keystore": keystore, "workers": {"count": 2}})
            if gateways:
                shutil.copy(gateways[0].folder / "kek", own / "kek")
            gateway.start()
            stack.callback(_end, gateway)
            gateways.append(gateway)
            cables.append(cable)
        yield Fleet(gateways, cables, upstream, postgres.url("fleet"))


def _end(gateway: Gateway) -> None:
    with contextlib.suppress(ProcessLookupError):
        gateway.signal_all(signal.SIGCONT)
    gateway.stop()
