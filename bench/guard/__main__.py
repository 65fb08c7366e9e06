"""python -m bench.guard: count, compare, say; 0 when nothing became dearer."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.child import LOOPBACK
from bench.errors import BenchError
from bench.gateway import NATIVE, configuration
from bench.guard.acts import acts
from bench.guard.bounds import FILE, Counted, cheaper, read_bounds, regressions, render_bounds, table
from bench.guard.callgrind import count
from bench.guard.counted import REFERENCES, write_acts
from bench.scale.seed import seed

PORT = 9000  # nobody listens there: it is only signed for
ROOT = Path(__file__).parent.parent.parent


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 nothing is dearer, 1 something is, or it could not be counted."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.guard", description="Instructions of a request, beside those that are known."
    )
    parser.add_argument("--write", action="store_true", help="what is counted now is what is known from now on")
    write = parser.parse_args(arguments).write
    try:
        counted = count_all()
    except BenchError as error:
        print(f"guard: {error}", file=sys.stderr)
        return 1
    known = read_bounds(FILE.read_text()) if FILE.exists() else Counted({}, {})
    print(table(counted, known))
    if write:
        FILE.write_text(render_bounds(counted))
        return 0
    for name in cheaper(counted, known):
        print(f"guard: {name} became cheaper: write it down with `make guard GUARD=--write`", file=sys.stderr)
    found = regressions(counted, known)
    for words in found:
        print(f"guard: {words}", file=sys.stderr)
    return 1 if found else 0


def count_all() -> Counted:
    """Of the compiled gateway. Raises BenchError where it is not compiled: the ratios are of that."""
    if not NATIVE.is_dir():
        raise BenchError("the gateway is not compiled: run `make native`")
    with tempfile.TemporaryDirectory(prefix="nqgate-guard-") as name:
        folder = Path(name)
        keys = seed(folder / "keys", 1, b"guard")
        file = folder / "gateway.toml"
        file.touch(mode=0o600)
        file.write_text(configuration(keys.folder, PORT, PORT + 1, f"http://{LOOPBACK}:{PORT + 2}"))
        played = acts(f"http://{LOOPBACK}:{PORT}", keys.credential(0))
        write_acts(folder / "acts", played)
        environment = {"PYTHONPATH": f"{NATIVE}:{ROOT}"}
        arguments = ["-P", "-m", "bench.guard.counted", str(file), str(folder / "acts")]
        (reference, *counts), said = count(arguments, folder, environment)
    unit = reference / REFERENCES
    ratios = {act.name: found / act.times / unit for act, found in zip(played, counts, strict=True)}
    return Counted(ratios, json.loads(said))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
