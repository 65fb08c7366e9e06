"""`make sbom`: every part of an installation, each with its version, the same file for the same installation."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "supply" / "bin" / "python"
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("dist")]


def written(dist: Path) -> bytes:
    done = subprocess.run([PYTHON, ROOT / "tools" / "sbom", dist], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip()).read_bytes()


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([PYTHON, ROOT / "tools" / "dist", out], capture_output=True, check=True)
    return out


@pytest.fixture(scope="module")
def sbom(dist: Path) -> bytes:
    return written(dist)


def pinned() -> dict[str, str]:
    """What the image is pinned to, but what is for other systems than this."""
    lines = (ROOT / "requirements-image.txt").read_text().splitlines()
    here = [line for line in lines if re.match(r"[a-z0-9]", line) and "win32" not in line]
    return dict(line.split(";")[0].split("\\")[0].strip().split("==") for line in here)


def test_it_names_every_package_that_is_pinned_with_its_version(sbom: bytes) -> None:
    told: dict[str, Any] = json.loads(sbom)
    named = {one["name"].lower().replace("_", "-"): one["version"] for one in told["components"]}
    assert {**pinned(), **named} == named, "pinned and not named"
    assert set(named) - set(pinned()) <= {"nqgate"}
    assert told["metadata"]["component"]["name"] == "nqgate"


def test_each_part_has_an_address_and_a_licence(sbom: bytes) -> None:
    parts = json.loads(sbom)["components"]
    assert [
        one["name"] for one in parts if not one.get("purl", "").startswith("pkg:pypi/") and one["name"] != "nqgate"
    ] == []
    assert [one["name"] for one in parts if not one.get("licenses")] == []


def test_the_same_installation_is_the_same_file(sbom: bytes, dist: Path) -> None:
    assert written(dist) == sbom
    assert b"/tmp" not in sbom


def test_without_a_wheel_it_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run([PYTHON, ROOT / "tools" / "sbom", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path} holds no wheel, or several: run `make dist` first.\n"
