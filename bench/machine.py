"""Where a run took place and with which versions: a ratio is a statement about these too."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from bench.nginx import nginx_version
from bench.wrk import wrk_version

PACKAGES: Final = ("nqgate", "uvloop", "httptools", "botocore")


def describe_machine() -> dict[str, str]:
    """Name → value, in the order to show them. Raises BenchError if nginx or wrk is not installed."""
    load, *_ = os.getloadavg()
    return {
        "processor": f"{read_processor(_text('/proc/cpuinfo'))}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.0f} GiB",
        "load before": f"{load:.2f}",
        "system": f"{platform.freedesktop_os_release().get('PRETTY_NAME', 'Linux')}, Linux {platform.release()}",
        "nginx": nginx_version(),
        "wrk": wrk_version(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: installed(name) for name in PACKAGES},
        "commit": _commit(),
    }


def read_processor(cpuinfo: str) -> str:
    """The model name in the text of /proc/cpuinfo; the architecture where it names none."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _text(path: str) -> str:
    return Path(path).read_text(errors="replace")


def installed(name: str) -> str:
    """The version of an installed distribution."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    head = _git("rev-parse", "--short", "HEAD")
    return head + (" with changes" if head and _git("status", "--porcelain") else "") or "unknown"


def _git(*arguments: str) -> str:
    # --no-optional-locks: a bench beside somebody's work takes no lock on their index
    command = ["git", "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
