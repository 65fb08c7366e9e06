"""A request to IAM or STS that came in by the S3 listener: as a worker hands it on, and its answer as it goes back."""

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.iam.request import IamAnswer, IamRequest


async def answer_relayed(
    message: dict[str, Any], answer: Callable[[IamRequest], Awaitable[IamAnswer]]
) -> dict[str, Any]:
    """`message`: method, target, headers and source as text, body as hex. ValueError for what is none."""
    try:
        path, _, query = message["target"].partition("?")
        request = IamRequest(
            method=message["method"].encode("latin-1"),
            raw_path=path.encode("latin-1"),
            raw_query=query.encode("latin-1"),
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in message["headers"]],
            body=bytes.fromhex(message["body"]),
            source=message["source"] + "",
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("that is no relayed request") from error
    status, headers, body = await answer(request)
    told = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]
    return {"status": status, "headers": told, "body": body.hex()}
