"""A gateway of which every process has a wall clock that a test moves: `python -m tests.support.stepped_clock FILE
WORDS…`. FILE holds by how many seconds it is ahead; monotonic clocks stay as they are. WORDS are those of nqgate.
"""

import sys
import time
from pathlib import Path
from typing import Final

AS: Final = "as:"  # before the name of a module whose process this is


def _move(file: Path) -> None:
    of_the_machine = time.time
    read = [0.0, 0.0]  # when FILE was changed last, and what it held

    def moved() -> float:
        changed = file.stat().st_mtime_ns
        if changed != read[0]:
            read[:] = changed, float(file.read_text() or 0)
        return of_the_machine() + read[1]

    time.time = moved


if __name__ == "__main__":
    told = sys.argv.pop(1)
    _move(Path(told))
    if sys.argv[1].startswith(AS):
        module = sys.argv.pop(1).removeprefix(AS)
        if module == "worker":
            from gateway.workers import worker  # its parts take the clock when they are loaded

            worker.main()
        else:
            from gateway import control_plane

            control_plane.main()
    else:
        from gateway.cli import main as command
        from gateway.workers import control, hand

        for owner, module in ((hand, "worker"), (control, "control")):
            owner.COMMAND[:] = [sys.executable, "-m", "tests.support.stepped_clock", told, AS + module]
        command.main()
