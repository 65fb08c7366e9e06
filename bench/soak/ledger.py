"""What the store must hold: written down as it is confirmed, and held against the store at the end. Knows no HTTP.

Each object key has one writer, who says before an act what it is about to do, and after it what was answered. Between
the two, and after an answer that never came, either is right; half of one never is.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MAX_TOLD: Final = 50  # faults that are kept word for word


class Version(NamedTuple):
    """Of an object: bytes, and their SHA-256. ABSENT: there is none."""

    size: int
    sha256: str


ABSENT: Final = Version(-1, "")


@dataclass(slots=True)
class Ledger:
    """`answers`: how many of each kind. `faults`: what may not be, in words, the first of them."""

    answers: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    fault_count: int = 0
    _right: dict[str, frozenset[Version]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: str) -> None:
        with self._lock:
            self.answers[kind] = self.answers.get(kind, 0) + 1

    @property
    def total(self) -> int:
        with self._lock:
            return sum(self.answers.values())

    def fault(self, words: str) -> None:
        with self._lock:
            self.fault_count += 1
            if len(self.faults) < MAX_TOLD:
                self.faults.append(words)

    # ---- objects ----

    def begin(self, object_key: str, wanted: Version) -> None:
        """From here on it may be as it was, or as it is wanted."""
        with self._lock:
            self._right[object_key] = self._right.get(object_key, frozenset({ABSENT})) | {wanted}

    def confirmed(self, object_key: str, version: Version) -> None:
        with self._lock:
            self._right[object_key] = frozenset({version})

    def right(self, object_key: str) -> frozenset[Version]:
        with self._lock:
            return self._right.get(object_key, frozenset({ABSENT}))

    def certain(self, object_key: str) -> Version | None:
        """None while more than one is right."""
        right = self.right(object_key)
        return next(iter(right)) if len(right) == 1 else None

    def hold_against(self, found: Mapping[str, Version]) -> int:
        """`found`: all there is in the store. A fault for each object that is not right; how many were compared."""
        with self._lock:
            known = dict(self._right)
        for object_key in sorted(known.keys() | found.keys()):
            is_there = found.get(object_key, ABSENT)
            right = known.get(object_key, frozenset({ABSENT}))
            if is_there not in right:
                self.fault(f"the store holds {object_key} as {_shown(is_there)}, not as {_all_shown(right)}")
        return len(known.keys() | found.keys())


def _shown(version: Version) -> str:
    return "nothing" if version == ABSENT else f"{version.size} bytes, {version.sha256[:8]}…"


def _all_shown(versions: frozenset[Version]) -> str:
    return " or ".join(sorted(_shown(version) for version in versions))
