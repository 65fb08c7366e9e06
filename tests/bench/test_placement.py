import pytest

from bench.placement import Placement, pinned, place


@pytest.mark.parametrize("cpus", [[], [0]])
def test_one_core_is_left_to_the_scheduler(cpus: list[int]) -> None:
    assert place(cpus) == Placement((), (), ())


@pytest.mark.parametrize(
    ("cpus", "placement"),
    [
        ([0, 1], Placement(contender=(1,), upstream=(0,), generator=(0,))),
        ([4, 2, 9], Placement(contender=(9,), upstream=(4,), generator=(2,))),
        ([0, 1, 2, 3], Placement(contender=(3,), upstream=(2,), generator=(0, 1))),
        (list(range(16)), Placement(contender=(15,), upstream=(14,), generator=(12, 13))),
    ],
)
def test_the_contender_has_a_core_to_itself(cpus: list[int], placement: Placement) -> None:
    assert place(cpus) == placement
    assert not set(placement.contender) & {*placement.upstream, *placement.generator}


def test_pinning_goes_before_the_command_and_only_where_there_are_cores() -> None:
    assert pinned(["wrk", "-t1"], (0, 1)) == ["taskset", "--cpu-list", "0,1", "wrk", "-t1"]
    assert pinned(["wrk", "-t1"], ()) == ["wrk", "-t1"]
