"""One target under atheris, led by coverage: `python -m tests.fuzz.run TARGET [libFuzzer options] [corpus folders]`.

`-max_total_time=60 -seed=1` is a minute. What a new input reached is kept in the first folder, if one is named. The
input that broke a target is printed in hex; `python -m tests.fuzz.run TARGET --input HEX` runs that one alone.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

import atheris

with atheris.instrument_imports(include=["gateway", "keystore"]):
    from tests.fuzz.case import Target, reached
    from tests.fuzz.targets import TARGETS

# A zone that nobody lives in: what the gateway makes of a request must not depend on where it stands.
os.environ["TZ"] = "FAR-3:07"
time.tzset()


def _quoted(word: bytes) -> str:
    return '"' + "".join([rf"\x{octet:02x}" for octet in word]) + '"'


def _arguments(target: Target, given: list[str], folder: Path) -> list[str]:
    """libFuzzer's arguments. It takes good examples and words from files; the first folder is the one it writes to."""
    kept, seeds, words = folder / "kept", folder / "seeds", folder / "words"
    kept.mkdir()
    seeds.mkdir()
    for number, octets in enumerate(target.seeds):
        (seeds / str(number)).write_bytes(octets)
    words.write_text("\n".join([_quoted(word) for word in target.words]))
    options = [one for one in given if one.startswith("-")]
    folders = [one for one in given if not one.startswith("-")] or [str(kept)]
    bounds = ["-max_len=2048", "-timeout=20", f"-artifact_prefix={folder}/", f"-dict={words}"]
    return [*bounds, *options, *folders, str(seeds)]


def _fuzz(name: str, given: list[str], folder: Path) -> NoReturn:
    target = TARGETS[name]
    told: set[str] = set()

    def run(octets: bytes) -> None:
        try:
            target.run(octets)
        except BaseException:
            print(f"{name} broke on {octets.hex()}", file=sys.stderr, flush=True)
            raise
        if len(reached) != len(told):  # told at once: libFuzzer ends the process without a last word
            for end in sorted(set(reached) - told):
                print(f"{name} reached: {end}", flush=True)
            told.update(reached)

    atheris.Setup([sys.argv[0], *_arguments(target, given, folder)], run)
    atheris.Fuzz()
    raise AssertionError("libFuzzer came back")


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"{__doc__}\nTargets: {', '.join(TARGETS)}")
    name, *given = sys.argv[1:]
    if given[:1] == ["--input"]:
        TARGETS[name].run(bytes.fromhex(given[1]))
        return
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        child = os.fork()  # somebody must be left to clear up
        if not child:
            _fuzz(name, given, Path(folder))
        _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
