"""The answers of the IAM and STS query API, as XML. Knows no key, and decides nothing.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html and its neighbours
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from gateway.iam.errors import IamError
from gateway.iam.request import IamAnswer
from gateway.s3.xml import DECLARATION, element


class Service(NamedTuple):
    """`version`: the only one spoken."""

    version: str
    namespace: str


IAM: Final = Service("2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/")
STS: Final = Service("2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/")
SERVICES: Final = {b"iam": IAM, b"sts": STS}


def answer_document(action: str, service: Service, result: str | None, request_id: str) -> bytes:
    """`result`: what stands in the Result, written already; None for actions without one."""
    inside = "" if result is None else f"<{action}Result>{result}</{action}Result>"
    metadata = f"<ResponseMetadata>{element('RequestId', request_id)}</ResponseMetadata>"
    root = f'{action}Response xmlns="{service.namespace}"'
    return f"{DECLARATION}<{root}>{inside}{metadata}</{action}Response>\n".encode()


def error_document(error: IamError, service: Service, request_id: str) -> bytes:
    kind = "Sender" if error.code.status < 500 else "Receiver"
    inside = element("Type", kind) + element("Code", error.code.wire_name) + element("Message", error.message)
    ending = element("RequestId", request_id)
    root = f'ErrorResponse xmlns="{service.namespace}"'
    return f"{DECLARATION}<{root}><Error>{inside}</Error>{ending}</ErrorResponse>\n".encode()


def whole(status: int, body: bytes, request_id: str) -> IamAnswer:
    headers = [
        (b"content-type", b"text/xml"),
        (b"cache-control", b"no-store"),
        (b"x-amzn-requestid", request_id.encode()),
    ]
    return IamAnswer(status, headers, body)


def refusal(error: IamError, service: Service, request_id: str) -> IamAnswer:
    return whole(error.code.status, error_document(error, service, request_id), request_id)


def fields(values: Mapping[str, str | None]) -> str:
    """Elements in order; a value that is not there is left out."""
    return "".join(element(name, value) for name, value in values.items() if value is not None)


def structure(name: str, values: Mapping[str, str | None]) -> str:
    return f"<{name}>{fields(values)}</{name}>"


def members(name: str, inside: Iterable[str]) -> str:
    """A list; `inside`: of each member, written already."""
    return f"<{name}>{''.join(f'<member>{one}</member>' for one in inside)}</{name}>"


def tag_members(tags: Mapping[str, str]) -> str:
    return members("Tags", [fields({"Key": name, "Value": value}) for name, value in tags.items()])


def page_end(marker: str | None) -> str:
    """`marker`: where the next page begins, None = this was the last."""
    return fields({"IsTruncated": "false" if marker is None else "true", "Marker": marker})
