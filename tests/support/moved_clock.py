"""A gateway whose control plane has a clock that a test moves: `python -m tests.support.moved_clock FILE WORDS…`.

FILE holds by how many seconds it is ahead; WORDS are those of nqgate. Nobody waits half an hour for a session to end.
"""

import sys
import time
from pathlib import Path

AS_CONTROL_PLANE = "as-control-plane"

if __name__ == "__main__":
    told = sys.argv.pop(1)
    if sys.argv[1] == AS_CONTROL_PLANE:
        del sys.argv[1]
        of_the_machine = time.time
        time.time = lambda: of_the_machine() + float(Path(told).read_text())
        from gateway import control_plane  # its parts take the clock when they are loaded

        control_plane.main()
    else:
        from gateway.cli import main as command
        from gateway.workers import control

        control.COMMAND[:] = [sys.executable, "-m", "tests.support.moved_clock", told, AS_CONTROL_PLANE]
        command.main()
