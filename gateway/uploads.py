"""What is remembered of multipart uploads until it is written: which key began them, that they are being completed,
that they are over.

Only what the store has answered counts as begun or over. It is written within a second or two, for whoever revokes a
key waits for it; a process that is killed loses what it has not written yet.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.authorize import Authorized
from keystore.errors import KeystoreError
from keystore.uploads import Note, Upload, merged, write_uploads

LOG: Final = logging.getLogger("nqgate")
PERIOD: Final = 1.0  # seconds between two writings; without news nothing is written
MAX_NOTED: Final = 10_000  # uploads between two writings, 25 MB with the longest names; the oldest go first
MAX_UPLOAD_ID: Final = 1024  # bytes; stores use up to some 150, and an index takes some 2,700 for a whole row


class UploadNotes:
    """Written by the event loop; `take` hands everything over and begins anew."""

    def __init__(self) -> None:
        self._notes: dict[Upload, Note] = {}

    def begun(self, authorized: Authorized, upload_id: bytes, now: float) -> None:
        """The store has answered CreateMultipartUpload. `now`: Unix seconds."""
        self._keep_of(authorized, upload_id, Note(authorized.access_key.access_key_id, int(now)))

    def completing(self, authorized: Authorized, now: float) -> None:
        """The store has got a CompleteMultipartUpload."""
        self._keep_of(authorized, named_upload(authorized), Note(completing_at=int(now)))

    def answered(self, authorized: Authorized, *, ended: bool) -> None:
        """The store has answered a CompleteMultipartUpload or AbortMultipartUpload. `ended`: there is no such upload
        any more."""
        self._keep_of(authorized, named_upload(authorized), Note(ended=ended))

    def _keep_of(self, authorized: Authorized, upload_id: bytes, note: Note) -> None:
        request = authorized.request
        if 0 < len(upload_id) <= MAX_UPLOAD_ID:
            self.keep(Upload(request.bucket, request.object_key, upload_id), note)

    def keep(self, upload: Upload, note: Note) -> None:
        notes = self._notes
        known = notes.get(upload)
        kept = note if known is None else merged(known, note)
        if kept is None:
            del notes[upload]
            return
        notes[upload] = kept
        if len(notes) > MAX_NOTED:
            del notes[next(iter(notes))]

    def take(self) -> dict[Upload, Note]:
        """Since the last time."""
        notes, self._notes = self._notes, {}
        return notes

    def give_back(self, notes: Mapping[Upload, Note]) -> None:
        """What was taken could not be written: it is older than what came since."""
        later = self.take()
        self._notes = dict(notes)
        for upload, note in later.items():
            self.keep(upload, note)


def named_upload(authorized: Authorized) -> bytes:
    """The id of the upload that a request names."""
    return authorized.request.query.get(b"uploadId", b"")


async def keep_uploads_written(notes: UploadNotes, database: Path) -> None:
    """Every PERIOD, until cancelled; what is left then is for `write_uploads_out`."""
    while True:
        await asyncio.sleep(PERIOD)
        taken = notes.take()
        if taken and not await asyncio.to_thread(_written, taken, database):
            notes.give_back(taken)


def write_uploads_out(notes: UploadNotes, database: Path) -> None:
    """For the last time: what cannot be written is lost."""
    taken = notes.take()
    if taken:
        _written(taken, database)


def _written(taken: Mapping[Upload, Note], database: Path) -> bool:
    try:
        write_uploads(database, taken, time.time())
    except KeystoreError as error:
        LOG.warning("unfinished uploads were not written: %s", error)
        return False
    return True
