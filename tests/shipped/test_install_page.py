"""docs/how-to/install.md: those of its commands that need neither a container runtime nor a booted systemd are run."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.server_process import LOOPBACK, free_port

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "install.md").read_text()
HERE = "sh not-run: tests/shipped/test_install_page.py runs it"
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("installed")]


def blocks(mark: str) -> list[str]:
    return re.findall(rf"^```{re.escape(mark)}\n(.*?)^```", PAGE, re.M | re.S)


def test_its_commands_install_a_gateway_that_its_unit_can_start(tmp_path: Path) -> None:
    """Typed from a checkout, as root would, below a folder in place of /."""
    here = tmp_path / "root"
    (here / "etc/systemd/system").mkdir(parents=True)
    typed = "".join(blocks(HERE))
    assert typed.count("\n") == 11
    for folder in ("/opt/nqgate", "/etc/"):
        typed = typed.replace(folder, f"{here}{folder}")
    environment = {**os.environ, "STORE_SECRET": "x" * 40}
    environment.pop("PYTHONPATH", None)
    shell = ["bash", "-euo", "pipefail", "-c", typed]
    done = subprocess.run(shell, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "0.1.0" in done.stdout.splitlines()
    unit = (here / "etc/systemd/system/nqgate.service").read_text()
    for path in re.findall(r"^(?:ExecStart|ExecReload)=(\S+)", unit, re.M):
        assert os.access(f"{here}{path}", os.X_OK)
    for path in re.findall(r"^LoadCredential=[^:]+:(\S+)", unit, re.M):
        assert Path(f"{here}{path}").stat().st_mode & 0o777 == 0o600
    ready = [here / "opt/nqgate/bin/nqgate", "--config", here / "etc/nqgate/gateway.toml", "ready"]
    nobody = {"NQGATE_CONSOLE__LISTEN": f"{LOOPBACK}:{free_port()}", "PATH": "/usr/bin:/bin"}
    said = subprocess.run(ready, env=nobody, capture_output=True, text=True, check=False)
    assert said.stderr.startswith("Not ready: nobody answers on "), said.stderr


def test_every_command_of_the_page_is_run_or_says_why_not() -> None:
    marks = re.findall(r"^```(\S.*)$", PAGE, re.M)
    assert all(mark.startswith("sh not-run: ") for mark in marks)
    for named in re.findall(r"tests/shipped/\w+\.py", PAGE):
        assert (ROOT / named).is_file()
