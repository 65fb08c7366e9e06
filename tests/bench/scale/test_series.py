import pytest

from bench.scale.series import slope


def test_the_slope_is_what_each_one_adds() -> None:
    assert slope([(0, 5.0), (10, 25.0), (20, 45.0)]) == pytest.approx(2.0)


def test_one_point_has_no_slope() -> None:
    with pytest.raises(ValueError):
        slope([(0, 5.0)])
