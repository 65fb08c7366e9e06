"""python -m bench: starts everything on loopback in a temporary folder, measures, prints, leaves nothing behind."""

import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.hashing import NAME as HASHING
from bench.machine import describe_machine
from bench.measure import Sample
from bench.options import Options, parse_options
from bench.placement import Placement, place
from bench.ratios import compare
from bench.relay import NAME as RELAY
from bench.report import render_json, render_machine, render_table, render_targets
from bench.rounds import half_load, run_together
from bench.scenario import STRETCH, together
from bench.starting import YARDSTICK, start
from bench.targets import judge

UPLOADS: Final = (
    f"Uploads: over 1 MiB, rounds are {STRETCH} times as long; {HASHING} is one pass over the same bytes and no more;\n"
    f"CPU of both: CPU per request / that of {YARDSTICK} and {HASHING} together.\n"
)
RELAYED: Final = (
    "CPU of relay: CPU per request / that of the blocking relay; of an upload with its SHA-256, / that and "
    f"{HASHING} together.\n"
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
        course = start(options, placement, folder, stack)
        for scenarios in together(options.scenarios):
            pace = half_load(scenarios[0], course.contenders, samples)
            measured = run_together(scenarios, course._replace(pace=pace), _progress)
            _progress("")
            for scenario in scenarios:
                print(render_table(scenario, compare(measured, YARDSTICK), YARDSTICK), end="\n\n", flush=True)
            samples += measured
    outcomes = judge(samples)
    if outcomes:
        print(render_targets(outcomes), end="\n\n")
    print(_footer(options, placement), render_machine(machine), sep="\n")
    if options.json_file is not None:
        settings = {"rounds": options.rounds, "seconds": options.seconds, "placement": placement._asdict()}
        comparisons = compare(samples, YARDSTICK)
        options.json_file.write_text(render_json(machine, settings, options.scenarios, samples, comparisons, outcomes))


def _footer(options: Options, placement: Placement) -> str:
    uploads = UPLOADS if any(scenario.upload is not None for scenario in options.scenarios) else ""
    relayed = RELAYED if RELAY in options.rivals else ""
    cores = "; ".join(f"{part} on {_cores(cpus)}" for part, cpus in placement._asdict().items())
    return (
        f"Ratios to {YARDSTICK} proxy_pass, one worker each: median (lowest–highest) of {options.rounds} interleaved "
        f"rounds of {options.seconds} s.\nCPU is user + system of all processes of a contender; at best: its cheapest "
        f"round / the cheapest of {YARDSTICK}.\n{uploads}{relayed}Cores: {cores}."
    )


def _cores(cpus: Sequence[int]) -> str:
    return ", ".join(map(str, cpus)) or "any"


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
