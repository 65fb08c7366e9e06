"""What takes part in a run. Knows no program."""

from collections.abc import Mapping
from typing import NamedTuple

from bench.child import LOOPBACK
from bench.scenario import Refusal


class Contender(NamedTuple):
    """An S3 endpoint on loopback and the process whose family does its work. `verifies`: it refuses what it should."""

    name: str
    port: int
    pid: int
    version: str
    verifies: bool = False

    @property
    def origin(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


class Credential(NamedTuple):
    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return f"Credential({self.access_key_id}, <hidden>)"


# With what a request is signed that is to be served (None), or to be refused.
Credentials = Mapping[Refusal | None, Credential]
