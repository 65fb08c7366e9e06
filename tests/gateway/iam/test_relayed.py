from typing import Any

import pytest

from gateway.iam.relayed import answer_relayed, read_answer, request_message
from gateway.iam.request import IamAnswer, IamRequest

REQUEST = IamRequest(b"POST", b"/", b"a=b?c", [(b"host", b"gateway"), (b"x-odd", b"\xff")], b"\0\xff", "192.0.2.1")
MESSAGE: dict[str, Any] = request_message(REQUEST)
ANSWER = IamAnswer(403, [(b"content-type", b"text/xml")], b"<no/>\xff")


async def say(request: IamRequest) -> IamAnswer:
    assert request == REQUEST
    return ANSWER


async def test_octets_arrive_as_they_were_and_come_back_as_they_are() -> None:
    assert read_answer(await answer_relayed(MESSAGE, say)) == ANSWER


@pytest.mark.parametrize("missing", ["status", "headers", "body"])
async def test_what_is_no_answer_is_none(missing: str) -> None:
    told = await answer_relayed(MESSAGE, say)
    for wrong in ({name: value for name, value in told.items() if name != missing}, {**told, missing: None}):
        with pytest.raises(ValueError):
            read_answer(wrong)


@pytest.mark.parametrize("missing", list(MESSAGE))
async def test_what_is_no_request_is_answered_by_nobody(missing: str) -> None:
    with pytest.raises(ValueError):
        await answer_relayed({name: value for name, value in MESSAGE.items() if name != missing}, say)
    with pytest.raises(ValueError):
        await answer_relayed({**MESSAGE, missing: 7}, say)
