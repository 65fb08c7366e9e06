from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.guard import __main__ as guard
from bench.guard.bounds import Counted, read_bounds, render_bounds

KNOWN = Counted({"get-1k": 1.0}, {"get-1k": 2.0})


@pytest.fixture
def bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "bounds.json"
    file.write_text(render_bounds(KNOWN))
    monkeypatch.setattr(guard, "FILE", file)
    return file


def _counting(monkeypatch: pytest.MonkeyPatch, ratio: float) -> None:
    monkeypatch.setattr(guard, "count_all", lambda: KNOWN._replace(ratios={"get-1k": ratio}))


@pytest.mark.parametrize(("ratio", "code"), [(0.5, 0), (1.0, 0), (1.05, 0), (1.2, 1)])
def test_only_what_became_dearer_fails(bounds: Path, monkeypatch: pytest.MonkeyPatch, ratio: float, code: int) -> None:
    _counting(monkeypatch, ratio)
    assert guard.main([]) == code
    assert read_bounds(bounds.read_text()) == KNOWN


def test_what_is_counted_now_can_be_written_down(bounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _counting(monkeypatch, 1.2)
    assert guard.main(["--write"]) == 0
    assert read_bounds(bounds.read_text()).ratios == {"get-1k": 1.2}


def test_what_cannot_be_counted_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> Counted:
        raise BenchError("valgrind is not installed")

    monkeypatch.setattr(guard, "count_all", failing)
    assert guard.main([]) == 1
    assert "valgrind is not installed" in capsys.readouterr().err


def test_without_the_compiled_gateway_nothing_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guard, "NATIVE", tmp_path / "native")
    with pytest.raises(BenchError, match="make native"):
        guard.count_all()
