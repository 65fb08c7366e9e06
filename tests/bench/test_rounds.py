from bench.contender import Contender
from bench.rounds import turns


def test_contenders_take_turns_and_every_second_round_goes_backwards() -> None:
    one, two = Contender("nginx", 1, 1, ""), Contender("gateway", 2, 2, "")
    assert list(turns([one, two], 3)) == [(0, one), (0, two), (1, two), (1, one), (2, one), (2, two)]
