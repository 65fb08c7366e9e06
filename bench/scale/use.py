"""Many keys in one keystore, and many of them in use: what the first request of a key costs, what later ones do, and
how much of the gateway's memory they take.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench.objects import object_keys
from bench.scale.heads import get_heads
from bench.scale.load import Spent, load
from bench.scale.memory import KIB, MIB, memory
from bench.scale.seed import Seeded
from bench.scale.series import Drawing, Row, Series
from bench.scale.site import Site

AT_ONCE: Final = 20_000  # keys that are signed with together: more than are asked for in a second
LATER_SECONDS: Final = 3


class Held(NamedTuple):
    """RSS in bytes of the three kinds of process after so many keys were used."""

    used: int
    worker: int
    supervisor: int
    control: int


class Use(NamedTuple):
    """`first`: requests each of a key that was not used before. `later`: by how many keys took turns."""

    kept: int
    growth: list[Held]
    first: Spent
    later: dict[int, Spent]


def use_drawing(use: Use) -> Drawing:
    roles = ("worker", "supervisor", "control")
    names = dict(zip(roles, ("worker", "supervisor", "control plane"), strict=True))
    series = tuple(
        Series(names[role], tuple((one.used, getattr(one, role) / MIB) for one in use.growth)) for role in roles
    )
    one = use.later[1].cpu_us
    rows = [
        Row(f"{names[role]}, {use.kept:,} keys kept: RSS before any is used, after {use.growth[-1].used:,} were",
            f"{getattr(use.growth[0], role) / MIB:.0f}, {getattr(use.growth[-1], role) / MIB:.0f} MiB", "bounded")
        for role in roles
    ]  # fmt: skip
    rows += [
        Row(f"CPU of a later request, {count:,} keys in turn / one key", f"{spent.cpu_us / one:.2f}")
        for count, spent in use.later.items()
        if count > 1
    ]
    rows.append(Row("CPU of a key's first request / one of a key in use", f"{use.first.cpu_us / one:.2f}"))
    return Drawing("keys", "Keys in use", "distinct keys used so far", "RSS, MiB", series, tuple(rows))


def run_use(site: Site, seeded: Seeded, folder: Path, counts: Sequence[int], progress: Callable[[str], None]) -> Use:
    """`counts`: how many keys take turns, growing from 1; the last is how many are used in all."""
    later: dict[int, Spent] = {}
    for count in counts[:-1]:
        progress(f"{count:,} keys in turn")
        later[count] = _later(site, seeded, folder, count)
    growth, first = _first(site, seeded, folder, counts[-1], progress)
    later[counts[-1]] = _later(site, seeded, folder, counts[-1], warm=False)
    return Use(seeded.total, growth, first, later)


def _later(site: Site, seeded: Seeded, folder: Path, count: int, *, warm: bool = True) -> Spent:
    """Once each of them was used. They are the last of the keystore: `_first` has the others."""
    heads = _heads(site, seeded, range(seeded.total - count, seeded.total))
    done = 0
    while warm and done < count:
        done += load(site, folder, heads[done:], 1).requests
    return load(site, folder, heads, LATER_SECONDS)


def _first(
    site: Site, seeded: Seeded, folder: Path, count: int, progress: Callable[[str], None]
) -> tuple[list[Held], Spent]:
    """Key after key, second by second. A second in which the keys ran out has later requests in it, and counts only
    where there is no other."""
    growth, runs, used = [_look(site, 0)], list[Spent](), 0
    while used < count:
        progress(f"{used:,} of {count:,} keys used")
        heads = _heads(site, seeded, range(used, min(used + AT_ONCE, count)))
        spent = load(site, folder, heads, 1)
        used += min(spent.requests, len(heads))
        if spent.requests <= len(heads) or (used >= count and not runs):
            runs.append(spent)
        growth.append(_look(site, used))
    requests = sum(run.requests for run in runs)
    cpu_us = sum(run.cpu_us * run.requests for run in runs) / requests
    return growth, Spent(requests, cpu_us, max(run.p99_us for run in runs))


def _heads(site: Site, seeded: Seeded, numbers: range) -> list[bytes]:
    return get_heads(site.origin, map(seeded.credential, numbers), object_keys(KIB))


def _look(site: Site, used: int) -> Held:
    return Held(used, *(memory(pid).rss for pid in (site.worker, site.supervisor, site.control)))
