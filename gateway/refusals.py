"""Why requests were refused, for whoever asks with a request id: kept cheaply, put into words when somebody asks.

Pure. What is kept is bounded and holds no secret: no signature, no Authorization, no customer's encryption key.
"""

import re
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from gateway.s3.errors import Code, S3Error
from gateway.s3.request import RequestHead

PER_ACCOUNT: Final = 20  # refusals between two takings, which are a quarter of a second apart
MAX_KEPT: Final = 500  # likewise, of all accounts; 1.5 MB at worst
MAX_TARGET: Final = 1024  # bytes
MAX_CANONICAL: Final = 2048
MAX_REASON: Final = 500  # characters

# Of a canonical request, the values of headers and parameters that are secrets.
_SECRET_LINES: Final = re.compile(
    rb"^((?:x-amz-(?:copy-source-)?server-side-encryption-customer-key|x-amz-security-token|authorization|cookie):).*$",
    re.MULTILINE,
)
_SECRET_PARAMETERS: Final = frozenset({b"x-amz-signature", b"x-amz-security-token", b"signature"})
_HIDDEN: Final = b"<hidden>"

_STEPS: Final[dict[Code, str]] = {
    Code.REQUEST_TIME_TOO_SKEWED: "clock",
    Code.INVALID_ACCESS_KEY_ID: "access key",
    Code.SIGNATURE_DOES_NOT_MATCH: "signature",
    Code.AUTHORIZATION_HEADER_MALFORMED: "credentials",
    Code.AUTHORIZATION_QUERY_PARAMETERS_ERROR: "credentials",
    Code.XAMZ_CONTENT_SHA256_MISMATCH: "body",
    Code.BAD_DIGEST: "body",
    Code.INCOMPLETE_BODY: "body",
    Code.NOT_IMPLEMENTED: "operation",
    Code.SERVICE_UNAVAILABLE: "keystore or store",
    Code.SLOW_DOWN: "limits",
}


class Refusal(NamedTuple):
    """`at`: Unix seconds. `account`: whose key it was, "" where the id is nobody's or none was named. `canonical`: the
    canonical request as the gateway saw it, of a signature that did not match."""

    request_id: str
    at: float
    code: str
    step: str
    reason: str
    access_key_id: str
    account: str
    bucket: str
    method: str
    target: str
    source: str
    canonical: str

    def json(self) -> dict[str, Any]:
        """With why it may have been so, in sentences."""
        return {**self._asdict(), "causes": causes(self)}


# As they are kept: what has to be decoded is decoded when it is told. Without the S3Error itself, which holds frames.
_Kept = tuple[bytes, float, Code, str, str, str, str, bytes, bytes, str, bytes]


class Refusals:
    """Of one event loop, since they were last taken. Of a flood the first of each account's keys, so that nobody's are
    pushed out by somebody else's; all ids that no key has are one account."""

    def __init__(self) -> None:
        self._kept: list[_Kept] = []
        self._counts: dict[str, int] = {}

    def keep(self, request_id: bytes, at: float, error: S3Error, head: RequestHead, source: str) -> None:
        """0.1 µs once there are enough."""
        account = error.account
        count = self._counts.get(account, 0)
        if count >= PER_ACCOUNT or len(self._kept) >= MAX_KEPT:
            return
        self._counts[account] = count + 1
        self._kept.append(
            (
                request_id,
                at,
                error.code,
                error.reason,
                error.named,
                account,
                error.bucket,
                head.method,
                head.target[:MAX_TARGET],
                source,
                error.canonical[:MAX_CANONICAL],
            )
        )

    def take(self) -> list[Refusal]:
        """The oldest first."""
        kept, self._kept = self._kept, []
        self._counts.clear()
        return [_read(one) for one in kept]


def _read(kept: _Kept) -> Refusal:
    request_id, at, code, reason, access_key_id, account, bucket, method, target, source, canonical = kept
    return Refusal(
        request_id.decode(),
        at,
        code.wire_name,
        _STEPS.get(code, "scope" if code is Code.ACCESS_DENIED else "request"),
        reason[:MAX_REASON],
        access_key_id,
        account,
        bucket,
        method.decode("ascii", "replace"),
        _target_without_secrets(target).decode("ascii", "replace"),
        source,
        _without_secrets(canonical).decode("utf-8", "replace"),
    )


def _without_secrets(canonical: bytes) -> bytes:
    """The last line may have been cut in the middle of a value: a secret that begins there is hidden all the same."""
    lines = _SECRET_LINES.sub(rb"\1" + _HIDDEN, canonical).split(b"\n")
    if len(lines) > 2:
        lines[2] = _query_without_secrets(lines[2])
    return b"\n".join(lines)


def _target_without_secrets(target: bytes) -> bytes:
    path, mark, query = target.partition(b"?")
    return path + mark + _query_without_secrets(query)


def _query_without_secrets(query: bytes) -> bytes:
    """Names are compared decoded, as whoever verifies them does."""
    pairs = []
    for pair in query.split(b"&"):
        name, sign, _ = pair.partition(b"=")
        pairs.append(name + sign + _HIDDEN if unquote_to_bytes(name).lower() in _SECRET_PARAMETERS else pair)
    return b"&".join(pairs)


def causes(refusal: Refusal) -> list[str]:
    """What usually lies behind it, the likeliest first. Sentences; [] where the reason says it all."""
    if refusal.step == "clock":
        return ["The client's clock is wrong, or the gateway's: compare both with a time server."]
    if refusal.step == "access key":
        return [
            "The key was revoked, deleted or has expired: `nqgate audit list --key ID` tells when.",
            "The client has the id of another store or another gateway.",
        ]
    if refusal.step == "signature":
        return _signature_causes(refusal)
    return []


def _signature_causes(refusal: Refusal) -> list[str]:
    found = []
    lines = refusal.canonical.split("\n")
    host = next((line.removeprefix("host:") for line in lines if line.startswith("host:")), "")
    if len(lines) > 1 and "%25" in lines[1]:
        found.append("The path came encoded twice (%25): the client or a proxy encodes what is encoded already.")
    found.append("The secret is not the one of this access key: it was cut off, or is another's.")
    if host:
        found.append(f"A proxy changed the Host: the gateway was asked for {host}. Pass on the client's.")
    found.append("A proxy changed the path (decoded it, took out // or a slash at the end) or a header that is signed.")
    return found
