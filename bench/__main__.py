"""python -m bench: starts everything on loopback in a temporary folder, measures, prints, leaves nothing behind."""

import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.contender import Contender, Credential, Credentials
from bench.errors import BenchError
from bench.gateway import serving_gateway
from bench.hashing import NAME as HASHING
from bench.machine import describe_machine
from bench.measure import Sample
from bench.nginx import proxy_pass, static_upstream
from bench.objects import write_objects
from bench.options import GATEWAYS, Options, parse_options
from bench.placement import Placement, place
from bench.ratios import compare
from bench.report import render_json, render_machine, render_table
from bench.rounds import Course, run_together
from bench.scenario import STRETCH, Refusal, together

YARDSTICK: Final = "nginx"
# Signs where nobody verifies, when the gateway does not take part.
UNVERIFIED: Final = dict.fromkeys((None, *Refusal), Credential("NQAK0000000000000000", "0" * 40))

UPLOADS: Final = (
    f"Uploads: over 1 MiB, rounds are {STRETCH} times as long; {HASHING} is one pass over the same bytes and no more;\n"
    f"CPU of both: CPU per request / that of {YARDSTICK} and {HASHING} together.\n"
)


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 measured, 1 not measured and why."""
    try:
        _bench(parse_options(arguments))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _bench(options: Options) -> None:
    machine = describe_machine()
    placement = place(sorted(os.sched_getaffinity(0))) if options.pinned else Placement()
    samples: list[Sample] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nqgate-bench-")))
        course = _course(options, placement, folder, stack)
        for scenarios in together(options.scenarios):
            measured = run_together(scenarios, course, _progress)
            _progress("")
            for scenario in scenarios:
                print(render_table(scenario, compare(measured, YARDSTICK), YARDSTICK), end="\n\n", flush=True)
            samples += measured
    print(_footer(options, placement), render_machine(machine), sep="\n")
    if options.json_file is not None:
        settings = {"rounds": options.rounds, "seconds": options.seconds, "placement": placement._asdict()}
        comparisons = compare(samples, YARDSTICK)
        options.json_file.write_text(render_json(machine, settings, options.scenarios, samples, comparisons))


def _course(options: Options, placement: Placement, folder: Path, stack: ExitStack) -> Course:
    for size in {scenario.size for scenario in options.scenarios if scenario.upload is None}:
        write_objects(folder / "objects", size)
    upstream = stack.enter_context(static_upstream(folder / "upstream", folder / "objects", placement.upstream))
    contenders: list[Contender] = []
    credentials: Credentials = UNVERIFIED
    for name in (YARDSTICK, *options.rivals):
        if name in GATEWAYS:
            road = serving_gateway(name, folder / name, folder / "keys", upstream, placement.contender)
            contender, credentials = stack.enter_context(road)
        else:
            contender = stack.enter_context(proxy_pass(name, folder / name, upstream.port, placement.contender))
        contenders.append(contender)
    return Course(contenders, credentials, folder, upstream.kept, options.rounds, options.seconds, placement)


def _footer(options: Options, placement: Placement) -> str:
    uploads = any(scenario.upload is not None for scenario in options.scenarios)
    cores = "; ".join(f"{part} on {_cores(cpus)}" for part, cpus in placement._asdict().items())
    return (
        f"Ratios to {YARDSTICK} proxy_pass, one worker each: median (lowest–highest) of {options.rounds} interleaved "
        f"rounds of {options.seconds} s.\nCPU is user + system of all processes of a contender; at best: its cheapest "
        f"round / the cheapest of {YARDSTICK}.\n{UPLOADS if uploads else ''}Cores: {cores}."
    )


def _cores(cpus: Sequence[int]) -> str:
    return ", ".join(map(str, cpus)) or "any"


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
