"""May this access key do this? Every bucket a request names becomes a demand; every demand must be granted.

The one place where an `Authorized` is built. It knows the key's grants, the operation table and the header policy; it
does not know the store, the clock or the body. The order is the law: source → operation → buckets → rights → headers →
body.
"""

from functools import partial
from typing import Final, NamedTuple

from gateway.header_policy import choose_headers
from gateway.payload.checksums import ALGORITHMS
from gateway.payload.mode import EMPTY_SHA256
from gateway.s3.control import Refused, delete_objects, rebuild_control
from gateway.s3.copy_source import CopySource, parse_copy_source
from gateway.s3.errors import Code, S3Error
from gateway.s3.operation import Body, Level, Operation, classify
from gateway.s3.profile import Profile
from gateway.s3.request import S3Request
from gateway.sigv4.verify import Authenticated
from keystore.access_key import AccessKey, TenureOf
from keystore.scope import Permission

_DIGESTS: Final = frozenset({b"content-md5", *(b"x-amz-checksum-" + algorithm for algorithm in ALGORITHMS)})
SERVICE: Final = "/"  # stands for the bucket of ListBuckets; no bucket can have this name
# Sub-resources that open data to readers without an access key, or name another bucket or sink. They are
# refused for every key; in its own buckets a key that only reads them is told NotImplemented, which clients such as
# s3cmd take for "there is none": docs/decisions/client-matrix.md.
_OPENING: Final = frozenset(
    b"acl policy policyStatus publicAccessBlock ownershipControls website cors replication logging notification "
    b"inventory analytics session abac metadataConfiguration metadataTable metadataAnnotationTable "
    b"metadataInventoryTable metadataJournalTable".split()
)
_READS: Final = ("Get", "List")
_OBJECT: Final = Level.OBJECT  # bound once: a member looked up in its class costs 0.08 µs each time
_CREATE_BUCKET: Final = Permission.CREATE_BUCKET
_LISTS: Final = frozenset({"ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"})
# They touch no object, or say which in their body. Every other request to a bucket is for all that is in it.
_WITHOUT_OBJECTS: Final = frozenset(
    {"HeadBucket", "GetBucketLocation", "GetBucketVersioning", "CreateBucket", "DeleteObjects"}
)


class Policy(NamedTuple):
    """What the operator configured. `allow_operations`: names of operations otherwise refused for every key."""

    profile: Profile
    allow_operations: frozenset[str]
    dot_segments: bool


class Demand:
    """One thing a request needs: `permission` in `bucket`. `begins`: what every object key begins with that it can
    touch or name, b"" = any; None: it touches none, or each is decided on when the body is read."""

    __slots__ = ("begins", "bucket", "permission")

    def __init__(self, permission: Permission, bucket: str, begins: bytes | None) -> None:
        self.permission = permission
        self.bucket = bucket
        self.begins = begins


class Authorized:
    """Proof that a verified key may do what its request asks. Built only by `authorize`.

    `asked`: what had to be granted, for it can be taken back while the request waits: `still_granted`.
    `headers`: what goes on to the store, chosen and checked, each name once. `only_probes`: a CreateBucket by a key
    that may not create, only ask: the store is asked whether the bucket is there, and nothing is made. `dot_segments`:
    whether object keys in the body may hold `.` and `..` segments. `refused`: objects that the body named and the key
    may not touch; the store does not hear of them.
    """

    __slots__ = (
        "access_key",
        "asked",
        "authenticated",
        "copy_source",
        "dot_segments",
        "headers",
        "only_probes",
        "operation",
        "refused",
        "request",
    )

    def __init__(
        self,
        authenticated: Authenticated,
        operation: Operation,
        asked: tuple[Demand, ...],
        copy_source: CopySource | None,
        headers: list[tuple[bytes, bytes]],
        only_probes: bool,
        dot_segments: bool,
    ) -> None:
        self.asked = asked
        self.authenticated = authenticated
        self.request = authenticated.request
        self.access_key = authenticated.access_key
        self.operation = operation
        self.copy_source = copy_source
        self.headers = headers
        self.only_probes = only_probes
        self.dot_segments = dot_segments
        self.refused: tuple[Refused, ...] = ()


