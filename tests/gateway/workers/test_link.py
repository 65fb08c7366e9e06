import asyncio
import socket

import pytest

from gateway.workers.link import MAX_MESSAGE, Link, Message, MessageReader, encode

MESSAGES: list[Message] = [{"ask": "date_key", "number": 1}, {}, {"text": "ä" * 1000}]
WHOLE = b"".join(map(encode, MESSAGES))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100, len(WHOLE)])
def test_messages_come_out_as_they_went_in_however_they_are_split(size: int) -> None:
    reader = MessageReader()
    got = [message for at in range(0, len(WHOLE), size) for message in reader.feed(WHOLE[at : at + size])]
    assert got == MESSAGES


def test_the_beginning_of_a_message_waits_for_its_end() -> None:
    reader = MessageReader()
    assert reader.feed(WHOLE + WHOLE[:7]) == MESSAGES
    assert reader.feed(WHOLE[7:]) == MESSAGES


@pytest.mark.parametrize(
    "octets",
    [
        (MAX_MESSAGE + 1).to_bytes(4, "big"),
        b"\xff\xff\xff\xff",
        b"\0\0\0\2[]",
        b"\0\0\0\1x",
        b"\0\0\0\0",
        b"\0\0\0\1\xff",
    ],
)
def test_what_is_no_message_is_said_so(octets: bytes) -> None:
    with pytest.raises(ValueError):
        MessageReader().feed(octets)


async def ends() -> tuple[Link, Link, list[Message], asyncio.Event]:
    taken: list[Message] = []
    lost = asyncio.Event()
    first, second = Link(lambda message: None, lambda: None), Link(taken.append, lost.set)
    loop = asyncio.get_running_loop()
    for link, end in zip((first, second), socket.socketpair(), strict=True):
        await loop.create_connection(lambda link=link: link, sock=end)
    return first, second, taken, lost


async def test_what_one_end_sends_the_other_takes_and_hears_of_the_end() -> None:
    first, second, taken, lost = await ends()
    for message in MESSAGES:
        first.send(message)
    first.close()
    await asyncio.wait_for(lost.wait(), 5)
    assert taken == MESSAGES
    first.send({})
    second.send({})  # nobody is there, and nothing is raised


async def test_who_sends_nonsense_is_left() -> None:
    first, _, taken, lost = await ends()
    assert first._transport is not None
    first._transport.write(b"\xff\xff\xff\xff")
    await asyncio.wait_for(lost.wait(), 5)
    assert taken == []
