import os

import pytest

from bench.errors import BenchError
from bench.proc import CpuTime, Stat, cpu_time, family, read_stat

TAIL = "S 41 42 42 0 -1 4194560 1200 0 3 0 {user} {system} 700 800 20 0 1 0 9000 50000000 2000 184467440 1 1 0"


def stat_line(pid: int, name: str, user: int, system: int) -> str:
    return f"{pid} ({name}) {TAIL.format(user=user, system=system)}\n"


def test_ticks_are_user_plus_system_without_those_of_ended_children() -> None:
    assert read_stat(stat_line(42, "nginx", 250, 90)) == Stat(pid=42, parent=41, ticks=340)


@pytest.mark.parametrize("name", ["nginx: worker", "a) S 7 (b", "((", "1 2 3", ") R 1"])
def test_a_process_name_cannot_shift_the_fields(name: str) -> None:
    assert read_stat(stat_line(42, name, 1, 2)) == Stat(42, 41, 3)


def test_family_is_the_process_and_all_its_descendants_in_any_order() -> None:
    stats = [Stat(13, 12, 8), Stat(1, 0, 1), Stat(12, 10, 4), Stat(10, 1, 2), Stat(20, 1, 100)]
    assert {stat.pid for stat in family(10, stats)} == {10, 12, 13}


def test_family_of_a_process_that_is_gone_is_empty() -> None:
    assert family(99, [Stat(1, 0, 1)]) == []


def test_time_used_is_the_difference() -> None:
    pids = frozenset({10, 12})
    assert CpuTime(pids, 3.5).since(CpuTime(pids, 1.25)) == 2.25


@pytest.mark.parametrize("after", [{10}, {10, 12, 13}, {10, 13}])
def test_a_process_that_came_or_went_spoils_the_run(after: set[int]) -> None:
    with pytest.raises(BenchError, match=r"1[23]"):
        CpuTime(frozenset(after), 2.0).since(CpuTime(frozenset({10, 12}), 1.0))


def test_time_of_this_process_is_read() -> None:
    used = cpu_time(os.getpid())
    assert os.getpid() in used.pids
    assert used.seconds > 0


def test_a_process_that_is_gone_is_an_error() -> None:
    with pytest.raises(BenchError, match="gone"):
        cpu_time(1 << 30)
