"""The names of a head's fields, and what follows from the names alone.

A client sends the same few sequences of names all day. Each sequence is looked at once; with the next head that has it,
every stage finds what it concluded before (`memo`) and only looks at the values. Nothing here knows a value.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final

# Bounds of the memory that strangers can make us keep: 512 × (2 KiB + 8 conclusions of about that size) is some 10 MiB.
MAX_SEQUENCES: Final = 512  # then all are forgotten; looking at one again costs some 20 µs
MAX_KEPT_NAMES: Final = 64  # a longer head is looked at anew each time
MAX_KEPT_OCTETS: Final = 2048
MAX_CONCLUSIONS: Final = 8  # per sequence: operations and sets of signed names that come with it

# Names that say how the message is framed or what becomes of the connection; most requests of S3 have none of them.
_FRAMING: Final = frozenset(b"connection content-length expect transfer-encoding upgrade".split())
_NONE: Final[frozenset[bytes]] = frozenset()


class HeaderNames:
    """`lowered`: lower-case names in order of arrival. `repeated`: those that came more than once. `framing`: whether
    one of them is about the message's framing or the connection. `underscored`: whether one has a `_`.

    `memo`: what stages concluded from these names, each under what it had asked; written by `remember` only.
    """

    __slots__ = ("framing", "lowered", "memo", "repeated", "underscored")

    def __init__(self, lowered: tuple[bytes, ...], repeated: frozenset[bytes] = _NONE) -> None:
        self.lowered = lowered
        self.repeated = repeated
        self.framing = not _FRAMING.isdisjoint(lowered)
        self.underscored = any(b"_" in name for name in lowered)
        self.memo: dict[object, Any] = {}

    def remember(self, asked: object, conclusion: object) -> None:
        if len(self.memo) >= MAX_CONCLUSIONS:
            self.memo.clear()
        self.memo[asked] = conclusion


_known: dict[tuple[bytes, ...], HeaderNames] = {}


def header_names(sent: tuple[bytes, ...]) -> HeaderNames:
    """The names as they stand on the wire, in order → the one HeaderNames of this sequence. 0.3 µs for a known one."""
    names = _known.get(sent)
    if names is None:
        lowered = tuple([name.lower() for name in sent])
        repeated = _NONE if len(set(lowered)) == len(lowered) else frozenset(n for n in lowered if lowered.count(n) > 1)
        names = HeaderNames(lowered, repeated)
        if len(sent) <= MAX_KEPT_NAMES and sum(map(len, sent)) <= MAX_KEPT_OCTETS:
            if len(_known) >= MAX_SEQUENCES:
                _known.clear()
            _known[sent] = names
    return names


def picker(places: Sequence[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """What takes the items at `places` (keys or indices) out of a mapping or sequence, in this order."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda items: tuple([items[place] for place in places])


def literal(text: bytes) -> bytes:
    """`text` as a part of a format: a header name may hold `%`."""
    return text.replace(b"%", b"%%")
