"""A Dockerfile as its instructions, and its steps done outside a container: on a root of its own, laid over this
machine's, at the very paths it names.

Whether it is a well-formed Dockerfile is for hadolint to say; here only what ours uses is read. Needs root, as a
container's runtime does.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

MISSING: Final = "The steps of the Dockerfile are run on a file system laid over this one, which only root may mount."


class Instruction(NamedTuple):
    """`words`: everything behind the first, its lines joined."""

    name: str
    words: str

    def list(self) -> list[str]:
        """Of the JSON form."""
        read: list[str] = json.loads(self.words)
        return read


def read_dockerfile(path: Path) -> list[list[Instruction]]:
    """Its stages: the instructions from each FROM on. What stands before the first is the first of all."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    stages: list[list[Instruction]] = [[]]
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        name, _, words = line.strip().partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append(Instruction(name, words.partition(" CMD ")[2] if name == "HEALTHCHECK" else words.strip()))
    return stages


class Root:
    """An upper layer in `folder` over this machine's root. Commands see it at `/` and leave the machine alone."""

    def __init__(self, folder: Path) -> None:
        if os.geteuid():
            raise RuntimeError(MISSING)
        self.upper, self._work, self._at = (folder / name for name in ("upper", "work", "root"))
        for made in (self.upper, self._work, self._at):
            made.mkdir(parents=True)

    def entered(self, command: Sequence[str], *, user: int = 0, read_only: Sequence[str] | None = None) -> list[str]:
        """The words that run `command` there, in the same process from first to last. `read_only`: the folders that may
        be written all the same, with the root read-only and a new /tmp; None: everything may."""
        mounts = [
            f"mount -t overlay overlay -o lowerdir=/,upperdir={self.upper},workdir={self._work} {self._at}",
            f"mount --rbind /dev {self._at}/dev",
            f"mount --rbind /proc {self._at}/proc",
        ]
        if read_only is not None:
            mounts += [f"mount --bind {self._at}{folder} {self._at}{folder}" for folder in read_only]
            mounts += [f"mount -t tmpfs tmpfs {self._at}/tmp", f"mount -o remount,bind,ro {self._at}"]
        become = f"setpriv --reuid={user} --regid={user} --clear-groups --no-new-privs --bounding-set=-all --"
        script = " && ".join([*mounts, f'exec chroot {self._at} {become if user else ""} "$@"'])
        return ["unshare", "--mount", "sh", "-ec", script, "sh", *command]

    def beside(self, pid: int, command: Sequence[str], *, user: int) -> list[str]:
        """As `docker exec`: the words that run `command` on the root of the process `pid`."""
        enter = ["nsenter", f"--target={pid}", "--mount", "--root", f"--setuid={user}", f"--setgid={user}"]
        return [*enter, "--wdns=/var/lib/nqgate", *command]

    def run(self, command: Sequence[str], environment: dict[str, str], folder: str = "/") -> None:
        """AssertionError with its words when it fails."""
        words = self.entered(["sh", "-ec", f'cd {folder} && exec "$@"', "sh", *command])
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=1800, check=False)
        assert done.returncode == 0, f"{' '.join(command)} → {done.returncode}\n{done.stdout}\n{done.stderr}"

    def copy(self, source: Path, target: str) -> None:
        inside = self.upper / target.lstrip("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, inside, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, inside)


class Image(NamedTuple):
    """What the last stage says of a container, and the root it runs on."""

    root: Root
    environment: dict[str, str]
    user: int
    command: list[str]
    health: list[str]
    volumes: list[str]


@contextmanager
def built(context: Path, folder: Path) -> Iterator[Image]:
    """The steps of its Dockerfile, one after the other; the base images are this machine."""
    first, build, last = read_dockerfile(context / "Dockerfile")
    del first
    roots = [Root(folder / "build"), Root(folder / "run")]
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
    _steps(build, roots[0], environment, context)
    environment = {"PATH": environment["PATH"]}
    _steps(last, roots[1], environment, roots[0].upper)
    said = {one.name: one for one in last}
    command = said["ENTRYPOINT"].list() + said["CMD"].list()
    user = int(said["USER"].words.partition(":")[0])
    yield Image(roots[1], environment, user, command, said["HEALTHCHECK"].list(), said["VOLUME"].list())


def _steps(stage: list[Instruction], root: Root, environment: dict[str, str], source: Path) -> None:
    folder = "/"
    for one in stage:
        match one.name:
            case "ARG":
                name, _, value = one.words.partition("=")
                environment.setdefault(name, value)
            case "ENV":
                for word in one.words.split():
                    name, _, value = word.partition("=")
                    environment[name] = value.replace("$PATH", environment["PATH"])
            case "WORKDIR":
                folder = one.words
                (root.upper / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "COPY":
                *names, target = one.words.replace("--from=build /", "").split()
                for name in names:
                    inside = target.rstrip("/") if (source / name).is_dir() else f"{target.rstrip('/')}/{name}"
                    root.copy(source / name, inside if inside.startswith("/") else f"{folder}/{inside}")
            case "RUN":
                root.run(["sh", "-ec", one.words], environment, folder)
