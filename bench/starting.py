"""Starts the upstream and who takes part, in a temporary folder. Measures nothing."""

import os
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Final

from bench.certificate import write_certificate
from bench.contender import YARDSTICK, Contender, Credential, Credentials
from bench.gateway import serving_gateway
from bench.nginx import proxy_pass, static_upstream
from bench.objects import write_listings, write_objects
from bench.options import GATEWAYS, TWO_WORKERS, UNIX, Options
from bench.peer import as_contender
from bench.placement import Placement
from bench.relay import NAME as RELAY
from bench.relay import blocking_relay
from bench.rounds import Course
from bench.scenario import SOME, Refusal

# Signs where nobody verifies, when the gateway does not take part.
UNVERIFIED: Final = dict.fromkeys((None, *Refusal), Credential("NQAK0000000000000000", "0" * 40))


def start(options: Options, placement: Placement, folder: Path, stack: ExitStack) -> Course:
    """Everything that the scenarios need; it ends with the stack. Who speaks TLS is a process beside who does not.

    Raises BenchError if something does not come up.
    """
    write_listings(folder / "objects")
    for size in {scenario.size for scenario in options.scenarios if scenario.upload is None}:
        write_objects(folder / "objects", size)
    serving = static_upstream(folder / "upstream", folder / "objects", placement.upstream, options.upstream_port)
    upstream = stack.enter_context(serving)
    certificate = folder / "certificate.pem"
    write_certificate(certificate)
    kinds = {scenario.tls: certificate if scenario.tls else None for scenario in options.scenarios}.values()
    contenders: list[Contender] = []
    credentials: Credentials = UNVERIFIED
    for name, kind in product((YARDSTICK, *options.rivals), kinds):
        few = options.full and name in (TWO_WORKERS, UNIX)
        if kind is not None and (few or name == RELAY):
            continue
        own = folder / (name if kind is None else f"{name}-tls")
        if name in GATEWAYS:
            road = serving_gateway(name, own, folder / "keys", upstream, placement.contender, kind)
            contender, credentials = stack.enter_context(road)
        elif name == RELAY:
            contender = stack.enter_context(blocking_relay(own, upstream.port, placement.contender))
        else:
            contender = stack.enter_context(proxy_pass(name, own, upstream.port, placement.contender, kind))
        contenders.append(contender._replace(only=SOME) if few else contender)
    contenders += [as_contender(peer, os.environ) for peer in options.peers]
    return Course(contenders, credentials, folder, upstream.kept, options.rounds, options.seconds, placement)
