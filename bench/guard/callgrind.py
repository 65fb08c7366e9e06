"""valgrind's callgrind: run a program under it, read how many instructions lay between its marks.

It counts what one thread of control executes, so that neighbours, frequency and caches do not matter; two runs of the
same code differ by less than one part in a hundred.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.errors import BenchError

MARK: Final = "getpgid"  # of libc; counts are written down before it is entered
SECONDS: Final = 300
_TRIGGER: Final = re.compile(r"^desc: Trigger: (.*)$", re.MULTILINE)
_TOTALS: Final = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def read_dump(text: str) -> tuple[str, int]:
    """Why it was written, and the instructions since the dump before. BenchError for what is none."""
    trigger, totals = _TRIGGER.search(text), _TOTALS.search(text)
    if trigger is None or totals is None:
        raise BenchError("callgrind wrote something else than its counts")
    return trigger[1], int(totals[1])


def between_marks(dumps: Sequence[tuple[str, int]]) -> list[int]:
    """Of each pair of marks. `dumps`: in the order they were written, the last of them at the end of the program."""
    counts = [count for trigger, count in dumps if trigger.endswith(f"={MARK}")]
    if not counts or len(counts) % 2:
        raise BenchError(f"callgrind noted {len(counts)} marks, which make no pairs")
    return counts[1::2]


def count(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[list[int], str]:
    """Instructions between the marks of `python ARGUMENTS`, and what it printed. Raises BenchError if it fails."""
    out = folder / "callgrind.out"
    options = ["-q", "--tool=callgrind", f"--callgrind-out-file={out}", f"--dump-before={MARK}"]
    command = ["valgrind", *options, sys.executable, *arguments]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONHASHSEED": "0", **environment},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    except FileNotFoundError as error:
        raise BenchError("valgrind is not installed (Debian: apt-get install valgrind)") from error
    except subprocess.CalledProcessError as error:
        raise BenchError(f"what was to be counted failed: {error.stderr.strip()[-2000:]}") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"what was to be counted did not end within {SECONDS} s") from error
    numbered = sorted(folder.glob("callgrind.out.*"), key=lambda file: int(file.suffix[1:]))
    return between_marks([read_dump(file.read_text(errors="replace")) for file in numbered]), done.stdout
