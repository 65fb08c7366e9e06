"""python -m bench: starts everything on loopback in a temporary folder, measures, prints, leaves nothing behind."""

import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.contender import YARDSTICK
from bench.errors import BenchError, exit_code
from bench.hashing import NAME as HASHING
from bench.hashing import ROOT
from bench.machine import describe_machine
from bench.options import Options, parse_options
from bench.page import PAGE, PLOT, render_page
from bench.placement import Placement, place
from bench.plot import render_plot
from bench.ratios import compare
from bench.relay import NAME as RELAY
from bench.report import render_machine, render_table, render_targets
from bench.rounds import half_load, run_together
from bench.run import Run, read_run
from bench.scenario import STRETCH, together
from bench.starting import start

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
    return exit_code(lambda: _bench(parse_options(arguments)))


def _bench(options: Options) -> None:
    if options.from_file is not None:
        run = _read(options.from_file)
        for scenario in run.scenarios:
            print(render_table(scenario, run.comparisons, YARDSTICK), end="\n\n")
    else:
        run = _measured(options)
    if run.outcomes:
        print(render_targets(run.outcomes), end="\n\n")
    print(_footer(run), render_machine(run.machine), sep="\n")
    if options.docs:
        for file, text in ((PAGE, render_page(run)), (PLOT, render_plot(run))):
            (ROOT / file).write_text(text)


def _measured(options: Options) -> Run:
    """Prints the tables as they come. The file is whole after each: an error near the end takes only what follows."""
    placement = place(sorted(os.sched_getaffinity(0))) if options.pinned else Placement()
    asked: dict[str, int] = {}  # per second, of each contender
    settings = {"rounds": options.rounds, "seconds": options.seconds, "asked": asked, "placement": placement._asdict()}
    run = Run(describe_machine(), settings, [])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nqgate-bench-")))
        course = start(options, placement, folder, stack)
        versions = {contender.name: contender.version for contender in course.contenders}
        run = run._replace(machine={**versions, **run.machine})  # of "nginx" and "python" the program's, as it was
        for scenarios in together(options.scenarios):
            pace = half_load(scenarios[0], course.contenders, run.samples)
            measured = run_together(scenarios, course._replace(pace=pace), _progress)
            _progress("")
            if pace is not None:
                asked[scenarios[0].name] = round(pace)
                print(f"Each is asked {pace:,.0f} times a second:")
            for scenario in scenarios:
                print(render_table(scenario, compare(measured, YARDSTICK), YARDSTICK), end="\n\n", flush=True)
            run = run._replace(samples=[*run.samples, *measured])
            if options.json_file is not None:
                options.json_file.write_text(run.json())
    return run


def _read(file: Path) -> Run:
    try:
        return read_run(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{file} cannot be read: {error}") from error


def _footer(run: Run) -> str:
    uploads = UPLOADS if any(scenario.upload is not None for scenario in run.scenarios) else ""
    relayed = RELAYED if any(sample.contender == RELAY for sample in run.samples) else ""
    cores = "; ".join(f"{part} on {_cores(cpus)}" for part, cpus in run.settings["placement"].items())
    return (
        f"Ratios to {YARDSTICK} proxy_pass, one worker each: median (lowest–highest) of {run.settings['rounds']} "
        f"interleaved rounds of {run.settings['seconds']} s.\nCPU is user + system of all processes of a contender; at "
        f"best: its cheapest round / the cheapest of {YARDSTICK}.\n{uploads}{relayed}Cores: {cores}."
    )


def _cores(cpus: Sequence[int]) -> str:
    return ", ".join(map(str, cpus)) or "any"


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
