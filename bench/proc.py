"""Processor time of a family of processes, from /proc (proc(5))."""

import os
from pathlib import Path
from typing import Final, NamedTuple

from bench.errors import BenchError

PROC: Final = Path("/proc")


class Stat(NamedTuple):
    """Of /proc/PID/stat: fields 1, 4 and the sum of 14 (user) and 15 (system), in clock ticks, of all its threads."""

    pid: int
    parent: int
    ticks: int


class CpuTime(NamedTuple):
    """What a family used since its processes began, in seconds; `pids` says who was counted."""

    pids: frozenset[int]
    seconds: float

    def since(self, before: "CpuTime") -> float:
        """Seconds used between the two. Raises BenchError if a process came or went: its time would be missing."""
        if self.pids != before.pids:
            raise BenchError(f"processes came or went during the run: {sorted(self.pids ^ before.pids)}")
        return self.seconds - before.seconds


def read_stat(text: str) -> Stat:
    """The command name, field 2, stands in parentheses and may hold spaces and parentheses itself."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return Stat(pid=int(head.split(" ", 1)[0]), parent=int(fields[1]), ticks=int(fields[11]) + int(fields[12]))


def family(root: int, stats: list[Stat]) -> list[Stat]:
    """The process `root` and all its descendants."""
    members = {root}
    grown = True
    while grown:
        found = {stat.pid for stat in stats if stat.parent in members} - members
        members |= found
        grown = bool(found)
    return [stat for stat in stats if stat.pid in members]


def cpu_time(root: int) -> CpuTime:
    """Raises BenchError if the process is gone."""
    members = family(root, _all_stats())
    if root not in {stat.pid for stat in members}:
        raise BenchError(f"process {root} is gone")
    ticks = sum(stat.ticks for stat in members)
    return CpuTime(frozenset(stat.pid for stat in members), ticks / os.sysconf("SC_CLK_TCK"))


def _all_stats() -> list[Stat]:
    stats = []
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                stats.append(read_stat((folder / "stat").read_text(errors="replace")))
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended while we read
    return stats
