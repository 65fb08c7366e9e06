"""What is remembered of a key's requests until it is written: the last that was admitted, and the last that was denied.

Only requests whose signature held count: everybody else can name any key.
"""

import asyncio
import logging
from pathlib import Path
from typing import Final

from gateway.authorize import Authorized
from gateway.s3.errors import S3Error
from gateway.uploads import UploadNotes
from keystore.errors import KeystoreError
from keystore.usage import AT_MOST, Denied, Used, write_usage

LOG: Final = logging.getLogger("nqgate")
PERIOD: Final = AT_MOST  # seconds
MAX_TALLIED: Final = 100_000  # keys between two writes; the oldest go first
MAX_AGENT: Final = 200  # bytes

# At, operation, bucket, source, region, user agent: as they come, turned into text when they are taken.
_Raw = tuple[float, str, str, str, bytes, bytes]


class Tally:
    """Written by the event loop; `take` hands everything over and begins anew. `uploads`: which have a `take` of their
    own."""

    def __init__(self) -> None:
        self.uploads = UploadNotes()
        self._used: dict[str, _Raw] = {}
        self._denied: dict[str, tuple[float, str, str]] = {}

    def used(self, authorized: Authorized, now: float) -> None:
        """An admitted request. `now`: Unix seconds."""
        request = authorized.request
        used = self._used
        used[authorized.access_key.access_key_id] = (
            now,
            authorized.operation.name,
            request.bucket,
            request.source,
            authorized.authenticated.claim.region,
            request.headers.get(b"user-agent", b""),
        )
        if len(used) > MAX_TALLIED:
            del used[next(iter(used))]

    def denied(self, error: S3Error, now: float) -> None:
        """A refusal. One of a request that nobody has proven to have signed is not counted."""
        if not error.holder:
            return
        self._denied[error.holder] = (now, error.reason, error.bucket)
        if len(self._denied) > MAX_TALLIED:
            del self._denied[next(iter(self._denied))]

    def take(self) -> tuple[dict[str, Used], dict[str, Denied]]:
        """By access key id, since the last time."""
        used, self._used = self._used, {}
        denied, self._denied = self._denied, {}
        return (
            {name: _text(row) for name, row in used.items()},
            {name: Denied(int(at), reason, bucket) for name, (at, reason, bucket) in denied.items()},
        )


async def keep_written(tally: Tally, database: Path) -> None:
    """Write what was tallied once a minute, until cancelled; what is left then is for `write_out`."""
    while True:
        await asyncio.sleep(PERIOD)
        await asyncio.to_thread(write_out, tally, database)


def write_out(tally: Tally, database: Path) -> None:
    """Dates are not worth a failed request, nor a gateway that does not end: what cannot be written is lost."""
    used, denied = tally.take()
    if used or denied:
        try:
            write_usage(database, used, denied)
        except KeystoreError as error:
            LOG.warning("when keys were last used was not written: %s", error)


def _text(row: _Raw) -> Used:
    at, operation, bucket, source, region, agent = row
    shown = agent[:MAX_AGENT].decode("utf-8", "replace")
    return Used(int(at), operation, bucket, source, region.decode("utf-8", "replace"), shown)
