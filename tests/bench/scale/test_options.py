from pathlib import Path

import pytest

from bench.scale.options import PARTS, QUICK, WHOLE, parse_options


def test_everything_is_measured_as_far_as_was_promised() -> None:
    options = parse_options([])
    assert options.parts == PARTS
    assert options.sizes == WHOLE
    assert (max(WHOLE.connections), max(WHOLE.readers), WHOLE.keys, max(WHOLE.in_use), WHOLE.requests) == (
        10_000,
        1_000,
        1_000_000,
        100_000,
        1_000_000,
    )


def test_parts_run_in_their_order_whatever_is_asked_first() -> None:
    options = parse_options(["--part", "keys", "--part", "idle", "--quick", "--json", "x.json"])
    assert options.parts == ("idle", "keys")
    assert options.sizes == QUICK
    assert options.json_file == Path("x.json")


def test_an_unknown_part_is_misuse() -> None:
    with pytest.raises(SystemExit):
        parse_options(["--part", "everything"])
