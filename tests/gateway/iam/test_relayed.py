from typing import Any

import pytest

from gateway.iam.relayed import answer_relayed
from gateway.iam.request import IamAnswer, IamRequest

MESSAGE: dict[str, Any] = {
    "method": "POST",
    "target": "/?a=b?c",
    "headers": [["host", "gateway"], ["x-odd", "\xff"]],
    "body": "00ff",
    "source": "192.0.2.1",
}


async def say(request: IamRequest) -> IamAnswer:
    assert request == IamRequest(
        b"POST", b"/", b"a=b?c", [(b"host", b"gateway"), (b"x-odd", b"\xff")], b"\0\xff", "192.0.2.1"
    )
    return IamAnswer(403, [(b"content-type", b"text/xml")], b"<no/>\xff")


async def test_octets_arrive_as_they_were_and_go_back_as_they_are() -> None:
    assert await answer_relayed(MESSAGE, say) == {
        "status": 403,
        "headers": [["content-type", "text/xml"]],
        "body": b"<no/>\xff".hex(),
    }


@pytest.mark.parametrize("missing", list(MESSAGE))
async def test_what_is_no_request_is_answered_by_nobody(missing: str) -> None:
    with pytest.raises(ValueError):
        await answer_relayed({name: value for name, value in MESSAGE.items() if name != missing}, say)
    with pytest.raises(ValueError):
        await answer_relayed({**MESSAGE, missing: 7}, say)
