"""The whole keystore held against its log, in the background: at the start, and every hour.

A gateway begins at the end of the log, which it believes; what lies before it is read here, in a process of its own
that gives way to all others: 0.06 ms for each access key. What does not hold is told, and refused from then on.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from gateway.workers.link import Message
from keystore.audit import Report
from keystore.errors import KeystoreError
from keystore.postgres_audit import audit_postgres
from keystore.sealing import Secret, load_kek_ring
from keystore.sqlite_audit import audit_keystore

LOG: Final = logging.getLogger("nqgate")
COMMAND: Final = [sys.executable, "-P", "-m", "gateway.workers.scan"]
AGAIN: Final = 3600.0  # seconds between two
TOLD: Final = 20  # findings that are told one by one
OF_THE_LOG: Final = frozenset({"change", "store"})  # where a finding says that no record can be believed


class Scanned(NamedTuple):
    """Where the keystore lies. `url`: of a database; then `path` is not read. Handed over by a pipe: it is a secret."""

    url: str | None
    path: str
    kek_file: str
    state_file: str | None


class Condemned(NamedTuple):
    """What is not to be believed any more: all of it, or these access keys and bucket names."""

    everything: bool
    access_keys: list[str]
    buckets: list[str]


class Scan:
    """`condemn`: called after a pass that found something. `state`: in words, whether the keystore holds."""

    def __init__(self, scanned: Scanned, condemn: Callable[[Condemned], None]) -> None:
        self._scanned = scanned
        self._condemn = condemn
        self.state = "not read yet"

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            report = await self._once()
            if report is not None:
                self._judge(report)
            await asyncio.sleep(AGAIN)

    async def _once(self) -> Message | None:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            said, _ = await process.communicate(json.dumps(self._scanned._asdict()).encode())
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        with contextlib.suppress(ValueError):
            report = json.loads(said)
            if isinstance(report, dict):
                return report
        LOG.warning("the keystore was not read whole: the reader ended with %s", process.returncode)
        return None

    def _judge(self, report: Message) -> None:
        if "failed" in report:
            self.state = f"not read: {report['failed']}"
            LOG.warning("the keystore was not read whole: %s", report["failed"])
            return
        findings, found = report["findings"], report["found"]
        self.state = "holds" if not found else f"{found} findings: run nqgate audit verify"
        for finding in findings[:TOLD]:
            LOG.error("the keystore does not hold: %s %s: %s", finding["table"], finding["id"], finding["what"])
        if found:
            self._condemn(condemned(report))


def condemned(report: Message) -> Condemned:
    """More findings than are listed, or one in the log itself: then nothing is believed."""
    findings = report["findings"]
    everything = report["found"] > len(findings) or any(one["table"] in OF_THE_LOG for one in findings)
    named = {table: [one["id"] for one in findings if one["table"] == table] for table in ("access_key", "bucket")}
    return Condemned(everything, named["access_key"], named["bucket"])


# ---- the reader ----


def _audited(scanned: Scanned) -> Report:
    ring = load_kek_ring(Path(scanned.kek_file))
    state_file = None if scanned.state_file is None else Path(scanned.state_file)
    if scanned.url is None:
        return audit_keystore(scanned.path, ring, state_file)
    assert state_file is not None
    return asyncio.run(audit_postgres(Secret(scanned.url), ring, state_file))


def main() -> None:
    """The question on stdin, the report on stdout."""
    os.nice(19)
    scanned = Scanned(**json.load(sys.stdin))
    try:
        report = _audited(scanned).json()
    except KeystoreError as error:
        report = {"failed": str(error)}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
