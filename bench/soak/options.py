"""What the command line of the soak says."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

DEFAULT_MINUTES: Final = 60.0
SHORTEST: Final = 20.0  # seconds: one worker must be killed, and what it left must have settled


class Options(NamedTuple):
    """`seconds`: of load; starting and settling come on top."""

    seconds: float
    json_file: Path | None


def parse_options(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(
        prog="make soak",
        description="Mixed load on a gateway of two workers in front of SeaweedFS, for an hour or as long as you like.",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=float(os.environ.get("SOAK_MINUTES", DEFAULT_MINUTES)),
        help=f"of load (default: {DEFAULT_MINUTES:.0f}, or SOAK_MINUTES)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample and every row to FILE")
    given = parser.parse_args(arguments)
    if given.minutes * 60 < SHORTEST:
        parser.error(f"at least {SHORTEST / 60:.2f} minutes: a worker is killed, and what it left must settle")
    return Options(given.minutes * 60, given.json)
