"""A request to IAM or STS that came in by the S3 listener, and its answer, as messages: text, and octets as hex."""

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.iam.request import IamAnswer, IamRequest

Message = dict[str, Any]


def request_message(request: IamRequest) -> Message:
    return {
        "method": _text(request.method),
        "path": _text(request.raw_path),
        "query": _text(request.raw_query),
        "headers": _pairs(request.headers),
        "body": request.body.hex(),
        "source": request.source,
    }


def read_answer(message: Message) -> IamAnswer:
    """ValueError for what is none."""
    try:
        return IamAnswer(int(message["status"]), _read_pairs(message["headers"]), bytes.fromhex(message["body"]))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("that is no answer") from error


async def answer_relayed(message: Message, answer: Callable[[IamRequest], Awaitable[IamAnswer]]) -> Message:
    """`message`: as `request_message` makes it; ValueError for what is none. What comes back is for `read_answer`."""
    try:
        request = IamRequest(
            method=message["method"].encode("latin-1"),
            raw_path=message["path"].encode("latin-1"),
            raw_query=message["query"].encode("latin-1"),
            headers=_read_pairs(message["headers"]),
            body=bytes.fromhex(message["body"]),
            source=message["source"] + "",
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("that is no relayed request") from error
    status, headers, body = await answer(request)
    return {"status": status, "headers": _pairs(headers), "body": body.hex()}


def _text(octets: bytes) -> str:
    return octets.decode("latin-1")


def _pairs(headers: list[tuple[bytes, bytes]]) -> list[list[str]]:
    return [[_text(name), _text(value)] for name, value in headers]


def _read_pairs(told: list[list[str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told]
