"""What takes part in a run. Knows no program."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from bench.child import LOOPBACK
from bench.scenario import Refusal, Scenario

YARDSTICK: Final = "nginx"  # the contender that is 1.00


class Contender(NamedTuple):
    """An S3 endpoint on loopback and the process whose family does its work. `verifies`: it refuses what it should.

    `certificate`: it speaks TLS and nothing else, with this one. `only`: the scenarios it is here for; None: all.
    """

    name: str
    port: int
    pid: int
    version: str
    verifies: bool = False
    certificate: Path | None = None
    only: frozenset[str] | None = None

    @property
    def origin(self) -> str:
        return f"{'http' if self.certificate is None else 'https'}://{LOOPBACK}:{self.port}"

    def takes_part(self, scenario: Scenario) -> bool:
        """Who verifies nothing cannot refuse."""
        named = self.only is None or scenario.name in self.only
        return named and scenario.tls == (self.certificate is not None) and (self.verifies or scenario.refusal is None)


class Credential(NamedTuple):
    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return f"Credential({self.access_key_id}, <hidden>)"


# With what a request is signed that is to be served (None), or to be refused.
Credentials = Mapping[Refusal | None, Credential]
