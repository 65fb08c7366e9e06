"""An `Authorized` without a signature: parsed and authorized for real, for tests of what comes after verification."""

from collections.abc import Callable, Iterable
from typing import Any, cast

from gateway.authorize import Authorized, Policy, authorize
from gateway.payload.mode import EMPTY_SHA256, Payload, PayloadMode
from gateway.pipeline import Lookups
from gateway.respond import ReplyHead
from gateway.s3.addressing import Addressing
from gateway.s3.header_names import header_names
from gateway.s3.profile import PROFILES
from gateway.s3.request import RequestHead, S3Request, parse_request
from gateway.sigv4.verify import Authenticated
from keystore.access_key import NO_DATE, AccessKey, KnownKey, Status, TenureOf
from keystore.bucket_claims import UNCLAIMED, Tenure
from keystore.scope import AllBuckets, Scope

NO_CLAIM = cast("Any", None)  # what stands behind verification never reads the claim


def access_key(scope: Scope, account: str = "default") -> AccessKey:
    return AccessKey("NQAK0123456789abcdef", account, "label", scope, Status.ACTIVE, 0, "test")


def unclaimed(bucket: str) -> Tenure:
    """Every bucket is the default account's."""
    return UNCLAIMED


def lookups_of(find: Callable[[str, bytes], KnownKey | None], tenure_of: TenureOf = unclaimed) -> Lookups:
    """Of a directory that is one function."""

    def record(access_key_id: str) -> AccessKey | None:
        known = find(access_key_id, NO_DATE)
        return None if known is None else known.access_key

    return Lookups(find, record, tenure_of)


def parsed(
    method: str, target: str, headers: dict[str, str], *, host: str = "gw.example", domains: Iterable[bytes] = ()
) -> S3Request:
    """The request of one head; header values are Latin-1, so that any byte can be said."""
    fields = {name.encode("latin-1"): value.encode("latin-1") for name, value in headers.items()}
    every = {b"host": host.encode(), **fields}
    head = RequestHead(method.encode(), target.encode(), every, header_names(tuple(every)), 1)
    return parse_request(head, Addressing(tuple(domains), frozenset(), dot_segments=False))


def authenticated(request: S3Request, access_key: AccessKey, sha256: bytes | None = EMPTY_SHA256) -> Authenticated:
    """As if a signature had held. `sha256`: the declared hash in lower-case hex, None for UNSIGNED-PAYLOAD. What stands
    in the query and as a header is taken for hoisted."""
    request.hoisted = frozenset(name for name in request.query if name.lower() in request.headers)
    mode = PayloadMode.UNSIGNED if sha256 is None else PayloadMode.SHA256
    return Authenticated(request, NO_CLAIM, access_key, Payload(mode, sha256))


def admit(
    method: str,
    target: str,
    headers: dict[str, str] | None = None,
    *,
    scope: Scope | None = None,
    account: str = "default",
    sha256: bytes | None = EMPTY_SHA256,
    profile: str = "aws",
    allow_operations: frozenset[str] = frozenset(),
    host: str = "gw.example",
    domains: Iterable[bytes] = (),
    tenure_of: TenureOf = unclaimed,
) -> Authorized:
    """Parse and authorize one request of a key with `scope` (All Buckets, Full, if not said)."""
    request = parsed(method, target, headers or {}, host=host, domains=domains)
    asking = authenticated(request, access_key(scope or AllBuckets(), account), sha256)
    return authorize(asking, Policy(PROFILES[profile], allow_operations, dot_segments=False), tenure_of)


def reply_head(status: int, headers: list[tuple[bytes, bytes]]) -> ReplyHead:
    """A store's reply, as the wire hands it over."""
    return ReplyHead(status, header_names(tuple([name for name, _ in headers])), [value for _, value in headers])
