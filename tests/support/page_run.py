"""A page's commands, typed as they stand, in a folder of their own before a gateway of their own.

What differs from a reader's machine, and nothing else: ports and the store's address are those that were free; `NQAK…`
is the id that was printed last, `…` behind the word secret, or SECRET, its secret; `make up` is what that runs once it
has installed; and what asks whether you mean it is told `--yes`. A line that ends with `# 403 WORDS` must fail, and say
these words.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.support.pages import ROOT, Block
from tests.support.server_process import LOOPBACK, free_port

ACCESS_KEY_ID = re.compile(r"\bNQAK[0-9a-z]{16}\b")
SECRET = re.compile(r"(?<![0-9A-Za-z/+_])[0-9A-Za-z]{40}(?![0-9A-Za-z/+_])")
_REFUSED = re.compile(r"^(?P<command>.*\S)\s+# (?:4|5)\d\d\b[: ]*(?P<words>.*)$")
_SECRET_PLACE = re.compile(r"(?i)(secret(?:_access)?_?(?:key)?[\"']?\s*[=: ]\s*[\"']?)…")
_ASKS = re.compile(
    r"nqgate (?:keys (?:revoke|delete)|keystore adopt|kek rotate|admin token revoke|buckets assign)\b"
    r"(?:[^\n#;|]*[^\s#;|])?"
)
STATE = ".typed-so-far"  # variables, functions and aliases, for the next block
_SO_FAR = f"set -aeuo pipefail; shopt -s expand_aliases; [ ! -e {STATE} ] || . ./{STATE}"
_BLOCK_SECONDS = 180
_READY_SECONDS = 60


class PageRun:
    """Blocks of one page, one after the other. A block begins with the variables, functions and aliases of the last."""

    def __init__(
        self, folder: Path, replaced: Mapping[str, str], variables: Mapping[str, str], beside: "PageRun | None" = None
    ) -> None:
        """`beside`: whose gateway is used too; its folder `data` is this one's."""
        self.folder = folder
        self.s3, self.console = (beside.s3, beside.console) if beside else [f"{LOOPBACK}:{free_port()}" for _ in "ab"]
        self._replaced = {"127.0.0.1:9000": self.s3, "127.0.0.1:9001": self.console, **replaced}
        self._replaced["https://s3.example.com"] = f"http://{self.s3}"
        self._access_key_id = self._secret = ""
        self._servers: list[subprocess.Popen[bytes]] = []
        self._pasted: dict[str, str] = {}
        for name in (".venv", "README.md", "config"):
            (folder / name).symlink_to(ROOT / name)
        self._export({"NQGATE_S3__LISTEN": self.s3, "NQGATE_CONSOLE__LISTEN": self.console, **variables})
        if beside:
            (folder / "data").symlink_to(beside.folder / "data")
            self._export(beside._pasted)

    def run(self, block: Block) -> None:
        """AssertionError with what was printed when it does not do what it says."""
        text = self._as_typed(block.text)
        if block.language == "python":
            text = f"python - <<'PYTHON'\n{text}PYTHON\n"
        if block.mark == "run stopped":
            self.close()
        if block.mark in {"up", "serve"}:
            self.start(text.replace("make up", f".venv/bin/nqgate up --s3 {self.s3} --console {self.console}"))
            return
        done = subprocess.run(
            ["bash", "-c", _script(text)],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_BLOCK_SECONDS,
            check=False,
        )
        told = done.stdout + done.stderr
        assert done.returncode == 0, f"{block.where} ended with {done.returncode}:\n{text}\n{told}"
        self._notice(told)

    def write(self, block: Block) -> None:
        file = self.folder / block.file
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as opened:
            opened.write(self._as_typed(block.text) + "\n")

    def start(self, text: str) -> None:
        """Leave it running, and go on when the gateway is ready and has said what `up` says then."""
        last = "Ctrl-C" if "nqgate up" in text else ""
        log = self.folder / f"server-{len(self._servers)}.log"
        with log.open("wb") as sink:
            # what it starts hears of the end too
            server = subprocess.Popen(
                ["bash", "-c", f"{_SO_FAR}; exec {text}"],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )
        self._servers.append(server)
        limit = time.monotonic() + _READY_SECONDS
        while not (self._ready() and last in log.read_text()):
            assert server.poll() is None, f"it ended with {server.returncode}:\n{log.read_text()}"
            assert time.monotonic() < limit, f"it is not ready:\n{log.read_text()}"
            time.sleep(0.1)
        self._notice(log.read_text())
        if self._secret:  # what `nqgate up` prints to be pasted
            pasted = {"AWS_ACCESS_KEY_ID": self._access_key_id, "AWS_SECRET_ACCESS_KEY": self._secret}
            self._pasted = {**pasted, "AWS_DEFAULT_REGION": "us-east-1"}
            self._export(self._pasted)

    def close(self) -> None:
        for mounted in _mounts_below(self.folder):
            subprocess.run(["fusermount", "-uz", mounted], check=False)
        while self._servers:
            server = self._servers.pop()
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.console}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _environment(self) -> dict[str, str]:
        path = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.folder), "LANG": "C.UTF-8", "TERM": "dumb"}

    def _export(self, variables: Mapping[str, str]) -> None:
        with (self.folder / STATE).open("a") as typed:
            typed.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())

    def _as_typed(self, text: str) -> str:
        for written, real in self._replaced.items():
            text = text.replace(written, real)
        text = _ASKS.sub(lambda found: f"{found[0]} --yes", text)
        text = _SECRET_PLACE.sub(lambda found: found[1] + self._secret, text)
        return text.replace("NQAK…:SECRET", f"NQAK…:{self._secret}").replace("NQAK…", self._access_key_id)

    def _notice(self, told: str) -> None:
        self._access_key_id = ([self._access_key_id, *ACCESS_KEY_ID.findall(told)])[-1]
        self._secret = ([self._secret, *SECRET.findall(told)])[-1]


def _script(text: str) -> str:
    lines = [_expected(line) for line in text.splitlines()]
    return "\n".join(
        [
            _SO_FAR,
            *lines,
            f"{{ declare -px | grep -v '^declare -xr'; declare -f; alias -p; }} > {STATE}",
        ]
    )


def _expected(line: str) -> str:
    refused = _REFUSED.match(line)
    if refused is None:
        return line
    command, words = refused["command"], refused["words"].strip()
    passed, silent = shlex.quote(f"not refused: {command}"), shlex.quote(f"not said: {words}")
    return (
        f'if told=$({command} 2>&1); then echo "$told"; echo {passed}; exit 99; fi; echo "$told"; '
        f"[[ $told == *{shlex.quote(words)}* ]] || {{ echo {silent}; exit 98; }}"
    )


def _mounts_below(folder: Path) -> list[str]:
    """What a page that failed in the middle left mounted there."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [place for place in places if place.startswith(f"{folder}/")]


def missing(needs: str) -> bool:
    """Whether a program (or a path) that a block needs is not here."""

    if needs.startswith("/"):
        return not Path(needs).exists()
    return shutil.which(needs, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") is None
