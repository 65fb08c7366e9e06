import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Run = Callable[..., Result]
COMMAND = str(Path(sys.executable).parent / "nqgate")


def test_a_configuration_with_errors_names_them_all_and_is_exit_1(run: Run, folder: Path) -> None:
    (folder / "gateway.toml").write_text("[s3]\nnonsense = 1\n")
    result = run("serve")
    assert result.exit_code == 1
    assert "s3.nonsense" in result.stderr
    assert "upstream" in result.stderr


def test_the_configuration_can_be_named_before_or_after_serve(run: Run, folder: Path) -> None:
    (folder / "gateway.toml").rename(folder / "other.toml")
    (folder / "other.toml").write_text("broken")
    assert "other.toml" in run("--config", "other.toml", "serve").stderr
    assert "other.toml" in run("serve", "--config", "other.toml").stderr


def test_a_busy_address_is_one_sentence(folder: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        done = subprocess.run(
            [COMMAND, "serve"],
            cwd=folder,
            env={"NQGATE_S3__LISTEN": f"127.0.0.1:{port}", "NQGATE_CONSOLE__LISTEN": "127.0.0.1:0"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(port) in done.stderr
