import pytest

from bench.errors import BenchError, exit_code


def test_what_was_measured_ends_with_0() -> None:
    assert exit_code(lambda: None) == 0


def test_what_could_not_be_measured_says_why_and_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise BenchError("nginx is not installed")

    assert exit_code(fails) == 1
    assert capsys.readouterr().err == "bench: nginx is not installed\n"


def test_who_is_interrupted_ends_as_a_shell_expects() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert exit_code(interrupted) == 130
