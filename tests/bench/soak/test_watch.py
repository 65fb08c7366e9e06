"""Of a process that is known: this one."""

import os
import socket
import tempfile
from pathlib import Path

from bench.soak.watch import SUPERVISOR, look


def test_files_without_a_name_threads_and_connections_to_the_store_are_seen(tmp_path: Path) -> None:
    (tmp_path / "keystore.db").write_bytes(b"1234")
    (tmp_path / "keystore.db-wal").write_bytes(b"12")
    (tmp_path / "keystore.db.usage").write_bytes(b"1")
    with socket.socket() as store:
        store.bind(("127.0.0.1", 0))
        store.listen()
        port = store.getsockname()[1]
        before = look(os.getpid(), tmp_path, port, 1.0)
        with tempfile.TemporaryFile(dir=tmp_path), socket.create_connection(("127.0.0.1", port)):
            after = look(os.getpid(), tmp_path, port, 2.0)
    [then], [now] = before.of(SUPERVISOR), after.of(SUPERVISOR)
    assert (now.spool - then.spool, now.store_connections, now.descriptors - then.descriptors) == (1, 1, 2)
    assert now.threads >= 1
    assert now.rss >= now.pss > 0
    assert (after.at, after.keystore, after.beside) == (2.0, 6, 1)
