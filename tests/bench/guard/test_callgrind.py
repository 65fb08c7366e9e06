import pytest

from bench.errors import BenchError
from bench.guard.callgrind import between_marks, read_dump

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
