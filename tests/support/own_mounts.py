"""A gateway with mounts of its own: a small disk, other files of /etc. Linux namespaces, so nobody else sees them and
nothing stays behind. Commands run beside it, where they see the same.
"""

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.support.gateway_process import COMMAND, Gateway, Settings
from tests.support.stores import Store

MISSING: Final = "mount namespaces are not to be had here: allow unprivileged user namespaces, or CAP_SYS_ADMIN: "
UNSHARE: Final = ("unshare", "--map-root-user", "--mount", "sh", "-euc")


class MountedGateway(Gateway):
    """`mounts`: shell commands that are run first, in its namespace."""

    def __init__(self, folder: Path, store: Store, settings: Settings | None = None, *, mounts: Sequence[str]) -> None:
        super().__init__(folder, store, settings)
        script = "; ".join([*mounts, 'exec "$@"'])
        tried = subprocess.run([*UNSHARE, script, "sh", "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            raise RuntimeError(MISSING + tried.stderr.strip())
        self.server = (*UNSHARE, script, "sh", COMMAND)

    def start(self) -> None:
        super().start()
        self.within = ("nsenter", f"--target={self.process.pid}", "--user", "--mount", "--preserve-credentials", "--")

    def inside(self, path: Path) -> Path:
        """As it sees it."""
        return Path(f"/proc/{self.process.pid}/root{path}")


def disk(folder: Path, size: int) -> str:
    """The mount of an empty disk of `size` bytes."""
    folder.mkdir()
    return f"mount -t tmpfs -o size={size} tmpfs {folder}"


def hosts(folder: Path) -> tuple[Path, list[str]]:
    """A file that stands for /etc/hosts, and the mounts by which nothing else is asked for names."""
    names, switch = folder / "hosts", folder / "nsswitch.conf"
    names.touch()
    switch.write_text("hosts: files\n")
    return names, [f"mount --bind {names} /etc/hosts", f"mount --bind {switch} /etc/nsswitch.conf"]


def fill(folder: Path, *, leave: int = 0) -> Path:
    """A file that takes what is left there but `leave` bytes."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)) == 4096:
            pass
    with filler.open("r+b") as file:
        file.truncate(max(0, filler.stat().st_size - leave))
    return filler
