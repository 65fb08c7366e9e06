"""The steps of the Dockerfile are done, and what comes out runs as its container would: as nobody, on a root that
cannot be written, with the health check that the image names.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dockerfile import Image, built, read_dockerfile
from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.server_process import ServerProcess
from tests.support.stores import Store, rclone

ROOT = Path(__file__).parents[2]
SUPPLY = ROOT / ".venv" / "supply" / "bin"
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("image")]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    with built(ROOT, tmp_path_factory.mktemp("image")) as made:
        yield made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with rclone(tmp_path_factory.mktemp("store")) as running:
        yield running


def laid_out(image: Image, store: Store) -> Gateway:
    """Its configuration and its two secrets as an orchestrator mounts them: root's, for the group of the gateway."""
    configured = image.root.upper / "etc" / "nqgate"
    gateway = Gateway(
        configured, store,
        {"keystore": {"url": "sqlite:////var/lib/nqgate/keystore.db", "kek_file": "/etc/nqgate/kek",
                      "state_file": "/var/lib/nqgate/keystore.state"},
         "limits": {"spool_dir": "/var/lib/nqgate/spool"}},
    )  # fmt: skip
    image.root.run(["nqgate", "kek", "create", "/etc/nqgate/kek"], image.environment)
    text = gateway.config.read_text()
    secret = configured / "upstream-secret"
    secret.write_text(store.secret_access_key)
    gateway.config.write_text(re.sub(r"secret_access_key = .*", 'secret_access_key_file = "upstream-secret"', text))
    for path in (configured / "kek", secret):
        path.chmod(0o440)
        subprocess.run(["chown", f"0:{image.user}", path], check=True)
    return gateway


class Container:
    """A gateway of the image that runs, and commands beside it."""

    def __init__(self, image: Image, gateway: Gateway, process: ServerProcess) -> None:
        self.image, self.gateway, self.process = image, gateway, process

    def execute(self, *command: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
        words = self.image.root.beside(self.process.pid, command, user=user or self.image.user)
        return subprocess.run(
            words, env=self.image.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def healthy(self) -> bool:
        return self.execute(*self.image.health).returncode == 0


@pytest.fixture(scope="module")
def container(image: Image, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    gateway = laid_out(image, store)
    words = image.root.entered(image.command, user=image.user, read_only=image.volumes)
    with ServerProcess("the container", words, tmp_path_factory.mktemp("log") / "log", image.environment) as process:
        running = Container(image, gateway, process)
        process.wait_until(running.healthy, 60)
        yield running
        assert process.stop() == 0


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run(
        [SUPPLY / "hadolint", "--format", "json", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_the_base_images_are_a_version_of_python_and_a_release_of_debian() -> None:
    """And so never `latest`; whoever builds may hand over digests."""
    arguments = {
        one.words.partition("=")[0]: one.words.partition("=")[2] for one in read_dockerfile(ROOT / "Dockerfile")[0]
    }
    assert set(arguments) == {"BUILD_IMAGE", "RUN_IMAGE"}
    assert all(re.fullmatch(r"python:3\.\d+(-slim)?-[a-z]+", base) for base in arguments.values())


def test_nothing_secret_can_get_into_a_layer() -> None:
    """The context is a list of what is let in."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    copied = {
        word.rstrip("/")
        for one in read_dockerfile(ROOT / "Dockerfile")[1]
        if one.name == "COPY"
        for word in one.words.split()[:-1]
    }
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied


def test_it_serves_as_nobody_on_a_root_that_cannot_be_written(container: Container) -> None:
    status = Path(f"/proc/{container.process.pid}/status").read_text()
    assert re.search(r"^Uid:\s+10001\s+10001", status, re.M)
    assert re.search(r"^CapBnd:\s+0{16}$", status, re.M)
    for folder in ("/", "/etc/nqgate", "/opt/nqgate"):
        refused = container.execute("touch", f"{folder}/here", user=0)
        assert refused.returncode == 1
        assert "Read-only file system" in refused.stderr
    made = container.execute("nqgate", "keys", "create", "--label", "image", "--all-buckets", "--json")
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    issued = IssuedKey(told["access_key_id"], told["secret_access_key"])
    body = bytes(range(256)) * 8192 * 5  # 10 MiB of unknown length, so that the spool is used
    with container.gateway.boto3(issued) as s3:
        s3.create_bucket(Bucket="from-an-image")
        s3.put_object(Bucket="from-an-image", Key="k", Body=body)
        assert s3.get_object(Bucket="from-an-image", Key="k")["Body"].read() == body


def test_what_runs_is_compiled_and_comes_from_the_image(container: Container) -> None:
    ask = "import gateway.wire.server as s, keystore.directory as d; print(s.__file__, d.__file__)"
    done = container.execute("/opt/nqgate/bin/python", "-I", "-c", ask)
    assert all(path.startswith("/opt/nqgate/") and path.endswith(".so") for path in done.stdout.split()), done


def test_a_commands_actor_has_a_name(container: Container) -> None:
    container.execute("nqgate", "keys", "create", "--label", "named", "--all-buckets")
    assert "cli:nqgate" in container.execute("nqgate", "audit", "list").stdout


def test_the_health_check_is_red_when_nobody_serves(container: Container) -> None:
    assert container.execute("nqgate", "ready", "--alive").returncode == 0
    lost = container.execute("env", "NQGATE_CONSOLE__LISTEN=127.0.0.1:1", *container.image.health)
    assert (lost.returncode, lost.stderr.partition(":")[0]) == (1, "Not ready")
    doctor = container.execute("nqgate", "doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr


def test_the_image_holds_no_pip_and_no_tools_of_the_build(image: Image) -> None:
    packages = {path.name for path in (image.root.upper / "opt/nqgate/lib").glob("python3*/site-packages/*")}
    assert "gateway" in packages
    assert not {"pip", "setuptools", "mypy", "boto3", "pytest"} & packages
    assert not (image.root.upper / "build").exists()
