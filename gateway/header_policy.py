"""Which request headers go on to the store: one table, one verdict per name, default deny.

A name that begins with `x-amz-` and has no row is refused with 501 (it may name another bucket, a sink, an archive to
unpack); any other name without a row is dropped. Nothing here reads the body, the clock or the store.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

from gateway.s3.errors import Code, S3Error
from gateway.s3.operation import Body, Operation
from gateway.sigv4.verify import Authenticated
from keystore.scope import Permission

# (name, value, who asks, for which operation) → the value to forward, None to keep it here, or an S3Error.
Gate = Callable[[bytes, bytes, Authenticated, Operation], bytes | None]

# RFC 9110, 5.5: visible characters, blanks and obs-text. CR, LF, NUL and the other controls never leave.
_UNSENDABLE: Final = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")
# RFC 9110, 5.1: a token. Parsed names are one already; those hoisted out of a presigned query need not be.
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+\Z")
_ALLOWED_ACLS: Final = frozenset({b"private", b"bucket-owner-read", b"bucket-owner-full-control"})
_ORDINARY_CONNECTIONS: Final = frozenset({b"keep-alive", b"Keep-Alive", b"close"})


def _forward(name: bytes, value: bytes, asking: Authenticated, operation: Operation) -> bytes | None:
    return value


def _keep(name: bytes, value: bytes, asking: Authenticated, operation: Operation) -> bytes | None:
    return None


def _without_aws_chunked(name: bytes, value: bytes, asking: Authenticated, operation: Operation) -> bytes | None:
    """Content-Encoding as the object has it: the transport's `aws-chunked` tokens are gone."""
    if b"aws-chunked" not in value.lower():
        return value
    tokens = [token.strip(b" \t") for token in value.split(b",")]
    return b",".join(token for token in tokens if token and token.lower() != b"aws-chunked") or None


def _of_object_body(name: bytes, value: bytes, asking: Authenticated, operation: Operation) -> bytes | None:
    """Describes the bytes of the body: true upstream only where the body passes unchanged."""
    return value if operation.body is Body.OBJECT else None


def _checksum(name: bytes, value: bytes, asking: Authenticated, operation: Operation) -> bytes | None:
    """A control document is rebuilt, so its checksum no longer holds; on CompleteMultipartUpload it is the object's."""
    return None if operation.body is Body.CONTROL and operation.checksum_in_headers else value


def _canned_acl(name: bytes, value: bytes, asking: Authenticated, operation: Operation) -> bytes | None:
    if value in _ALLOWED_ACLS:
        return value
    raise _denied(name, "it would open data to readers without an access key")


def _never(name: bytes, value: bytes, asking: Authenticated, operation: Operation) -> bytes | None:
    raise _denied(name, "it would open data to readers without an access key")


def _configuring(name: bytes, value: bytes, asking: Authenticated, operation: Operation) -> bytes | None:
    """Locks, holds and their bypass are configuration, which only Full grants; whose the bucket is was asked before."""
    if Permission.CONFIGURE in asking.access_key.granted(asking.request.bucket):
        return value
    raise _denied(name, "the access key lacks the right to configure this bucket")


def _bypass(name: bytes, value: bytes, asking: Authenticated, operation: Operation) -> bytes | None:
    return None if value.lower() == b"false" else _configuring(name, value, asking, operation)


def _ownership(name: bytes, value: bytes, asking: Authenticated, operation: Operation) -> bytes | None:
    """The other two values bring ACLs back."""
    if value == b"BucketOwnerEnforced":
        return _configuring(name, value, asking, operation)
    raise _denied(name, "only BucketOwnerEnforced is allowed")


def _expected_owner(name: bytes, value: bytes, asking: Authenticated, operation: Operation) -> bytes | None:
    """An assertion of the client, checked here: to the store the owner is somebody else."""
    if value.decode("latin-1") == asking.access_key.account:
        return None
    raise S3Error(Code.ACCESS_DENIED, f"{name.decode()} is not the account")