def demands(request: S3Request, operation: Operation, copy_source: CopySource | None) -> tuple[Demand, ...]:
    """Everything that must be granted before the request may pass; never empty.

    Raises S3Error NOT_IMPLEMENTED for an operation without a permission, ACCESS_DENIED for one without a bucket.
    """
    permission = operation.permission
    if permission is None:
        raise _not_implemented(operation)
    if not request.bucket:
        if operation.name != "ListBuckets":
            raise S3Error(Code.ACCESS_DENIED, f"{operation.name} without a bucket")
        return (Demand(permission, SERVICE, None),)
    target = Demand(permission, request.bucket, _begins(request, operation))
    if copy_source is None:
        return (target,)
    return (target, Demand(Permission.READ, copy_source.bucket, copy_source.object_key))


def _begins(request: S3Request, operation: Operation) -> bytes | None:
    if operation.level is _OBJECT:
        return request.object_key
    if operation.name in _LISTS:
        return request.query.get(b"prefix", b"")
    return None if operation.name in _WITHOUT_OBJECTS else b""


def all_granted(asked: tuple[Demand, ...], access_key: AccessKey, tenure_of: TenureOf) -> bool:
    """No demand at all is a bug in a table, and refused: it must never be vacuously true.

    ListBuckets is open to every key: what it shows is filtered by scope. CreateBucket is asked before the name belongs
    to anybody: whether the account may take it is decided by the claim. What `tenure_of` raises passes.
    """
    for demand in asked:
        permission, bucket, begins = demand.permission, demand.bucket, demand.begins
        if bucket == SERVICE:
            continue
        if permission is _CREATE_BUCKET:
            if permission not in access_key.granted(bucket):
                return False
            continue
        if permission not in access_key.permissions(bucket, tenure_of):
            return False
        if begins is not None and access_key.prefixes and not access_key.reaches(bucket, begins):
            return False
    return bool(asked)


def authorize(authenticated: Authenticated, policy: Policy, tenure_of: TenureOf) -> Authorized:
    """The last gate before the store. `tenure_of`: whose a bucket is; what it raises passes.

    Raises S3Error: NOT_IMPLEMENTED for what is not offered, ACCESS_DENIED for what is not granted (the same answer
    whether or not a bucket exists), and what the header policy refuses. The body's own digests are still to be checked.
    """
    request, access_key = authenticated.request, authenticated.access_key
    # source
    if access_key.networks and not access_key.admits(request.source):
        raise S3Error(Code.ACCESS_DENIED, f"{access_key.access_key_id} may not be used from {request.source!r}")
    # operation
    operation = classify(request)
    if operation.permission is None or operation.name not in policy.profile.offered:
        operation = open_operation(operation, _probes(access_key, request.bucket, tenure_of), policy)
    if request.query and request.query.get(b"versionId") == b"":
        raise S3Error(Code.INVALID_ARGUMENT, "an empty versionId", message="Version id cannot be the empty string.")
    # buckets
    copy_source = _copy_source(request, policy) if operation.copies else None
    # rights
    only_probes = False
    asked = demands(request, operation, copy_source)
    if not all_granted(asked, access_key, tenure_of):
        if not may_only_probe(operation, _probes(access_key, request.bucket, tenure_of)):
            raise S3Error(Code.ACCESS_DENIED, f"{operation.name} is outside the grants of {access_key.access_key_id}")
        only_probes = True
    # headers
    headers = choose_headers(authenticated, operation)
    # body
    if operation.body is Body.NONE:
        _refuse_body(authenticated)
    elif operation.name == "DeleteObjects":
        _require_digest(request)
    return Authorized(authenticated, operation, asked, copy_source, headers, only_probes, policy.dot_segments)


def authorize_body(authorized: Authorized, body: bytes, upstream_region: bytes) -> bytes:
    """The document that goes to the store in place of `body`, whose digests held; b"" = none. What it names is decided
    like a path: objects out of reach are left out, and stand in `authorized.refused`.

    Raises S3Error MALFORMED_XML, INVALID_URI, KEY_TOO_LONG, INVALID_ARGUMENT, INVALID_REQUEST or NOT_IMPLEMENTED;
    ACCESS_DENIED for a document that leads out of the bucket.
    """
    if authorized.operation.name == "DeleteObjects":
        reaches = partial(authorized.access_key.reaches, authorized.request.bucket)
        document, authorized.refused = delete_objects(body, dot_segments=authorized.dot_segments, reaches=reaches)
        return document
    return rebuild_control(authorized.operation.name, body, upstream_region=upstream_region.decode("ascii"))


