"""The command line of the bench.

Many short rounds rather than few long ones. On a virtual machine whose neighbours share its cores, the processor time
of one and the same loop varied by up to 1.6 for seconds at a time; identical contenders then differed by 10 to 20 %
(standard deviation) in a round, whatever its length, and only the number of rounds brings the median to rest.
Pinning: with two cores it halved that deviation (0.08 against 0.15); with four it changed nothing.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.contender import YARDSTICK
from bench.errors import BenchError
from bench.hashing import NAME as HASHING
from bench.peer import Peer, parse_peers
from bench.relay import NAME as RELAY
from bench.scenario import QUICK, SCENARIOS, USUAL, Scenario, select

TWO_WORKERS: Final = "gateway-2"
UNIX: Final = "gateway-unix"
GATEWAYS: Final = ("gateway", TWO_WORKERS, UNIX, "python")
USUALLY: Final = "gateway,python"
FULL: Final = f"gateway,{TWO_WORKERS},{UNIX},{RELAY}"
RIVALS: Final = (*GATEWAYS, "twin", RELAY)


class Options(NamedTuple):
    """`rivals`: the contenders measured against the yardstick; `seconds`: the length of one run.

    `full`: everything, two workers in some scenarios only. `docs`: write the page and the plot. `from_file`: measure
    nothing, show this run. `peers` stand in front of the upstream at `upstream_port` of loopback.
    """

    scenarios: tuple[Scenario, ...]
    rivals: tuple[str, ...]
    rounds: int
    seconds: int
    pinned: bool
    json_file: Path | None
    full: bool = False
    docs: bool = False
    from_file: Path | None = None
    peers: tuple[Peer, ...] = ()
    upstream_port: int | None = None


def parse_options(arguments: Sequence[str]) -> Options:
    """Raises BenchError for a scenario that does not exist or in which nobody can take part.

    Exits with 2 on any other misuse.
    """
    given = _parser().parse_args(arguments)
    usual = (["*"], FULL, 4, 2) if given.full else ([QUICK], USUALLY, 3, 3) if given.quick else (USUAL, USUALLY, 9, 2)
    patterns, against, rounds, seconds = usual
    scenarios = tuple(select(given.scenario or patterns))
    rivals = _rivals(given.against or against)
    if not any(rival in GATEWAYS for rival in rivals) and any(scenario.refusal for scenario in scenarios):
        raise BenchError(f"only a gateway refuses: measure refusals --against {' or '.join(GATEWAYS)}")
    return Options(
        scenarios=scenarios,
        rivals=rivals,
        rounds=given.rounds or rounds,
        seconds=given.seconds or seconds,
        pinned=given.pin,
        json_file=given.json,
        full=given.full,
        docs=given.docs,
        from_file=given.from_file,
        peers=_peers(given.peer, given.upstream_port),
        upstream_port=given.upstream_port,
    )


def _rivals(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    unknown = [name for name in names if name not in RIVALS]
    if unknown:
        raise BenchError(f"--against knows {', '.join(RIVALS)}, not {', '.join(unknown)}")
    return names


def _peers(text: str, upstream_port: int | None) -> tuple[Peer, ...]:
    peers = parse_peers(text)
    if peers and upstream_port is None:
        raise BenchError("a peer stands in front of this bench's upstream: say where that is to be, by --upstream-port")
    names = [peer.name for peer in peers]
    taken = [name for name in names if names.count(name) > 1 or name in {YARDSTICK, HASHING, *RIVALS}]
    if taken:
        raise BenchError(f"a peer needs a name of its own, not {taken[0]}")
    return peers


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 65536:
        raise ValueError(text)
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="The gateway beside nginx proxy_pass, as ratios."
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help=f"only {QUICK}, 3 rounds of 3 s")
    text = "every scenario, 4 rounds of 2 s, gateway-2 in some of them: about 25 minutes"
    extent.add_argument("--full", action="store_true", help=text)
    names = ", ".join(scenario.name for scenario in SCENARIOS)
    text = f"repeatable; of: {names} (default: {', '.join(USUAL)})"
    parser.add_argument("--scenario", action="append", metavar="PATTERN", help=text)
    parser.add_argument(
        "--against",
        metavar="NAMES",
        help=f"comma list of what is compared with nginx: gateway (compiled, after `make native`), gateway-2 (the "
        "same with two workers on the same cores), gateway-unix (the same, the upstream asked over its Unix socket), "
        "python (the gateway never compiled), twin (the same nginx again: it shows the noise), relay (blocking "
        "sockets, 1 MiB buffers: what copying alone "
        f"costs, of GET from 64 KiB and of PUT) (default: {USUALLY}; with --full {FULL})",
    )
    text = "name=http://host:port or name=http://host:port,pid=123, several with blanks between: other S3 endpoints "
    text += "in front of the upstream, with NAME_ACCESS_KEY_ID and NAME_SECRET_ACCESS_KEY (default: $PEERS)"
    parser.add_argument("--peer", default=os.environ.get("PEERS", ""), metavar="PEERS", help=text)
    text = "the upstream listens at this port of loopback, instead of a free one"
    parser.add_argument("--upstream-port", type=_port, metavar="PORT", help=text)
    parser.add_argument("--rounds", type=_positive, metavar="N", help="runs of each contender (default 9)")
    parser.add_argument("--seconds", type=_positive, metavar="N", help="length of one run (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every run and every ratio to FILE")
    text = "measure nothing, show what --json wrote to FILE"
    parser.add_argument("--from", type=Path, metavar="FILE", dest="from_file", help=text)
    parser.add_argument("--docs", action="store_true", help="also write the page and the plot in docs/")
    parser.add_argument(
        "--pin",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="give contender, upstream and load generator cores of their own (where there are two or more)",
    )
    return parser