def _token(name: bytes, value: bytes, asking: Authenticated, operation: Operation) -> bytes | None:
    raise S3Error(Code.INVALID_TOKEN, f"a session token in {name.decode()}")


def _copied(name: bytes, value: bytes, asking: Authenticated, operation: Operation) -> bytes | None:
    """Parsed, authorized and written anew where the operation copies; nothing to be carried along elsewhere."""
    if operation.copies:
        return None
    raise S3Error(
        Code.INVALID_REQUEST,
        f"x-amz-copy-source on {operation.name}",
        message="x-amz-copy-source is not allowed on this operation.",
    )


def _denied(name: bytes, why: str) -> S3Error:
    return S3Error(Code.ACCESS_DENIED, f"{name.decode()}: {why}", message=f"Access Denied: {name.decode()}, {why}.")


def _unsupported(name: bytes) -> S3Error:
    text = repr(name)[2:-1]  # hoisted out of a query it can hold anything
    return S3Error(
        Code.NOT_IMPLEMENTED,
        f"header {text}",
        message=f"A header you provided implies functionality that is not implemented: {text}.",
        extra=(("Header", text),),
    )


_ALGORITHMS: Final = b"crc32 crc32c crc64nvme sha1 sha256 sha512 md5 xxhash64 xxhash3 xxhash128".split()
_SSE_C: Final = b"algorithm key key-md5".split()

_PASS: Final = (
    b"content-type content-language content-disposition cache-control expires "
    # If-Range beside Range: without it a resumed download could join two versions of an object.
    b"range if-range if-match if-none-match if-modified-since if-unmodified-since "
    b"x-amz-tagging x-amz-tagging-directive x-amz-metadata-directive x-amz-storage-class "
    b"x-amz-server-side-encryption x-amz-server-side-encryption-aws-kms-key-id "
    b"x-amz-server-side-encryption-bucket-key-enabled x-amz-server-side-encryption-context "
    b"x-amz-copy-source-if-match x-amz-copy-source-if-none-match x-amz-copy-source-if-modified-since "
    b"x-amz-copy-source-if-unmodified-since x-amz-copy-source-range "
    b"x-amz-checksum-algorithm x-amz-checksum-type x-amz-checksum-mode "
    b"x-amz-object-attributes x-amz-optional-object-attributes x-amz-max-parts x-amz-part-number-marker "
    b"x-amz-mp-object-size x-amz-if-match-initiated-time x-amz-if-match-last-modified-time x-amz-if-match-size "
    b"x-amz-website-redirect-location x-amz-request-payer "
    # Terraform sends it with every lifecycle: how small an object is not moved. No rule that passes moves any.
    b"x-amz-transition-default-minimum-object-size"
).split()
# What describes the hop or the client's signature; the store gets its own. Names without a row are dropped too:
# these stand here because they come with every request, or begin with x-amz-.
_CONSUMED: Final = frozenset(
    b"host authorization date user-agent accept accept-encoding content-length transfer-encoding connection expect "
    b"amz-sdk-invocation-id amz-sdk-request x-amz-user-agent x-amz-te x-amz-decoded-content-length x-amz-trailer "
    b"x-amz-date x-amz-content-sha256 x-amz-api-version".split()  # the last: C++ SDK, always 2006-03-01
)

