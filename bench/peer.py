"""Another S3 endpoint, run by somebody else in front of this bench's upstream, as a contender.

`name=http://host:port`, or `name=http://host:port,pid=123` where its processes are on this machine: their CPU is
counted then, and of others throughput and latency only. Its keys come from the environment, NAME_ACCESS_KEY_ID and
NAME_SECRET_ACCESS_KEY; with them it must refuse what is falsely signed, without them requests are signed as for nginx,
by nobody's key. It is not pinned: do that where it is started.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from bench.contender import Contender, Credential, Credentials
from bench.errors import BenchError
from bench.scenario import SCENARIOS, Refusal

_FORM: Final = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z0-9-]{0,31})=http://(?P<host>[A-Za-z0-9.-]+):(?P<port>\d{1,5})/?(?:,pid=(?P<pid>\d{1,9}))?"
)
# For the other reasons to refuse, a peer would have to be given keys of a kind that only its operator can make.
_REFUSALS: Final = (None, Refusal.SIGNATURE)


class Peer(NamedTuple):
    """`pid`: the process whose family does its work; None: not to be seen from here."""

    name: str
    host: str
    port: int
    pid: int | None


def parse_peers(text: str) -> tuple[Peer, ...]:
    """Of a list separated by blanks. Raises BenchError for what is no peer."""
    return tuple(_parse(word) for word in text.split())


def as_contender(peer: Peer, environment: Mapping[str, str]) -> Contender:
    """Raises BenchError for half a credential."""
    credentials = _credentials(peer.name, environment)
    only = frozenset(scenario.name for scenario in SCENARIOS if scenario.refusal in _REFUSALS)
    return Contender(
        peer.name,
        peer.port,
        peer.pid,
        f"at {peer.host}:{peer.port}",
        verifies=credentials is not None,
        only=only,
        host=peer.host,
        credentials=credentials,
    )


def _parse(word: str) -> Peer:
    found = _FORM.fullmatch(word)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise BenchError(f"{word!r} is no peer: write name=http://host:port or name=http://host:port,pid=123")
    return Peer(found["name"], found["host"], int(found["port"]), int(found["pid"]) if found["pid"] else None)


def _credentials(name: str, environment: Mapping[str, str]) -> Credentials | None:
    prefix = name.upper().replace("-", "_")
    names = f"{prefix}_ACCESS_KEY_ID", f"{prefix}_SECRET_ACCESS_KEY"
    access_key_id, secret = (environment.get(variable, "") for variable in names)
    if bool(access_key_id) != bool(secret):
        raise BenchError(f"of {name}'s credentials one is missing: set both {names[0]} and {names[1]}, or neither")
    return dict.fromkeys(_REFUSALS, Credential(access_key_id, secret)) if secret else None
