"""Which cores each part of a run may use. Pure."""

from collections.abc import Sequence
from typing import NamedTuple


class Placement(NamedTuple):
    """CPU numbers per part; an empty tuple leaves the part to the scheduler."""

    contender: tuple[int, ...] = ()
    upstream: tuple[int, ...] = ()
    generator: tuple[int, ...] = ()


def place(cpus: Sequence[int]) -> Placement:
    """The contender has a core to itself, the highest: interrupts are served on the lowest by default.

    The load generator takes two where there are four and more, so that it never is what limits a run.
    """
    match sorted(cpus):
        case [shared, contender]:
            return Placement((contender,), (shared,), (shared,))
        case [generator, upstream, contender]:
            return Placement((contender,), (upstream,), (generator,))
        case [*others, upstream, contender] if others:
            return Placement((contender,), (upstream,), tuple(others[-2:]))
        case _:
            return Placement()


def pinned(command: Sequence[str], cpus: Sequence[int]) -> list[str]:
    """The command line that runs `command` on `cpus` only; taskset becomes it, so the process id is its own."""
    if not cpus:
        return list(command)
    return ["taskset", "--cpu-list", ",".join(map(str, cpus)), *command]