VERDICTS: Final[dict[bytes, Gate]] = {
    **dict.fromkeys(_PASS, _forward),
    **dict.fromkeys((b"x-amz-server-side-encryption-customer-" + part for part in _SSE_C), _forward),
    **dict.fromkeys((b"x-amz-copy-source-server-side-encryption-customer-" + part for part in _SSE_C), _forward),
    **dict.fromkeys(_CONSUMED, _keep),
    b"content-encoding": _without_aws_chunked,
    b"content-md5": _of_object_body,
    **dict.fromkeys((b"x-amz-checksum-" + algorithm for algorithm in _ALGORITHMS), _checksum),
    b"x-amz-sdk-checksum-algorithm": _checksum,
    b"x-amz-acl": _canned_acl,
    **dict.fromkeys((b"x-amz-grant-" + who for who in b"full-control read read-acp write write-acp".split()), _never),
    b"x-amz-bypass-governance-retention": _bypass,
    b"x-amz-bucket-object-lock-enabled": _configuring,
    b"x-amz-object-lock-mode": _configuring,
    b"x-amz-object-lock-retain-until-date": _configuring,
    b"x-amz-object-lock-legal-hold": _configuring,
    b"x-amz-object-ownership": _ownership,
    b"x-amz-expected-bucket-owner": _expected_owner,
    b"x-amz-source-expected-bucket-owner": _expected_owner,
    b"x-amz-security-token": _token,
    b"x-amz-s3session-token": _token,
    b"x-amz-copy-source": _copied,
}
_META: Final = b"x-amz-meta-"
# On these, MinIO and RustFS unpack an archive into object keys that nobody checked (GHSA-f4vq, CVE-2026-40344).
_UNPACKING: Final = (_META + b"snowball", _META + b"minio-snowball")


def _unlisted(name: bytes) -> Gate:
    if not name.startswith(b"x-amz-"):
        return _keep
    if not name.startswith(_META) or name.replace(b"_", b"-").startswith(_UNPACKING):
        raise _unsupported(name)
    if not _NAME.match(name):
        raise S3Error(Code.INVALID_ARGUMENT, "a metadata name that is not a token", message="Invalid metadata name.")
    return _forward


def choose_headers(asking: Authenticated, operation: Operation) -> list[tuple[bytes, bytes]]:
    """The headers that go on with this request, each name once, no value with a control character.

    Raises S3Error: 501 for an x-amz-* header without a row, 403 for what the key may not say, 400 for what cannot be
    sent or came twice.
    """
    request = asking.request
    headers, names = request.headers, request.names
    gates: _Gates | None = names.memo.get(_gates)
    if gates is None or headers is not request.all_headers:
        gates = _gates(headers)
        if headers is request.all_headers:
            names.remember(_gates, gates)
    chosen: list[tuple[bytes, bytes]] = []
    for name, gate in gates:
        value = headers[name]
        if gate is not _forward:
            passed = gate(name, value, asking, operation)
            if passed is None:
                continue
            value = passed
        if _UNSENDABLE.search(value):
            raise _unsendable(name)
        chosen.append((name, value))
    if names.repeated:
        _refuse_repeated(names.repeated)
    if names.framing:
        connection = headers.get(b"connection")
        if connection is not None and connection not in _ORDINARY_CONNECTIONS:
            _refuse_listed(chosen, connection)
    return chosen


_Gates = list[tuple[bytes, Gate]]


def _gates(names: Iterable[bytes]) -> _Gates:
    """Which of these names are asked about, and by what; consumed ones are not. Concluded once for a head's names."""
    return [(name, VERDICTS.get(name) or _unlisted(name)) for name in names if name not in _CONSUMED]


def _unsendable(name: bytes) -> S3Error:
    return S3Error(
        Code.INVALID_ARGUMENT,
        f"a control character in {name.decode()}",
        message=f"The value of {name.decode()} has a character that a header cannot carry.",
    )


def _refuse_repeated(repeated: frozenset[bytes]) -> None:
    """Stores take the first or the last of two; only the values of x-amz-meta-* are a list, joined with commas."""
    for name in repeated:
        if VERDICTS.get(name, _keep) is not _keep:
            text = name.decode()
            raise S3Error(Code.INVALID_REQUEST, f"{text} came twice", message=f"{text} was sent more than once.")


def _refuse_listed(chosen: list[tuple[bytes, bytes]], connection: bytes) -> None:
    """RFC 9110, 7.6.1: Connection lists what is for this hop, and must not list what is for the end. Nobody signs it:
    dropping what it lists would let the holder of a presigned URL take a condition out that its issuer put in."""
    listed = {token.strip(b" \t") for token in connection.lower().split(b",")}
    for name, _ in chosen:
        if name in listed:
            raise S3Error(
                Code.INVALID_REQUEST,
                f"Connection lists {name.decode()}",
                message=f"Connection must not list {name.decode()}.",
            )
