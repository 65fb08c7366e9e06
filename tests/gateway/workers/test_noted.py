"""What several workers note of uploads, written together."""

import json
from collections.abc import Mapping

import pytest

from gateway.workers.link import MAX_MESSAGE, encode
from gateway.workers.noted import Noted, noted_messages
from keystore.errors import KeystoreError, KeystoreUnavailable
from keystore.uploads import Note, Upload

ONE, TWO = Upload("photos", b"a\xff\x00", b"id-1"), Upload("photos", b"a", b"id-2")
BEGUN = Note("NQAKone", 1_700_000_000)


class Written:
    def __init__(self, error: KeystoreError | None = None) -> None:
        self.batches: list[dict[Upload, Note]] = []
        self.error = error

    async def __call__(self, notes: Mapping[Upload, Note], now: float) -> None:
        if self.error is not None:
            raise self.error
        self.batches.append(dict(notes))


def told(noted: Noted, notes: Mapping[Upload, Note]) -> None:
    for message in noted_messages(notes):
        noted.add(json.loads(json.dumps(message)))


async def test_what_several_workers_tell_is_one_batch_whatever_bytes_are_in_it() -> None:
    written = Written()
    noted = Noted(written)
    told(noted, {ONE: BEGUN, TWO: Note(completing_at=5)})
    told(noted, {TWO: Note(ended=True)})
    await noted.write()
    await noted.write()
    assert written.batches == [{ONE: BEGUN, TWO: Note(ended=True)}]


async def test_what_cannot_be_written_is_said_and_written_later(caplog: pytest.LogCaptureFixture) -> None:
    written = Written(KeystoreUnavailable("the database is away"))
    noted = Noted(written)
    told(noted, {ONE: BEGUN})
    await noted.write()
    assert "the database is away" in caplog.text
    told(noted, {ONE: Note(completing_at=5)})
    written.error = None
    await noted.write()
    assert written.batches == [{ONE: BEGUN._replace(completing_at=5)}]


def test_no_message_is_too_long_for_the_link() -> None:
    longest = {Upload("b" * 63, b"k" * 1024, b"%01024d" % number): Note("N" * 128, 1 << 40) for number in range(1200)}
    messages = list(noted_messages(longest))
    assert len(messages) == 3
    assert max(len(encode(message)) for message in messages) < MAX_MESSAGE
