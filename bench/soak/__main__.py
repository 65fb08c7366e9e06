"""python -m bench.soak: a gateway of two workers in front of SeaweedFS, mixed load, and what it left behind.

Everything is started on loopback in a temporary folder and removed. Exit code 0: it held; 1: it did not, or could not
be run, and why.
"""

import hashlib
import json
import random
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bench.errors import BenchError, exit_code
from bench.soak import hostile
from bench.soak.honest import MIB, Honest
from bench.soak.ledger import Version
from bench.soak.options import Options, parse_options
from bench.soak.run import BUCKET, Run
from bench.soak.verdict import Row, as_table, eldest, judged
from bench.soak.watch import WORKER, Sample, look
from tests.support.clients import s3_client
from tests.support.gateway_process import Gateway
from tests.support.stores import Store, seaweedfs

CLIENTS: Final = 3
ROOM: Final = 3_000_000_000  # bytes: SeaweedFS takes no more below a hundredth of the disk
WRITTEN: Final = 12_000_000  # bytes a second that the store's files grow by, overwritten or not
SETTLE: Final = 10.0  # seconds: idle connections to the store are closed after five
SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "workers": {"count": 2},
    "limits": {"upstream_idle": 5, "refusals_per_address": 20},
    "log": {"level": "warning"},
}


def main(arguments: Sequence[str]) -> int:
    return exit_code(lambda: _measure(parse_options(arguments)))


def _measure(options: Options) -> None:
    try:
        _soak(options)
    except (RuntimeError, AssertionError) as error:  # how a server or a command says that it failed
        raise BenchError(str(error)) from error


def _soak(options: Options) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nqgate-soak-")))
        check_room(shutil.disk_usage(folder).free, options.seconds)
        for name in ("store", "gateway", "spool"):
            (folder / name).mkdir()
        store = stack.enter_context(seaweedfs(folder / "store"))
        limits = {**SETTINGS["limits"], "spool_dir": str(folder / "spool")}
        gateway = stack.enter_context(Gateway(folder / "gateway", store, {**SETTINGS, "limits": limits}))
        run = Run(gateway, gateway.create_key())
        direct = stack.enter_context(s3_client(store.endpoint, store.access_key_id, store.secret_access_key))
        large = _seed(run, direct)
        samples, rest = _load(run, options.seconds, large, store)
        compared = run.ledger.hold_against(_found(direct))
        rows = judged(samples, rest, run.acts + 2) + _more_rows(run, compared, folder, samples)
    _report(run, rows, samples, rest, options)


def check_room(free: int, seconds: float) -> None:
    """BenchError for a disk that would be full before the end: a store without room refuses, and that is no fault."""
    wanted = ROOM + int(WRITTEN * seconds)
    if free < wanted:
        raise BenchError(
            f"{wanted / 1e9:.0f} GB of disk are needed in {tempfile.gettempdir()}, and {free / 1e9:.0f} are free: make "
            "room, choose another folder with TMPDIR, or a shorter run with SOAK_MINUTES"
        )


def _seed(run: Run, direct: Any) -> Version:
    direct.create_bucket(Bucket=BUCKET)
    for object_key, size in (("small", 1000), ("large", 8 * MIB)):
        body = random.randbytes(size)
        version = Version(size, hashlib.sha256(body).hexdigest())
        direct.put_object(Bucket=BUCKET, Key=object_key, Body=body)
        run.ledger.confirmed(object_key, version)
    return version


