import pytest

from bench.soak.options import parse_options


def test_an_hour_when_nothing_else_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOAK_MINUTES", raising=False)
    assert parse_options([]).seconds == 3600
    monkeypatch.setenv("SOAK_MINUTES", "2")
    assert parse_options([]).seconds == 120
    assert parse_options(["--minutes", "0.5"]).seconds == 30


def test_too_short_a_run_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(["--minutes", "0.1"])
    assert "a worker is killed" in capsys.readouterr().err
