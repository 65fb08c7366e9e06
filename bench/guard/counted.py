"""What runs under valgrind: each act some times to warm up, then between two marks.

A mark is a call of getpgid(2), which nothing else here makes: callgrind is told to write its counts down before it.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import uvloop

from bench.core import opened_engine
from bench.guard.reference import work
from bench.guard.stage import Act, Stage

WARM_UP: Final = 4
REFERENCES: Final = 50


def mark() -> None:
    os.getpgid(0)


def write_acts(file: Path, acts: Iterable[Act]) -> None:
    file.write_text(json.dumps([_as_text(act) for act in acts]))


def read_acts(file: Path) -> list[Act]:
    """As `write_acts` left them, in their order."""
    return [_from_text(fields) for fields in json.loads(file.read_text())]


def _as_text(act: Act) -> dict[str, Any]:
    """Octets as characters."""
    octets = {name: getattr(act, name).decode("latin-1") for name in ("body", "reply")}
    return act._asdict() | octets | {"requests": [one.decode("latin-1") for one in act.requests]}


def _from_text(fields: dict[str, Any]) -> Act:
    octets = {name: fields[name].encode("latin-1") for name in ("body", "reply")}
    return Act(**{**fields, **octets, "requests": [one.encode("latin-1") for one in fields["requests"]]})


async def _count(configuration: Path, acts: Sequence[Act]) -> dict[str, float]:
    """→ writes to sockets for each request, by act."""
    writes: dict[str, float] = {}
    with opened_engine(configuration) as engine:
        stage = Stage(engine)
        work(WARM_UP)
        mark()
        work(REFERENCES)
        mark()
        for act in acts:
            await stage.play(act, WARM_UP)
            stage.writes = 0
            mark()
            await stage.play(act, act.times)
            mark()
            writes[act.name] = stage.writes / act.times
    return writes


def main() -> None:
    configuration, file = map(Path, sys.argv[1:3])
    print(json.dumps(uvloop.run(_count(configuration, read_acts(file)))))


if __name__ == "__main__":
    main()
