"""What a power cut leaves of files, told from the system calls that strace saw: a disk that keeps what was synced.

A write is sure to last from the next fdatasync of its file on, a file that was made or deleted from the next one of its
folder on. Of what is not sure, any part may last: nothing, all, or every write for itself, also torn within. What is
written through a mapping is not seen; SQLite does so with -shm only, which no recovery reads.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

Kept = Callable[[int], int]

SECTOR: Final = 512
TRACED: Final = "pwrite64,fdatasync,fsync,ftruncate,unlink,write"
STRACE: Final = ("strace", "-f", "-y", "-xx", "-s", "100000", "-e", f"trace={TRACED}")

_CALL: Final = re.compile(r"\d+ +(\w+)\((.*)\) += (-?\d+)")
_ARGUMENT: Final = re.compile(r'\d+<([\\x0-9a-f]*)>|"([\\x0-9a-f]*)"|(\d+)')


class Call(NamedTuple):
    """`path`: of the file. `octets`: written. `at`: where to, or the new length."""

    name: str
    path: str
    octets: bytes = b""
    at: int = 0


def read_trace(text: str) -> list[Call]:
    """Of STRACE. Refuses a trace in which calls overlap: their order would be a guess."""
    assert "<unfinished" not in text, "two threads wrote at once"
    calls: list[Call] = []
    for line in text.splitlines():
        found = _CALL.match(line)
        if found is None or found[3].startswith("-"):
            continue
        paths, texts, numbers = zip(*_ARGUMENT.findall(found[2]), strict=True)
        octets = [_octets(one) for one in texts if one]
        path = next((_octets(one) for one in paths if one), None)
        if path is None:  # unlink names no descriptor
            path = octets.pop()
        at = [int(one) for one in numbers if one][-1:] or [0]
        calls.append(Call(found[1], path.decode(), b"".join(octets), at[0]))
    return calls


def _octets(hexadecimal: str) -> bytes:
    return bytes.fromhex(hexadecimal.replace(r"\x", ""))


@dataclass
class _File:
    """`sure`: what lasts. `there`: whether a file of this name does. `pending`: what is not sure yet, in order."""

    sure: bytearray = field(default_factory=bytearray)
    there: bool = False
    now_there: bool = True
    pending: list[Call] = field(default_factory=list)


def _apply(content: bytearray, call: Call, length: int) -> None:
    if call.name == "ftruncate":
        del content[call.at :]
        content.extend(bytes(call.at - len(content)))
        return
    content.extend(bytes(max(0, call.at + length - len(content))))
    content[call.at : call.at + length] = call.octets[:length]


class Disk:
    """Begins with the files in a folder, all of them sure. Other files and folders are no concern of it."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._files = {
            name: _File(bytearray((folder / name).read_bytes()), there=True)
            for name in names
            if (folder / name).exists()
        }
        self._names = names

    def take(self, call: Call) -> None:
        path = Path(call.path)
        if call.name in ("fdatasync", "fsync"):
            self._sync(path)
        elif path.parent == self._folder and path.name in self._names:
            file = self._files.setdefault(path.name, _File())
            if call.name == "unlink":
                file.now_there = False
                file.pending.clear()
            else:
                if not file.now_there:
                    file.now_there, file.sure = True, bytearray()
                file.pending.append(call)

    def _sync(self, path: Path) -> None:
        if path == self._folder:
            for file in self._files.values():
                file.there = file.now_there
        elif path.parent == self._folder and path.name in self._files:
            file = self._files[path.name]
            for call in file.pending:
                _apply(file.sure, call, len(call.octets))
            file.pending.clear()

    def images(self, seed: int, several: int) -> Iterator[dict[str, bytes]]:
        """What may be found when the power is back: with nothing that is not sure, with all, and `several` between."""
        yield self._image(lambda size: 0)
        yield self._image(lambda size: size)
        draw = random.Random(seed)
        for _ in range(several if any(file.pending for file in self._files.values()) else 0):
            yield self._image(lambda size: draw.choice((0, size, min(size, draw.randrange(0, size + 1, SECTOR)))))

    def _image(self, kept: Kept) -> dict[str, bytes]:
        """`kept`: of that many octets, how many last."""
        image: dict[str, bytes] = {}
        for name, file in self._files.items():
            if not (file.now_there if kept(1) else file.there):
                continue
            content = bytearray(file.sure)
            for call in file.pending:
                size = len(call.octets) or 1  # a new length lasts or does not
                if length := kept(size):
                    _apply(content, call, length)
            image[name] = bytes(content)
        return image
