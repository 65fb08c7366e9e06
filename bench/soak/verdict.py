"""Whether a gateway held: what each quantity was, what it may be, and so the exit code. Pure.

Memory is judged on processes that lived all the time, once the first third has warmed them up: the median of the last
third beside that of the second. Descriptors, threads and what waits are judged when the load is over, beside what they
were before it began, or at its height.
"""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Final, NamedTuple

from bench.soak.watch import CONTROL, SUPERVISOR, WORKER, Held, Sample

MIB: Final = 1 << 20
GROWTH: Final = 12 * MIB  # of a process between two thirds of a run: allocators keep what a burst took
DESCRIPTORS: Final = 3  # more than before, at rest: a connection that was opened a moment ago
THREADS: Final = 2
PER_ACT: Final = 16_384  # bytes of keystore for each act: the record, its change, the audit, a page of each
KEYSTORE: Final = 8 * MIB  # beside that: write-ahead log
BESIDE: Final = 96 * MIB  # `MAX_KEPT` of keystore/refused.py (80 MB at worst) and of keystore/uploads.py, both pruned


class Row(NamedTuple):
    """`held`: whether it is as it may be."""

    name: str
    was: str
    may_be: str
    held: bool


def eldest(samples: Sequence[Sample], role: str) -> list[Held]:
    """Of the process of that role which was there all the time; [] if none was."""
    lived = set.intersection(*({one.pid for one in sample.of(role)} for sample in samples))
    if not lived:
        return []
    pid = min(lived)
    return [one for sample in samples for one in sample.of(role) if one.pid == pid]


def judged(samples: Sequence[Sample], rest: Sample, acts: int) -> list[Row]:
    """`samples`: under load, the first before it. `rest`: after it. `acts`: changes to the keystore."""
    rows = []
    for role in (SUPERVISOR, CONTROL, WORKER):
        own = eldest([*samples, rest], role)
        if not own:
            rows.append(Row(f"{role}: lived all the time", "no", "yes", False))
            continue
        rows += _memory(role, own[:-1])
        rows += _counts(role, own)
    rows.append(_sum("spool files at rest", [rest], lambda one: one.spool, 0))
    most = max(sum(one.store_connections for one in sample.held) for sample in samples)
    rows.append(Row("connections to the store at most", str(most), "512", most <= 512))
    rows.append(_sum("connections to the store at rest", [rest], lambda one: one.store_connections, 4))
    grown = rest.keystore - samples[0].keystore
    room = KEYSTORE + PER_ACT * acts
    rows.append(Row(f"keystore, {acts} acts", f"+{grown / MIB:.1f} MiB", f"+{room / MIB:.1f} MiB", grown <= room))
    beside = rest.beside - samples[0].beside
    rows.append(Row("files beside it", f"+{beside / MIB:.1f} MiB", f"+{BESIDE / MIB:.1f} MiB", beside <= BESIDE))
    return rows


def _memory(role: str, own: Sequence[Held]) -> list[Row]:
    third = len(own) // 3
    rows = []
    for name, read in (("RSS", lambda one: one.rss), ("PSS", lambda one: one.pss)):
        sizes = [read(one) for one in own]
        if third < 2:
            continue
        before, after = median(sizes[third : 2 * third]), median(sizes[2 * third :])
        told = f"{before / MIB:.1f} → {after / MIB:.1f} MiB"
        rows.append(Row(f"{role}: {name}", told, f"+{GROWTH / MIB:.0f} MiB", after - before <= GROWTH))
    return rows


def _counts(role: str, own: Sequence[Held]) -> list[Row]:
    first, last = own[0], own[-1]
    height = max(one.threads for one in own[: max(1, len(own) // 3)])
    return [
        Row(
            f"{role}: descriptors before, at most, at rest",
            f"{first.descriptors}, {max(one.descriptors for one in own)}, {last.descriptors}",
            f"{first.descriptors + DESCRIPTORS} at rest",
            last.descriptors <= first.descriptors + DESCRIPTORS,
        ),
        Row(
            f"{role}: threads before, warm, at rest",
            f"{first.threads}, {height}, {last.threads}",
            f"{height + THREADS}",
            last.threads <= height + THREADS,
        ),
    ]


def _sum(name: str, samples: Sequence[Sample], read: Callable[[Held], int], bound: int) -> Row:
    most = max(sum(read(one) for one in sample.held) for sample in samples)
    return Row(name, str(most), str(bound), most <= bound)


def as_table(rows: Sequence[Row]) -> str:
    lines = ["| | was | may be | |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {row.name} | {row.was} | {row.may_be} | {_mark(row.held)} |" for row in rows)])


def _mark(held: bool) -> str:
    return "held" if held else "**did not hold**"
