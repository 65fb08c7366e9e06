"""Whoever creates and revokes keys from outside of the gateways: a process that says when a revoke was true.

Of a keystore on this machine that is when the change was durable: from then on the key must be refused, also if
whoever revokes dies there. Of one on PostgreSQL, when every gateway had confirmed it or its lease was over.
CLOCK_MONOTONIC is one for all processes of the machine.
"""

import subprocess
import sys
import threading
from types import TracebackType
from typing import Final, NamedTuple, Self

from tests.support.gateway_process import Gateway, IssuedKey

HERE: Final = """
import asyncio, sys, time
from pathlib import Path
from keystore.access_key import RevokeReason
from keystore.confirmation import confirm
from keystore.scope import AllBuckets
from keystore.sealing import load_kek_ring
from keystore.sqlite import open_sqlite_store
from keystore.store import NewKey

async def act(database, kek_file):
    async with open_sqlite_store(database, load_kek_ring(Path(kek_file)), create=False) as store:
        for number, line in enumerate(sys.stdin):
            deed, *of = line.split()
            if deed == "create":
                access_key, secret = await store.create_key(NewKey("default", "hammered", AllBuckets()), "hammer")
                print(access_key.access_key_id, secret.expose(), flush=True)
            else:
                since = time.monotonic()
                await store.create_account(f"noise-{number}", "hammer")
                await store.revoke_key(*of, RevokeReason.UNUSED, "hammer")
                returned = time.monotonic_ns()
                found = confirm(Path(database), store.committed_seq, since=since)
                print(returned, found.confirmed, flush=True)

asyncio.run(act(*sys.argv[1:]))
"""

AFAR: Final = """
import asyncio, sys, time
from pathlib import Path
from keystore.access_key import RevokeReason
from keystore.postgres import open_postgres_store
from keystore.postgres_confirmation import confirm_postgres
from keystore.scope import AllBuckets
from keystore.sealing import Secret, load_kek_ring
from keystore.store import NewKey

async def act(kek_file):
    url = sys.stdin.readline().strip()
    ring = load_kek_ring(Path(kek_file))
    async with open_postgres_store(url, ring, create=False) as store:
        for line in sys.stdin:
            deed, *of = line.split()
            if deed == "create":
                access_key, secret = await store.create_key(NewKey("default", "hammered", AllBuckets()), "hammer")
                await confirm_postgres(Secret(url), ring, store.committed_seq, since=0.0)
                print(access_key.access_key_id, secret.expose(), flush=True)
            else:
                since = time.monotonic()
                await store.revoke_key(*of, RevokeReason.UNUSED, "hammer")
                found = await confirm_postgres(Secret(url), ring, store.committed_seq, since=since)
                print(time.monotonic_ns(), found.confirmed, flush=True)

asyncio.run(act(*sys.argv[1:]))
"""


class Revoked(NamedTuple):
    """`returned`: ns, when it was true. `confirmed`: by how many gateways."""

    returned: int
    confirmed: int


class Revoker:
    """Use as a context manager. `url`: of the PostgreSQL that the gateways share, if they do."""

    def __init__(self, gateway: Gateway, url: str | None = None) -> None:
        self._gateway = gateway
        self._url = url
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        kek_file = str(self._gateway.folder / "kek")
        here = [sys.executable, "-c", HERE, str(self._gateway.keystore), kek_file]
        command = here if self._url is None else [sys.executable, "-c", AFAR, kek_file]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        if self._url is not None:  # not on the command line, which others can read
            assert self._process.stdin is not None
            self._process.stdin.write(f"{self._url}\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=20)

    def create(self) -> IssuedKey:
        return IssuedKey(*self._tell("create").split())

    def revoke(self, access_key_id: str) -> Revoked:
        returned, confirmed = self._tell(f"revoke {access_key_id}").split()
        return Revoked(int(returned), int(confirmed))

    def _tell(self, words: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._turn:
            self._process.stdin.write(f"{words}\n")
            return self._process.stdout.readline()
