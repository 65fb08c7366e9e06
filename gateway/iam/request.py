"""A request to the IAM and STS query API, and what its form says. Syntax only: nothing is believed yet.

Every part is bounded, and what is said twice is refused: two readers could differ on it. Knows no key.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from gateway.iam.errors import IamCode, IamError
from gateway.s3.errors import S3Error
from gateway.s3.uri import decode_query

MAX_BODY: Final = 65_536  # octets
MAX_PARAMETERS: Final = 256
MAX_TAGS: Final = 50  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MAX_VALUE: Final = 4096  # characters of one value
FORM: Final = b"application/x-www-form-urlencoded"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,127}\Z")
_TAG: Final = re.compile(r"Tags\.member\.([1-9][0-9]?)\.(Key|Value)\Z")
_ONCE: Final = frozenset(b"authorization content-length content-type host".split())


class IamRequest(NamedTuple):
    """As received. `raw_query`: without its `?`. `source`: the address it came from."""

    method: bytes
    raw_path: bytes
    raw_query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    source: str

    def __repr__(self) -> str:
        return f"IamRequest({self.method!r}, {self.raw_path!r}, {len(self.body)} octets, <hidden>)"


class IamAnswer(NamedTuple):
    """`body` may hold a new secret."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def __repr__(self) -> str:
        return f"IamAnswer({self.status}, {len(self.body)} octets, <hidden>)"


class Form(NamedTuple):
    """`parameters`: without Action, Version and tags. `tags`: in the order of their numbers."""

    action: str
    version: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]


def read_headers(request: IamRequest) -> dict[bytes, bytes]:
    """Lower-case names; values without outer blanks, those of a repeated name joined.

    IamError VALIDATION_ERROR for a repeated name that says who asks or what is sent.
    """
    headers: dict[bytes, bytes] = {}
    for sent, value in request.headers:
        name, trimmed = sent.lower(), value.strip(b" \t")
        if name not in headers:
            headers[name] = trimmed
        elif name in _ONCE or name.startswith(b"x-amz-"):
            raise invalid(f"the header {name.decode('latin-1')} was given twice")
        else:
            headers[name] = headers[name] + b"," + trimmed
    return headers


def check_shape(request: IamRequest, headers: Mapping[bytes, bytes]) -> None:
    """Everything is a form posted to `/`, without a query. IamError otherwise."""
    if request.method != b"POST" or request.raw_path != b"/" or request.raw_query:
        raise IamError(IamCode.MALFORMED_QUERY_STRING, "send a form with POST to / and without a query")
    if headers.get(b"content-type", FORM).partition(b";")[0].strip(b" \t").lower() != FORM:
        raise IamError(IamCode.MALFORMED_QUERY_STRING, f"the Content-Type must be {FORM.decode()}")
    if len(request.body) > MAX_BODY:
        raise invalid(f"the form has more than {MAX_BODY} octets")


def read_form(body: bytes) -> Form:
    """IamError MALFORMED_QUERY_STRING for what is no form, VALIDATION_ERROR for what is said twice or is too much."""
    pieces = [piece for piece in body.split(b"&") if piece]
    if len(pieces) > MAX_PARAMETERS:
        raise invalid(f"the form has more than {MAX_PARAMETERS} parameters")
    said: dict[str, str] = {}
    for piece in pieces:
        name, _, value = piece.partition(b"=")
        decoded = _text(name)
        if not _NAME.match(decoded):
            raise IamError(IamCode.MALFORMED_QUERY_STRING, "a parameter has a name that none has")
        if decoded in said:
            raise invalid(f"the parameter {decoded} was given twice")
        said[decoded] = _text(value)
        if len(said[decoded]) > MAX_VALUE:
            raise invalid(f"the parameter {decoded} has more than {MAX_VALUE} characters")
    action, version = said.pop("Action", ""), said.pop("Version", "")
    if not action:
        raise IamError(IamCode.INVALID_ACTION, "the form names no Action")
    tags = _read_tags({name: said.pop(name) for name in list(said) if name.startswith("Tags.")})
    return Form(action, version, said, tags)


def _text(octets: bytes) -> str:
    try:
        return decode_query(octets).decode()
    except (S3Error, UnicodeDecodeError):
        raise IamError(IamCode.MALFORMED_QUERY_STRING, "the form is not percent-encoded UTF-8") from None


def _read_tags(said: dict[str, str]) -> dict[str, str]:
    halves: dict[int, dict[str, str]] = {}
    for name, value in said.items():
        found = _TAG.match(name)
        if found is None or int(found[1]) > MAX_TAGS:
            raise invalid(f"tags are Tags.member.N.Key and Tags.member.N.Value, N from 1 to {MAX_TAGS}")
        halves.setdefault(int(found[1]), {})[found[2]] = value
    tags: dict[str, str] = {}
    for _, tag in sorted(halves.items()):
        if tag.keys() != {"Key", "Value"}:
            raise invalid("a tag has a Key and a Value")
        if tag["Key"] in tags:
            raise invalid(f"the tag {tag['Key']} was given twice")
        tags[tag["Key"]] = tag["Value"]
    return tags


def invalid(message: str) -> IamError:
    return IamError(IamCode.VALIDATION_ERROR, message)
