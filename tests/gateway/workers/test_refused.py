"""What several workers tell of refusals, written together."""

import json
from collections.abc import Sequence

import pytest

from gateway.refusals import MAX_CANONICAL, MAX_KEPT, MAX_REASON, MAX_TARGET, Refusal
from gateway.workers.link import MAX_MESSAGE, encode
from gateway.workers.refused import MAX_PENDING, Gathered, refused_messages
from keystore.errors import KeystoreUnavailable
from keystore.refused import MAX_TOLD, Refused


def refusal(request_id: str = "0123456789ABCDEF", **changed: str) -> Refusal:
    made = Refusal(
        request_id, 5.25, "AccessDenied", "scope", "why", "NQAKone", "tenant", "photos", "GET", "/a", "10.0.0.1", ""
    )
    return made._replace(**changed)  # type: ignore[arg-type]  # names of text


class Written:
    def __init__(self) -> None:
        self.batches: list[list[Refused]] = []
        self.fails = False

    async def __call__(self, refused: Sequence[Refused], now: float) -> None:
        if self.fails:
            raise KeystoreUnavailable("the database is away")
        self.batches.append(list(refused))


def told(gathered: Gathered, *refusals: Refusal) -> None:
    for message in refused_messages(refusals):
        gathered.add(json.loads(json.dumps(message)))


async def test_what_is_told_is_written_once() -> None:
    written = Written()
    gathered = Gathered(written)
    told(gathered, refusal(), refusal("F" * 16))
    await gathered.write()
    await gathered.write()
    [[one, other]] = written.batches
    assert one[:3] == ("0123456789ABCDEF", 5, "tenant")
    assert Refusal(**json.loads(one.told)) == refusal()
    assert other.request_id == "F" * 16


async def test_what_cannot_be_written_is_said_and_is_not_gathered_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    written = Written()
    written.fails = True
    gathered = Gathered(written)
    told(gathered, refusal())
    await gathered.write()
    assert "the database is away" in caplog.text
    written.fails = False
    told(gathered, refusal("F" * 16))
    await gathered.write()
    assert [[one.request_id for one in batch] for batch in written.batches] == [["F" * 16]]


async def test_of_a_flood_no_more_is_written_than_was_said() -> None:
    written = Written()
    gathered = Gathered(written)
    told(gathered, *[refusal(f"{number:016d}") for number in range(MAX_PENDING + 100)])
    await gathered.write()
    assert [one.request_id for one in written.batches[0]] == [f"{number:016d}" for number in range(MAX_PENDING)]


def test_no_message_is_too_long_for_the_link() -> None:
    longest = refusal(canonical="\x00" * MAX_CANONICAL, target="\x00" * MAX_TARGET, reason="\x00" * MAX_REASON)
    messages = list(refused_messages([longest] * MAX_KEPT))
    assert max(len(encode(message)) for message in messages) < MAX_MESSAGE


async def test_an_ordinary_refusal_with_all_its_parts_is_short_enough_to_be_kept() -> None:
    written = Written()
    gathered = Gathered(written)
    told(gathered, refusal(canonical="x" * MAX_CANONICAL, target="y" * MAX_TARGET, reason="z" * MAX_REASON))
    await gathered.write()
    assert len(written.batches[0][0].told.encode()) <= MAX_TOLD
