"""That the compiled modules are there, are what runs, and refuse what they must."""

import importlib
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / ".venv" / "native"
compiled = pytest.mark.skipif(
    str(NATIVE) not in os.environ.get("PYTHONPATH", ""), reason="asked of the compiled modules only, by `make test`"
)


def hot_modules() -> list[str]:
    text = (ROOT / "setup.py").read_text()
    listed = text.split('HOT = """')[1].split('"""')[0].split()
    return [path.removesuffix(".py").replace("/", ".") for path in listed]


@pytest.mark.parametrize("module", hot_modules())
def test_every_module_that_is_compiled_exists(module: str) -> None:
    assert (ROOT / (module.replace(".", "/") + ".py")).is_file()


@compiled
@pytest.mark.parametrize("module", hot_modules())
def test_the_compiled_module_is_the_one_that_runs(module: str) -> None:
    assert str(importlib.import_module(module).__file__).endswith(".so")
