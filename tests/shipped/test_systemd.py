"""The units: systemd itself reads them, and what they take away is held against what the gateway really does."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.gateway_process import COMMAND, Gateway
from tests.support.server_process import ServerProcess
from tests.support.stores import rclone

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "config" / "systemd"
EXPOSURE = 15  # tenths, as systemd 252 counts; 1.4 when it was written
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("systemd")]
# prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN): what MemoryDenyWriteExecute= does, kept by every process that follows.
DENYING = (
    "import ctypes, os, sys; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0; os.execv(sys.argv[1], sys.argv[1:])"
)


def analyzed(*words: str | Path) -> str:
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is missing: install Debian's package systemd (tools/system-packages test)."
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the program where it is here, its socket beside it."""
    written = tmp_path_factory.mktemp("unit") / "nqgate.service"
    written.write_text((UNITS / "nqgate.service").read_text().replace("/opt/nqgate/bin/nqgate", COMMAND))
    shutil.copy(UNITS / "nqgate.socket", written.with_suffix(".socket"))
    return written


def setting(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", (UNITS / "nqgate.service").read_text(), re.M)


def test_systemd_has_nothing_to_say_of_the_unit(unit: Path) -> None:
    analyzed("verify", unit, unit.with_suffix(".socket"))


def test_the_socket_is_where_s3_listens() -> None:
    [listen] = re.findall(r"^ListenStream=(.*)$", (UNITS / "nqgate.socket").read_text(), re.M)
    assert tomllib.loads((UNITS / "gateway.toml").read_text())["s3"]["listen"] == listen


def test_it_is_exposed_as_little_as_when_it_was_written(unit: Path) -> None:
    analyzed("security", "--offline=yes", f"--threshold={EXPOSURE}", unit)


def test_the_user_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", UNITS / "nqgate.sysusers"], check=True)
    made = (tmp_path / "etc" / "passwd").read_text()
    assert re.search(r"^nqgate:x:\d+:\d+:NQ Gateway:/var/lib/nqgate:/usr/sbin/nologin$", made, re.M)


def test_the_configuration_beside_it_names_what_the_unit_provides() -> None:
    text = (UNITS / "gateway.toml").read_text()
    handed = {line.partition(":")[0] for line in setting("LoadCredential")}
    assert set(re.findall(r'"/run/credentials/nqgate\.service/(.*)"', text)) == handed
    [state] = setting("StateDirectory")
    assert set(re.findall(r"/var/lib/(\w+)", text)) == {state}
    done = subprocess.run(
        [COMMAND, "--config", UNITS / "gateway.toml", "doctor", "--json"], capture_output=True, text=True, check=False
    )
    [first, *_] = json.loads(done.stdout)
    assert (first["check"], first["ok"]) == ("configuration", True)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Every system call of a gateway that has started, served and been stopped, where nothing written is executed."""
    calls = tmp_path_factory.mktemp("calls") / "calls"
    with rclone(tmp_path_factory.mktemp("store")) as store:
        gateway = Gateway(tmp_path_factory.mktemp("gateway"), store, {"workers": {"count": 2}})
        gateway.command("kek", "create", str(gateway.folder / "kek"))
        denying = [sys.executable, "-c", DENYING, COMMAND, "--config", str(gateway.config), "serve"]
        command = ["strace", "-f", "-qq", "-s", "0", "-o", str(calls), *denying]
        with ServerProcess("the gateway", command, gateway.folder / "gateway.log") as process:
            process.wait_until(gateway.is_ready, 120)
            with gateway.boto3(gateway.create_key()) as s3:
                s3.create_bucket(Bucket="traced")
                s3.put_object(Bucket="traced", Key="k", Body=bytes(10 << 20))
                assert len(s3.get_object(Bucket="traced", Key="k")["Body"].read()) == 10 << 20
            [supervisor] = children(process.pid)
            subprocess.run(["kill", str(supervisor)], check=True)
            assert process.wait(60) == 0
    return calls.read_text(errors="replace")


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def names(filtered: str) -> set[str]:
    """The system calls of a set of systemd's, its sets in it included."""
    found: set[str] = set()
    for line in analyzed("syscall-filter", filtered).splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            found |= names(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def test_it_calls_nothing_that_the_filter_refuses(traced: str) -> None:
    allowed, refused = setting("SystemCallFilter")
    permitted = names(allowed) | names("@default")
    for word in refused.removeprefix("~").split():
        permitted -= names(word)
    called = set(re.findall(r"^\d+ +(\w+)\(", traced, re.M))
    assert called > {"read", "accept4", "execve"}
    assert called - permitted <= {"fchown"}, "fchown is SQLite's, and only when it runs as root"


def test_it_opens_no_other_kinds_of_sockets(traced: str) -> None:
    [families] = setting("RestrictAddressFamilies")
    # AF_NETLINK is glibc's, to sort the addresses of a name; it does without.
    assert set(re.findall(r"socket\((AF_\w+)", traced)) <= {*families.split(), "AF_NETLINK"}


def test_nothing_that_was_written_is_ever_executed(traced: str) -> None:
    """It ran to its end under that rule; so nothing it refused was needed."""
    assert "PROT_WRITE|PROT_EXEC" not in "".join(line for line in traced.splitlines() if "= -1" not in line)
