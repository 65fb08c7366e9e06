from bench.scale.load import Spent
from bench.scale.use import Held, Use, use_drawing

MIB = 1 << 20
USE = Use(
    1_000_000,
    [Held(0, 60 * MIB, 70 * MIB, 80 * MIB), Held(9_000, 100 * MIB, 75 * MIB, 80 * MIB)],
    Spent(9_000, 500.0, 9_000),
    {1: Spent(10_000, 100.0, 5_000), 1_000: Spent(10_000, 110.0, 5_000)},
)


def test_the_first_request_of_a_key_is_told_apart_from_later_ones() -> None:
    figures = {row.what: row.figure for row in use_drawing(USE).rows}
    assert figures["CPU of a key's first request / one of a key in use"] == "5.00"
    assert figures["CPU of a later request, 1,000 keys in turn / one key"] == "1.10"


def test_each_kind_of_process_has_a_line_and_a_row() -> None:
    drawing = use_drawing(USE)
    assert [one.name for one in drawing.series] == ["worker", "supervisor", "control plane"]
    assert drawing.rows[0].figure == "60, 100 MiB"
