"""A worker that gets no more memory from the system."""

import resource
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.gateway_process import Gateway
from tests.support.house import recorded_store
from tests.support.raw_client import RawReply
from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.wire import wait_until

pytestmark = pytest.mark.server

MIB = 1 << 20
SPARE = 3 * MIB  # above what is mapped: enough to answer, not enough for a large body


def mapped(pid: int) -> int:
    """Bytes of address space."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


def test_a_body_for_which_there_is_no_memory_is_slow_down_and_the_worker_goes_on(tmp_path: Path) -> None:
    """RLIMIT_AS on the running worker, as a memory limit strikes. What cannot be held is refused, nothing of it reaches
    the store, what it held is given back, small requests are served; with memory back all are, by the same process."""
    settings = {"workers": {"count": 1}, "limits": {"spool_memory": 64 * MIB, "spool_file": 64 * MIB}}
    with RecordingUpstream(canned(ok(b"hello"))) as upstream:
        gateway = Gateway(tmp_path, recorded_store(upstream), settings)
        with gateway:
            signer = gateway.signer(gateway.create_key())
            body = bytes(48 * MIB)

            def upload() -> RawReply:
                head = signer.head("PUT", "/aaa/k", sha256="UNSIGNED-PAYLOAD")[:-2]
                with gateway.connect(timeout=30) as connection:
                    connection.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
                    with suppress(OSError):  # it was refused before its end
                        connection.send(b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
                    return connection.reply()

            def download() -> int:
                with gateway.connect() as connection:
                    connection.send(signer.head("GET", "/aaa/k"))
                    return connection.reply().status

            assert download() == 200
            [worker] = gateway.workers()
            _, hard = resource.prlimit(worker, resource.RLIMIT_AS)
            resource.prlimit(worker, resource.RLIMIT_AS, (mapped(worker) + SPARE, hard))
            upstream.reset()
            for _ in range(3):
                reply = upload()
                assert (reply.status, reply.code, reply.header(b"retry-after")) == (503, "SlowDown", b"1")
                assert download() == 200
            assert not [request for request in upstream.requests if request.line.startswith(b"PUT")]
            assert gateway.log_text().count("requests fail: the process has no memory left") == 1
            resource.prlimit(worker, resource.RLIMIT_AS, (hard, hard))
            wait_until(lambda: upload().status == 200, 30)
            assert gateway.workers() == [worker]
