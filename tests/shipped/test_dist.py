"""`make dist`: what is built, and that it is the same bytes wherever and whenever it is built."""

import email
import os
import subprocess
import tarfile
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "supply" / "bin" / "python"
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("dist")]


def built(tree: Path, out: Path, **environment: str) -> dict[str, bytes]:
    done = subprocess.run(
        [PYTHON, tree / "tools" / "dist", out],
        capture_output=True, text=True, check=False, umask=int(environment.pop("umask", "022"), 8),
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    built(ROOT, out, SOURCE_DATE_EPOCH="1790000000")
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> zipfile.ZipFile:
    [found] = dist.glob("*.whl")
    return zipfile.ZipFile(found)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(wheel.read(name))


def tracked(*folders: str) -> set[str]:
    names = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", *folders], capture_output=True, check=True).stdout
    return {name for name in names.decode().split("\0") if name and (ROOT / name).is_file()}


def test_another_folder_another_time_and_another_umask_give_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    tree = tmp_path / "elsewhere"
    for name in tracked():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes((ROOT / name).read_bytes())
        (tree / name).chmod(0o640)
        os.utime(tree / name, (0, 1_000_000_000))
    for words in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", "-C", tree, *words], check=True)
    again = built(tree, tmp_path / "out", SOURCE_DATE_EPOCH="1790000000", umask="077", TZ="Pacific/Apia")
    assert len(again) == 2
    assert again == {path.name: path.read_bytes() for path in dist.iterdir()}


def test_without_a_date_it_is_that_of_the_last_commit(dist: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    subprocess.run([PYTHON, ROOT / "tools" / "dist", tmp_path], check=True, env=environment, capture_output=True)
    [archive] = tmp_path.glob("*.tar.gz")
    committed = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%ct"], capture_output=True, check=True).stdout
    with tarfile.open(archive) as packed:
        assert {member.mtime for member in packed} == {int(committed)}


def test_the_archive_names_nobody_who_built_it(dist: Path) -> None:
    [archive] = dist.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        assert {(member.uid, member.gid, member.uname, member.gname) for member in packed} == {(0, 0, "", "")}


def test_the_wheel_holds_everything_of_both_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == tracked("gateway", "keystore")


def test_both_packages_are_typed(wheel: zipfile.ZipFile) -> None:
    assert {"gateway/py.typed", "keystore/py.typed"} <= set(wheel.namelist())


def test_the_metadata_says_what_people_look_for(metadata: Message, wheel: zipfile.ZipFile) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert metadata["Name"] == "nqgate"
    assert metadata["Version"] == project["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra", [])) == set(project["optional-dependencies"])
    assert {"Typing :: Typed", "Operating System :: POSIX :: Linux"} <= set(metadata.get_all("Classifier", []))
    [entry] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert wheel.read(entry).decode().split("\n")[:2] == ["[console_scripts]", "nqgate = gateway.cli.main:main"]


def test_the_version_is_one_everywhere() -> None:
    """In the wheel, in the image's label, in the chart."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nARG VERSION={version}\n" in (ROOT / "Dockerfile").read_text()
    chart = (ROOT / "config" / "helm" / "nqgate" / "Chart.yaml").read_text()
    assert f'\nappVersion: "{version}"\n' in chart
