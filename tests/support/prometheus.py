"""A real Prometheus that reads one gateway and judges it by the rules of config/, faster.

A fault that must last a minute there must last a second here; what is looked at over a minute, over four seconds.
"""

import json
import re
import shutil
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.server_process import LOOPBACK, ServerProcess, free_port
from tests.support.wire import wait_until

CONFIG = Path(__file__).resolve().parents[2] / "config" / "prometheus"
_LASTING = re.compile(r"(?<=for: )(\d+)m\b")
_OVER = re.compile(r"((?<=\[)|(?<=offset ))(\d+)m\b")
FIRING = "firing"


class Prometheus:
    """`alerts`: those that are pending or firing, as its API tells them."""

    def __init__(self, port: int) -> None:
        self._at = f"http://{LOOPBACK}:{port}"

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._at}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def reads(self) -> bool:
        """Whether it has read the gateway's metrics: it takes some seconds until it does."""
        return any(found["value"][1] == "1" for found in self.values("up"))

    def values(self, expression: str) -> list[dict[str, Any]]:
        """Of an instant query, now. HTTPError for an expression that is none."""
        values: list[dict[str, Any]] = self._asked(f"query?{urllib.parse.urlencode({'query': expression})}")["result"]
        return values

    def _asked(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._at}/api/v1/{path}", timeout=10) as reply:
            return json.load(reply)["data"]

    def alerts(self) -> list[dict[str, Any]]:
        alerts: list[dict[str, Any]] = self._asked("alerts")["alerts"]
        return alerts

    def firing(self) -> dict[str, dict[str, Any]]:
        return {alert["labels"]["alertname"]: alert for alert in self.alerts() if alert["state"] == FIRING}

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._asked("rules")["groups"] for rule in group["rules"]]

    def heard(self, alert: str, meanwhile: Callable[[], object] = lambda: None) -> dict[str, Any]:
        """That alert, once it fires. `meanwhile`: what goes on until then."""

        def fires() -> bool:
            meanwhile()
            return alert in self.firing()

        wait_until(fires, 60)
        return self.firing()[alert]


def rules() -> str:
    text = (CONFIG / "rules.yml").read_text().replace("[1h]", "[60m]").replace("for: 30s", "for: 1m")
    return _OVER.sub(lambda found: f"{4 * int(found[2])}s", _LASTING.sub(r"\1s", text))


def program(name: str) -> str:
    """prometheus or promtool; one sentence if it is missing."""
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is missing: install Debian's package prometheus (tools/system-packages test).")
    return found


@contextmanager
def prometheus(folder: Path, console_port: int) -> Iterator[Prometheus]:
    """In front of the gateway whose control plane listens there."""
    config = yaml.safe_load((CONFIG / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "250ms", "scrape_timeout": "1s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"{LOOPBACK}:{console_port}"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "rules.yml").write_text(rules())
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
    ]
    command += [f"--web.listen-address={LOOPBACK}:{port}", "--log.level=warn"]
    running = Prometheus(port)
    with ServerProcess("Prometheus", command, folder / "prometheus.log") as process:
        process.wait_until(running.ready)
        process.wait_until(running.reads)
        yield running
