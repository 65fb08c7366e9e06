"""Requests signed by botocore, the foreign judge, in the form in which the road takes them."""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from botocore.auth import HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.s3.addressing import Addressing
from gateway.s3.header_names import header_names
from gateway.s3.request import RequestHead, S3Request, parse_request
from gateway.sigv4.claim import Claim, ClaimRules, read_claim
from keystore.access_key import AccessKey, KnownKey, Status
from keystore.derived import derive_date_key
from keystore.scope import AllBuckets

ACCESS_KEY_ID = "NQAK0123456789abcdef"
SECRET = "0123456789abcdefghijABCDEFGHIJ0123456789"
NOW = 1_790_000_000  # 2026-09-21
HOST = "gw.example:9000"
RULES = ClaimRules(None, sigv2_presigned=True, reported_region=b"eu-test-1")
DUMMY = b"d" * 32
ADDRESSING = Addressing((), frozenset(), dot_segments=True)


class _Payload(S3SigV4Auth):
    """botocore's S3 signer with the payload line of the test."""

    line = "UNSIGNED-PAYLOAD"

    def payload(self, request: AWSRequest) -> str:
        return self.line


class _PinnedPayload(S3SigV4QueryAuth):
    """botocore's presigner with the payload line of the test."""

    line = "UNSIGNED-PAYLOAD"

    def payload(self, request: AWSRequest) -> str:
        return self.line


def _at(now: float) -> Any:
    moment = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    return patch("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: moment)


def _head(request: AWSRequest, extra: dict[str, str]) -> RequestHead:
    parts = urlsplit(request.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = {b"host": HOST.encode()}
    for name, value in [*request.headers.items(), *extra.items()]:
        octets = value if isinstance(value, bytes) else value.encode("latin-1")
        fields[name.lower().encode()] = octets.strip(b" \t")
    return RequestHead(request.method.encode(), target.encode("latin-1"), fields, header_names(tuple(fields)), 1)


def header_head(
    method: str = "GET",
    target: str = "/bucket/key",
    headers: dict[str, str] | None = None,
    *,
    payload_line: str = "UNSIGNED-PAYLOAD",
    now: float = NOW,
    region: str = "us-east-1",
    unsigned: dict[str, str] | None = None,
) -> RequestHead:
    """Signed in the header form. `target` must be encoded as it is to be sent."""
    request = AWSRequest(method=method, url=f"http://{HOST}{target}", headers=headers or {})
    with _at(now):
        signer = _Payload(Credentials(ACCESS_KEY_ID, SECRET), "s3", region)
        signer.line = payload_line
        signer.add_auth(request)
    return _head(request, unsigned or {})


def presigned_head(
    method: str = "GET",
    target: str = "/bucket/key",
    headers: dict[str, str] | None = None,
    *,
    expires: int = 300,
    now: float = NOW,
    unsigned: dict[str, str] | None = None,
    payload_line: str = "UNSIGNED-PAYLOAD",
) -> RequestHead:
    request = AWSRequest(method=method, url=f"http://{HOST}{target}", headers=headers or {})
    with _at(now):
        signer = _PinnedPayload(Credentials(ACCESS_KEY_ID, SECRET), "s3", "us-east-1", expires)
        signer.line = payload_line
        signer.add_auth(request)
    return _head(request, unsigned or {})


def presigned_v2_head(
    method: str = "GET",
    target: str = "/bucket/key",
    headers: dict[str, str] | None = None,
    *,
    expires: int = 300,
    now: float = NOW,
    unsigned: dict[str, str] | None = None,
) -> RequestHead:
    request = AWSRequest(method=method, url=f"http://{HOST}{target}", headers=headers or {})
    with patch("time.time", lambda: now):
        HmacV1QueryAuth(Credentials(ACCESS_KEY_ID, SECRET), expires).add_auth(request)
    return _head(request, unsigned or {})


def parsed(head: RequestHead) -> S3Request:
    return parse_request(head, ADDRESSING)


def claimed(head: RequestHead, rules: ClaimRules = RULES) -> tuple[S3Request, Claim]:
    request = parsed(head)
    return request, read_claim(request, rules)


def known_key(date: bytes, **changed: Any) -> KnownKey:
    """What the directory would return for ACCESS_KEY_ID."""
    fields: dict[str, Any] = {
        "access_key_id": ACCESS_KEY_ID,
        "account": "default",
        "label": "test",
        "scope": AllBuckets(),
        "status": Status.ACTIVE,
        "created_at": 1,
        "created_by": "test",
        **changed,
    }
    record = AccessKey(**fields)
    secret = SECRET.encode()
    return KnownKey(record, {date: derive_date_key(secret, date)}, lambda text: hmac.digest(secret, text, hashlib.sha1))
