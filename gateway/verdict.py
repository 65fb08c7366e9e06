"""May this access key do that, and which rule decides? The answer in words, for people who wonder about a 403.

It asks the same functions that decide requests, in their order, and adds only the words.
"""

from typing import Final, NamedTuple

from gateway.authorize import Demand, Policy, all_granted, demands, may_only_probe, open_operation
from gateway.s3.errors import S3Error
from gateway.s3.operation import OPERATIONS, Level, Operation
from gateway.s3.request import S3Request
from gateway.sigv4.verify import unusable
from keystore.access_key import AccessKey, TenureOf
from keystore.accounts import DEFAULT_ACCOUNT
from keystore.errors import InvalidInput
from keystore.scope import AllBuckets, Permission, grants_of

_BY_NAME: Final = {operation.name.lower(): operation for operation in OPERATIONS}


class Verdict(NamedTuple):
    """`rule`: a sentence without its full stop."""

    allowed: bool
    rule: str


class Question(NamedTuple):
    """`object_key`: of a list, the prefix asked for. `source`: the address it comes from, None = from a right one."""

    operation: Operation
    bucket: str
    object_key: bytes
    source: str | None = None


def read_operation(name: str) -> Operation:
    """By its name in the S3 API, upper or lower case. InvalidInput for one that is none."""
    operation = _BY_NAME.get(name.lower())
    if operation is None:
        raise InvalidInput(f"{name!r} is not an S3 operation; write GetObject, PutObject, ListObjectsV2, …")
    return operation


def verdict(access_key: AccessKey, question: Question, policy: Policy, now: float, tenure_of: TenureOf) -> Verdict:
    """The first rule that refuses, else the one that allows. `now`: Unix seconds. `tenure_of`: whose a bucket is.

    Whether bucket and object exist, what headers would be sent, and the source of a copy are other questions.
    """
    operation, bucket, object_key, source = question
    ended = unusable(access_key, now)
    if ended:
        return Verdict(False, f"the access key {ended}")
    if source is not None and not access_key.admits(source):
        return Verdict(
            False, f"the access key is good from {', '.join(access_key.source_cidrs)} only, not from {source}"
        )
    in_scope = Permission.PROBE in access_key.permissions(bucket, tenure_of)
    try:
        opened = open_operation(operation, in_scope, policy)
    except S3Error as error:
        return Verdict(False, error.reason)
    if operation.name == "ListBuckets":
        return Verdict(True, "every key may list buckets; it sees those it reaches")
    asked = demands(_request(opened, bucket, object_key), opened, None)
    if opened.name == "DeleteObjects":  # decided object by object, when the body is read
        asked = (*asked, Demand(Permission.DELETE, bucket, object_key))
    if all_granted(asked, access_key, tenure_of):
        owner = tenure_of(bucket).account
        if owner not in (access_key.account, DEFAULT_ACCOUNT):  # CreateBucket: asked before a name is claimed
            return Verdict(False, f"the bucket {bucket} belongs to the account {owner}")
        return Verdict(True, _granted(access_key, bucket))
    if may_only_probe(opened, in_scope):
        return Verdict(
            False, "only a key for All Buckets with full rights makes buckets; it learns whether this one exists"
        )
    return Verdict(False, _refused(access_key, opened, bucket, tenure_of))


def _request(operation: Operation, bucket: str, object_key: bytes) -> S3Request:
    """As much of a request as its demands follow from."""
    request = S3Request()
    request.bucket = bucket
    request.object_key = object_key if operation.level is Level.OBJECT else b""
    request.query = {b"prefix": object_key}
    return request


def _granted(access_key: AccessKey, bucket: str) -> str:
    if isinstance(access_key.scope, AllBuckets):
        return f"All Buckets, {access_key.scope.rights.value}"
    (grant,) = (grant for grant in grants_of(access_key.scope) if grant.name == bucket)
    within = f", prefix {grant.prefix}" if grant.prefix else ""
    return f"bucket {bucket}, {grant.rights.value}{within}"


def _refused(access_key: AccessKey, operation: Operation, bucket: str, tenure_of: TenureOf) -> str:
    permissions = access_key.permissions(bucket, tenure_of)
    if not access_key.granted(bucket) and not isinstance(access_key.scope, AllBuckets):
        named = ", ".join(grant.name for grant in grants_of(access_key.scope))
        return f"the bucket {bucket} is not in the scope: {named}" if named else "the access key reaches no bucket"
    if not permissions and tenure_of(bucket).account != access_key.account:
        return f"the bucket {bucket} does not belong to the account {access_key.account}"
    if not permissions:
        return f"the name {bucket} was granted for another bucket than the one that has it now"
    granted = _granted(access_key, bucket)
    if operation.permission not in permissions:
        needed = "" if operation.permission is None else operation.permission.value
        return f"{operation.name} needs the permission {needed}, and the key has {granted}"
    return f"{operation.name} would reach beyond what the key has: {granted}"