def still_granted(authorized: Authorized, tenure_of: TenureOf) -> bool:
    """Whether what was granted is granted still, the access key being unchanged: a bucket may have changed hands."""
    return all_granted(authorized.asked, authorized.access_key, tenure_of)


def still_holds(planned: Authorized, again: Authorized) -> bool:
    """Whether what was planned under one authorization may go out under a later one of the same request, which may be
    narrower: a body that was decided object by object would have to be decided again."""
    if again is planned:
        return True
    return again.only_probes is planned.only_probes and planned.operation.name != "DeleteObjects"


def _probes(access_key: AccessKey, bucket: str, tenure_of: TenureOf) -> bool:
    """Whether the key may know that the bucket is there."""
    return Permission.PROBE in access_key.permissions(bucket, tenure_of)


def open_operation(operation: Operation, in_scope: bool, policy: Policy) -> Operation:
    """The operation, where it is open to any key at all. `in_scope`: the key may know that the bucket is there.

    Raises S3Error NOT_IMPLEMENTED or ACCESS_DENIED.
    """
    if operation.permission is None:
        return _allowed_by_operator(operation, policy, in_scope)
    if operation.name not in policy.profile.offered:
        raise _not_implemented(operation)
    return operation


def _allowed_by_operator(operation: Operation, policy: Policy, in_scope: bool) -> Operation:
    """An operation refused for every key, unless the operator listed it; then it is configuration of the bucket.

    Its document would have to be read for every bucket it names: only those without one can be listed.
    """
    if operation.name in policy.allow_operations and operation.body is Body.NONE:
        return operation._replace(permission=Permission.CONFIGURE)
    if operation.selector in _OPENING and not (in_scope and operation.name.startswith(_READS)):
        raise S3Error(Code.ACCESS_DENIED, f"{operation.name} is refused for every access key")
    raise _not_implemented(operation)


def may_only_probe(operation: Operation, in_scope: bool) -> bool:
    """Clients make sure of their bucket by creating it: in scope they learn that it is there, as HeadBucket tells."""
    return operation.name == "CreateBucket" and in_scope


def _copy_source(request: S3Request, policy: Policy) -> CopySource:
    copy_source = parse_copy_source(request.headers[b"x-amz-copy-source"], dot_segments=policy.dot_segments)
    if copy_source.bucket in policy.profile.reserved:
        raise S3Error(Code.INVALID_BUCKET_NAME, "the copy source is a name the store reserves for itself")
    return copy_source


def _refuse_body(authenticated: Authenticated) -> None:
    """A Content-Length that went on without its body would take the next request's head for it."""
    request = authenticated.request
    if request.names.framing and _announces_body(request.headers):
        raise S3Error(
            Code.INVALID_REQUEST, "a body on an operation that takes none", message="This operation takes no body."
        )
    sha256 = authenticated.payload.sha256
    if sha256 is not None and sha256 != EMPTY_SHA256:
        raise S3Error(Code.XAMZ_CONTENT_SHA256_MISMATCH, "a hash of something, and no body")


def _announces_body(headers: dict[bytes, bytes]) -> bool:
    return b"transfer-encoding" in headers or bool(headers.get(b"content-length", b"").strip(b"0"))


def _require_digest(request: S3Request) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html: the body must come with a digest."""
    if not _DIGESTS.isdisjoint(request.headers):
        return
    raise S3Error(
        Code.INVALID_REQUEST,
        "DeleteObjects without a digest",
        message="Missing required header for this request: Content-MD5 OR x-amz-checksum-*.",
    )


def _not_implemented(operation: Operation) -> S3Error:
    return S3Error(
        Code.NOT_IMPLEMENTED,
        f"{operation.name} is not offered",
        message=f"{operation.name} is not implemented by this gateway or not offered by the store behind it.",
    )
