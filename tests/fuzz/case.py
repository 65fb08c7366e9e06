"""What every target shares: how a fuzz input is laid out, in which blocks bytes arrive, what has been reached."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import NamedTuple

HEAD = 6

# How often each good end was reached. A target whose good ends are never reached proves nothing.
reached: Counter[str] = Counter()


class Target(NamedTuple):
    """`run` raises only if an invariant breaks. `seeds`: good examples of each kind. `words`: what to insert, as a
    dictionary for those who mutate. `ends`: what `reached` counts once all seeds have run."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]
    ends: frozenset[str]


class Case(NamedTuple):
    """A fuzz input: six octets of settings in front, where mutations of what follows do not move them."""

    flags: int
    number: int
    steps: bytes
    material: bytes

    def has(self, flag: int) -> bool:
        return bool(self.flags & flag)

    def splits(self, body: bytes) -> Iterator[list[bytes]]:
        """The same bytes whole, in the steps of this case and, if they are few, one by one."""
        yield [body]
        yield list(blocks(body, self.steps))
        if 0 < len(body) <= 128:
            yield [body[at : at + 1] for at in range(len(body))]


def case_of(octets: bytes) -> Case:
    head = octets[:HEAD].ljust(HEAD, b"\0")
    return Case(head[0], int.from_bytes(head[1:3], "big"), head[3:HEAD], octets[HEAD:])


def seed(material: bytes, flags: int = 0, number: int = 0, steps: bytes = b"\3\0\x1d") -> bytes:
    return bytes([flags]) + number.to_bytes(2, "big") + steps + material


def blocks(body: bytes, steps: bytes) -> Iterator[bytes]:
    """`body` in blocks of these sizes, over and over; empty blocks come too."""
    if not any(steps):
        yield body
        return
    at = 0
    for step in cycle(steps):
        yield body[at : at + step]
        at += step
        if at >= len(body):
            return