def _load(run: Run, seconds: float, large: Version, store: Store) -> tuple[list[Sample], Sample]:
    began = time.monotonic()
    root, port = run.gateway.process.pid, urlsplit(store.endpoint).port or 0

    def sample() -> Sample:
        return look(root, run.gateway.folder, port, time.monotonic() - began)

    samples = [sample()]
    seed = secrets.randbits(32)
    pace = min(60.0, seconds / 3)
    acts: list[Callable[[], None]] = [
        lambda: hostile.forge(run),
        lambda: hostile.read_slowly(run, large),
        lambda: hostile.break_off(run, seed),
        lambda: hostile.drip(run),
        lambda: hostile.kill_workers(run, pace),
        lambda: hostile.revoke_used_keys(run, pace / 4),
    ]
    with ExitStack() as stack:
        for number in range(CLIENTS):
            client = stack.enter_context(run.gateway.boto3(run.access_key, max_pool_connections=1))
            acts.append(Honest(run, number, client, seed + number).go_on)
        threads = [threading.Thread(target=_noted, args=(run, act), daemon=True) for act in acts]
        for thread in threads:
            thread.start()
        while time.monotonic() - began < seconds:
            time.sleep(min(10.0, max(1.0, seconds / 100)))
            samples.append(sample())
            _progress(run, samples, seconds)
        run.over.set()
        for thread in threads:
            thread.join(90)
        late = sum(thread.is_alive() for thread in threads)
        if late:
            run.ledger.fault(f"{late} clients were not answered within 90 s")
    time.sleep(SETTLE)
    return samples, sample()


def _noted(run: Run, act: Callable[[], None]) -> None:
    """What ends a client otherwise than by the end of the run would go unseen in its thread."""
    try:
        act()
    except BaseException as error:
        run.ledger.fault(f"a client ended: {error!r}")
        raise


def _found(direct: Any) -> dict[str, Version]:
    """All objects, read whole."""
    found = {}
    for page in direct.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for entry in page.get("Contents", []):
            body = direct.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
            found[entry["Key"]] = Version(len(body), hashlib.sha256(body).hexdigest())
    return found


def _more_rows(run: Run, compared: int, folder: Path, samples: Sequence[Sample]) -> list[Row]:
    ledger = run.ledger
    left = len(list((folder / "spool").iterdir()))
    traces = run.gateway.log_text().count("Traceback")
    forged = sum(count for kind, count in ledger.answers.items() if kind.startswith("forged"))
    revoked = ledger.answers.get("revoked: refused after the confirmation", 0)
    return [
        Row("named files in the spool", str(left), "0", not left),
        Row("traces in the log", str(traces), "0", not traces),
        Row("answers", f"{ledger.total:,}", "more than none", ledger.total > 0),
        Row("bad signatures among them", f"{forged:,}", "more than none", forged > 0),
        Row("keys revoked in use", f"{revoked:,}", "more than none", revoked > 0),
        Row("workers killed", f"{run.kills:,}", "more than none", run.kills > 0),
        Row("objects compared with the store", f"{compared:,}", "more than none", compared > 0),
        Row("answers or objects that were not as they must be", str(ledger.fault_count), "0", not ledger.fault_count),
    ]


def _progress(run: Run, samples: Sequence[Sample], seconds: float) -> None:
    own = eldest(samples, WORKER)
    held = f"{own[-1].rss / MIB:.1f} MiB, {own[-1].descriptors} descriptors" if own else "no worker lived so long"
    told = f"{run.ledger.total:,} answers, {run.ledger.fault_count} faults"
    text = f"{samples[-1].at:6.0f} of {seconds:.0f} s  {told}, {held}"
    end = "\r" if sys.stderr.isatty() else "\n"
    print(text, end=end, file=sys.stderr, flush=True)


def _report(run: Run, rows: Sequence[Row], samples: Sequence[Sample], rest: Sample, options: Options) -> None:
    """BenchError when something did not hold."""
    print(f"\n{as_table(rows)}\n\nanswers:")
    for kind, count in sorted(run.ledger.answers.items()):
        print(f"  {count:>9,}  {kind}")
    for words in run.ledger.faults:
        print(f"  fault: {words}")
    if options.json_file is not None:
        told = {
            "seconds": options.seconds,
            "rows": [row._asdict() for row in rows],
            "answers": run.ledger.answers,
            "faults": run.ledger.faults,
            "samples": [sample.json() for sample in [*samples, rest]],
        }
        options.json_file.write_text(json.dumps(told, indent=1) + "\n")
    missed = [row.name for row in rows if not row.held]
    if missed:
        raise BenchError(f"it did not hold: {', '.join(missed)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
