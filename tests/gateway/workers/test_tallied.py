import json
from typing import Any

import pytest

from gateway.workers import tallied as tallied_module
from gateway.workers.link import MAX_MESSAGE, encode
from gateway.workers.tallied import Tallied, tallied_messages
from keystore.errors import KeystoreError, KeystoreUnavailable
from keystore.usage import Denied, Used

FIRST, LATER = (Used(at, "GetObject", "photos", "192.0.2.9", "eu", "boto3") for at in (10, 20))
REFUSED = Denied(15, "outside the grants", "logs")


class Written:
    def __init__(self, error: KeystoreError | None = None) -> None:
        self.batches: list[tuple[dict[str, Used], dict[str, Denied]]] = []
        self.error = error

    async def __call__(self, used: dict[str, Used], denied: dict[str, Denied]) -> None:
        self.batches.append((used, denied))
        if self.error is not None:
            raise self.error


def told(tallied: Tallied, used: dict[str, Used], denied: dict[str, Denied]) -> None:
    for message in tallied_messages(used, denied):
        tallied.add(json.loads(json.dumps(message)))


async def test_what_several_workers_tell_is_written_together_and_the_newest_counts() -> None:
    written = Written()
    tallied = Tallied(written)
    told(tallied, {"a": LATER, "b": FIRST}, {})
    told(tallied, {"a": FIRST}, {"a": REFUSED})
    await tallied.write()
    await tallied.write()
    assert written.batches == [({"a": LATER, "b": FIRST}, {"a": REFUSED})]


async def test_what_cannot_be_written_is_lost_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    written = Written(KeystoreUnavailable("the database is away"))
    tallied = Tallied(written)
    told(tallied, {"a": FIRST}, {})
    await tallied.write()
    assert "the database is away" in caplog.text
    written.error = None
    await tallied.write()
    assert len(written.batches) == 1


def test_no_message_is_too_long_for_the_link_however_many_keys_and_however_long_their_texts() -> None:
    longest = Used(10, "GetObject", "b" * 63, "s" * 45, "r" * 200, "\u00e4" * 200)
    messages = list(tallied_messages({f"NQAK{number:0124d}": longest for number in range(3000)}, {}))
    assert len(messages) == 3
    assert max(len(encode(message)) for message in messages) < MAX_MESSAGE


def test_what_is_gathered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallied_module, "MAX_TALLIED", 3)
    tallied: Any = Tallied(Written())
    told(tallied, {f"key-{number}": FIRST for number in range(9)}, {f"key-{number}": REFUSED for number in range(9)})
    assert (len(tallied._used), len(tallied._denied)) == (3, 3)
