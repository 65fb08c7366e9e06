"""What workers note of multipart uploads, gathered until it is written together; see `gateway.uploads`."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

from gateway.uploads import PERIOD, UploadNotes
from gateway.workers.link import Message
from keystore.errors import KeystoreError
from keystore.uploads import Note, Upload

LOG: Final = logging.getLogger("nqgate")
TELL_EVERY: Final = PERIOD / 2  # seconds between two tellings of a worker; without news nothing is told
GATHERED: Final = PERIOD / 2  # seconds between two writings of what all of them told
BATCH: Final = 500  # uploads in one message: 2.2 MiB at most, as long as their names may be

Write = Callable[[Mapping[Upload, Note], float], Awaitable[None]]


def noted_messages(notes: Mapping[Upload, Note]) -> Iterator[Message]:
    """What `Noted.add` reads, each of a bounded length. Octets are hex."""
    rows = [(one.bucket, one.object_key.hex(), one.upload_id.hex(), *note) for one, note in notes.items()]
    for start in range(0, len(rows), BATCH):
        yield {"uploads": rows[start : start + BATCH]}


class Noted:
    """`write`: one batch, and the Unix seconds of now."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._notes = UploadNotes()

    def add(self, message: Message) -> None:
        for row in message["uploads"]:
            upload, note = _read(row)
            self._notes.keep(upload, note)

    async def run(self) -> None:
        """Until cancelled; what is left then is for `write`."""
        while True:
            await asyncio.sleep(GATHERED)
            await self.write()

    async def write(self) -> None:
        """What cannot be written now is written with what comes next."""
        taken = self._notes.take()
        if not taken:
            return
        try:
            await self._write(taken, time.time())
        except asyncio.CancelledError:
            self._notes.give_back(taken)
            raise
        except KeystoreError as error:
            LOG.warning("unfinished uploads were not written: %s", error)
            self._notes.give_back(taken)


def _read(row: list[Any]) -> tuple[Upload, Note]:
    bucket, object_key, upload_id, *note = row
    return Upload(bucket, bytes.fromhex(object_key), bytes.fromhex(upload_id)), Note(*note)
