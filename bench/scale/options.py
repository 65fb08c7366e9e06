"""The command line of `python -m bench.scale`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

PARTS: Final = ("idle", "flat", "slow", "keys")


class Sizes(NamedTuple):
    """How far each part goes. `asked`: how often idle connections have asked before; `in_use`: how many keys take
    turns, from 1 on; `flat_keys`: those of the long run."""

    connections: tuple[int, ...]
    asked: tuple[int, ...]
    requests: int
    flat_keys: int
    readers: tuple[int, ...]
    keys: int
    in_use: tuple[int, ...]


WHOLE: Final = Sizes(
    (1_000, 2_500, 5_000, 10_000), (0, 1), 1_000_000, 10_000, (250, 500, 1_000), 1_000_000, (1, 1_000, 10_000, 100_000)
)
QUICK: Final = Sizes((100,), (1,), 2_000, 100, (5, 10), 2_000, (1, 10, 1_000))


class Options(NamedTuple):
    parts: tuple[str, ...]
    sizes: Sizes
    json_file: Path | None
    images: Path | None


def parse_options(arguments: Sequence[str]) -> Options:
    """Exits with 2 on misuse."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale", description="What the gateway costs as things grow in number."
    )
    parser.add_argument("--part", action="append", choices=PARTS, help="repeatable (default: all)")
    parser.add_argument("--quick", action="store_true", help="small numbers: to see that it runs, not what it costs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every point to FILE")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="also draw each part as FOLDER/scale-PART.svg")
    given = parser.parse_args(arguments)
    wanted = given.part or PARTS
    parts = tuple(part for part in PARTS if part in wanted)
    return Options(parts, QUICK if given.quick else WHOLE, given.json, given.images)
