from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.guard.callgrind import between_marks, count, read_dump

DUMP = """\
version: 1
creator: callgrind-3.19.0
pid: 1
part: 3
desc: Timerange: Basic block 0 - 9
desc: Trigger: --dump-before=getpgid
events: Ir
summary: 40574034
"""


def test_a_dump_says_why_it_was_written_and_how_many_instructions_it_holds() -> None:
    assert read_dump(DUMP) == ("--dump-before=getpgid", 40574034)


def test_what_is_no_dump_is_refused() -> None:
    with pytest.raises(BenchError):
        read_dump("version: 1\n")


def test_only_what_lies_between_two_marks_counts() -> None:
    """Start, work, warm-up, work, end."""
    marks = [("--dump-before=getpgid", count) for count in (1_000, 5, 700, 6)]
    assert between_marks([*marks, ("Program termination", 900)]) == [5, 6]


@pytest.mark.parametrize("marks", [0, 1, 3])
def test_marks_that_make_no_pairs_are_no_count(marks: int) -> None:
    with pytest.raises(BenchError, match="no pairs"):
        between_marks([("--dump-before=getpgid", 1)] * marks)


@pytest.mark.server
def test_twice_the_work_is_twice_the_instructions(tmp_path: Path) -> None:
    """A real run, of a Python that imports nothing."""
    program = "import os; [(os.getpgid(0), sum(range(n)), os.getpgid(0)) for n in (50_000, 100_000)]; print('done')"
    (once, twice), said = count(["-I", "-S", "-c", program], tmp_path, {})
    assert twice / once == pytest.approx(2.0, rel=0.02)
    assert said == "done\n"


@pytest.mark.server
def test_a_program_that_fails_is_no_count(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="nothing to count"):
        count(["-I", "-S", "-c", "raise SystemExit('nothing to count')"], tmp_path, {})
