from bench.scale.flat import Stage, flat_drawing

MIB = 1 << 20


def test_growth_is_told_of_the_second_half() -> None:
    """What the first requests fill is not what every request adds."""
    grown = [Stage(number * 50_000, (60 + min(number, 2)) * MIB, 70 * MIB) for number in range(10)]
    leaking = [Stage(number * 50_000, 60 * MIB + number * 50_000, 70 * MIB) for number in range(10)]
    flat, leak = (flat_drawing({1: stages}).rows[0].figure for stages in (grown, leaking))
    assert flat.startswith("60.0 → 62.0 MiB")
    assert flat.endswith("second half +0 KiB a million")
    assert leak.endswith("second half +977 KiB a million")


def test_a_line_for_each_number_of_keys() -> None:
    stages = [Stage(number, MIB, MIB) for number in range(4)]
    assert [one.name for one in flat_drawing({1: stages, 10_000: stages}).series] == ["1 key", "10,000 keys"]
