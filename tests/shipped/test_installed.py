"""`pip install` of the built wheel, with nothing of the source tree in reach: it answers, looks, and serves a store."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.server_process import ServerProcess
from tests.support.stores import seaweedfs

ROOT = Path(__file__).parents[2]
SUPPLY = ROOT / ".venv" / "supply" / "bin" / "python"
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("installed")]


class Installed:
    """A clean environment with the wheel and what `requirements-image.txt` pins, by hash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "venv" / "bin"
        self._run(SUPPLY, ROOT / "tools" / "dist", folder / "dist")
        self._run(sys.executable, "-m", "venv", folder / "venv")
        [wheel] = (folder / "dist").glob("*.whl")
        pip = (self.bin / "python", "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
        self._run(*pip, "--require-hashes", "-r", ROOT / "requirements-image.txt")
        self._run(*pip, "--no-deps", "--no-index", wheel)

    def _run(self, *command: str | Path) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
        assert done.returncode == 0, done.stderr

    def environment(self, config: Path | None = None) -> dict[str, str]:
        return {"PATH": f"{self.bin}:/usr/bin:/bin", "NQGATE_CONFIG": str(config or self.folder / "none.toml")}

    def nqgate(self, *words: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.bin / "nqgate", *words], env=self.environment(config), cwd=self.folder,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def gateway(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """In front of SeaweedFS, run from the wheel."""
    with seaweedfs(tmp_path_factory.mktemp("store")) as store:
        made = Gateway(tmp_path_factory.mktemp("gateway"), store)
        assert installed.nqgate("kek", "create", str(made.folder / "kek")).returncode == 0
        words = [str(installed.bin / "nqgate"), "serve"]
        log = made.folder / "gateway.log"
        environment = {**dict.fromkeys(set(os.environ) - {"HOME"}, ""), **installed.environment(made.config)}
        with ServerProcess("the installed gateway", words, log, environment) as process:
            process.wait_until(made.is_ready)
            yield made
            assert process.stop() == 0


def test_it_says_its_version(installed: Installed) -> None:
    assert installed.nqgate("--version").stdout == "0.1.0\n"


def test_nothing_comes_from_the_source_tree(installed: Installed) -> None:
    ask = "import gateway, keystore, sys; print(gateway.__path__[0], keystore.__path__[0], *sys.path)"
    told = subprocess.run(
        [installed.bin / "python", "-I", "-c", ask], capture_output=True, text=True, check=True, cwd=installed.folder
    ).stdout
    assert str(ROOT) not in told
    assert told.startswith(str(installed.folder / "venv"))


def test_what_it_needs_is_all_there(installed: Installed) -> None:
    done = subprocess.run([installed.bin / "python", "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_serves_a_real_store(installed: Installed, gateway: Gateway) -> None:
    made = installed.nqgate("keys", "create", "--label", "one", "--all-buckets", "--json", config=gateway.config)
    told = json.loads(made.stdout)
    with gateway.boto3(IssuedKey(told["access_key_id"], told["secret_access_key"])) as s3:
        s3.create_bucket(Bucket="from-a-wheel")
        s3.put_object(Bucket="from-a-wheel", Key="k", Body=b"hello")
        assert s3.get_object(Bucket="from-a-wheel", Key="k")["Body"].read() == b"hello"
    assert installed.nqgate("ready", config=gateway.config).returncode == 0


def test_its_doctor_finds_everything_well(installed: Installed, gateway: Gateway) -> None:
    done = installed.nqgate("doctor", config=gateway.config)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_console_has_its_pages_and_their_files(gateway: Gateway) -> None:
    address = f"http://127.0.0.1:{gateway.console_port}"
    with urllib.request.urlopen(f"{address}/sign-in") as page:
        named = set(re.findall(r'"(/static/[^"#]+)', page.read().decode()))
    assert {name.rpartition(".")[2] for name in named} >= {"css", "svg"}
    for name in named:
        with urllib.request.urlopen(address + name) as file:
            assert file.read()
