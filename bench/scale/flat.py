"""Whether memory stays flat while one worker answers request after request."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.objects import object_keys
from bench.scale.heads import get_heads
from bench.scale.load import load
from bench.scale.memory import KIB, MIB, memory
from bench.scale.seed import Seeded
from bench.scale.series import Drawing, Row, Series, slope
from bench.scale.site import Site

STRETCH: Final = 50_000  # requests between two looks, about
FEWEST: Final = 4  # looks
SIGNED_SECONDS: Final = 300  # signatures are good for 900
MAX_SECONDS: Final = 60  # of one stretch


class Stage(NamedTuple):
    """RSS in bytes of the worker, and of the supervisor, after so many requests."""

    requests: int
    worker: int
    supervisor: int


def flat_drawing(stages: dict[int, list[Stage]]) -> Drawing:
    """`stages`: by how many keys were in use."""
    series = tuple(
        Series(_named(keys), tuple((one.requests, one.worker / MIB) for one in found)) for keys, found in stages.items()
    )
    rows = []
    for keys, found in stages.items():
        half = found[len(found) // 2 :]
        per_million = slope((one.requests, one.worker) for one in half) * 1e6 / KIB
        figure = f"{found[0].worker / MIB:.1f} → {found[-1].worker / MIB:.1f} MiB"
        what = f"RSS over {found[-1].requests:,} requests, {_named(keys)} in use"
        rows.append(Row(what, f"{figure}; second half {per_million:+.0f} KiB a million", "flat"))
    return Drawing("flat", "Memory over requests", "requests", "RSS of the worker, MiB", series, tuple(rows))


def _named(keys: int) -> str:
    return "1 key" if keys == 1 else f"{keys:,} keys"


def run_flat(site: Site, seeded: Seeded, folder: Path, requests: int, progress: Callable[[str], None]) -> list[Stage]:
    """With all keys of `seeded` in turn. The first look is after every key was used once, and a second of load more."""
    heads, signed_at = _heads(site, seeded), time.monotonic()
    used, pace = 0, 0
    while used < seeded.total or not pace:
        pace = load(site, folder, heads[used % len(heads) :], 1).requests
        used += pace
    seconds = max(1, min(MAX_SECONDS, round(min(STRETCH, requests / FEWEST) / pace)))
    stages = [_look(site, 0)]
    while stages[-1].requests < requests or len(stages) < FEWEST:
        progress(f"{stages[-1].requests:,} of {requests:,} requests, {seeded.total:,} keys")
        if time.monotonic() - signed_at > SIGNED_SECONDS:
            heads, signed_at = _heads(site, seeded), time.monotonic()
        done = load(site, folder, heads, seconds)
        stages.append(_look(site, stages[-1].requests + done.requests))
    return stages


def _heads(site: Site, seeded: Seeded) -> Sequence[bytes]:
    names = object_keys(KIB)
    numbers = range(max(seeded.total, len(names)))
    return get_heads(site.origin, (seeded.credential(number % seeded.total) for number in numbers), names)


def _look(site: Site, requests: int) -> Stage:
    return Stage(requests, memory(site.worker).rss, memory(site.supervisor).rss)
