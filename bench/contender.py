"""What takes part in a run. Knows no program."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from bench.child import LOOPBACK
from bench.scenario import Refusal, Scenario

YARDSTICK: Final = "nginx"  # the contender that is 1.00


class Credential(NamedTuple):
    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return f"Credential({self.access_key_id}, <hidden>)"


# With what a request is signed that is to be served (None), or to be refused.
Credentials = Mapping[Refusal | None, Credential]


class Contender(NamedTuple):
    """An S3 endpoint and the process whose family does its work; None: not to be seen from here.

    `verifies`: it refuses what it should. `certificate`: it speaks TLS and nothing else, with this one. `only`: the
    scenarios it is here for; None: all. `credentials`: its own, where it does not take those of the run.
    """

    name: str
    port: int
    pid: int | None
    version: str
    verifies: bool = False
    certificate: Path | None = None
    only: frozenset[str] | None = None
    host: str = LOOPBACK
    credentials: Credentials | None = None

    @property
    def origin(self) -> str:
        return f"{'http' if self.certificate is None else 'https'}://{self.host}:{self.port}"

    def takes_part(self, scenario: Scenario) -> bool:
        """Who verifies nothing cannot refuse."""
        named = self.only is None or scenario.name in self.only
        return named and scenario.tls == (self.certificate is not None) and (self.verifies or scenario.refusal is None)
