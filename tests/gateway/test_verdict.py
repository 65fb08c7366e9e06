"""Which rule decides, in words; and the same answer as a request gets."""

import pytest

from gateway.authorize import Policy
from gateway.s3.errors import Code, S3Error
from gateway.s3.operation import OPERATIONS, Body, Level
from gateway.s3.profile import PROFILES
from gateway.verdict import Question, Verdict, read_operation, verdict
from keystore.access_key import AccessKey, Status
from keystore.errors import InvalidInput
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, Rights, Scope, SpecificBuckets
from tests.support.admitted import admit, unclaimed

POLICY = Policy(PROFILES["aws"], frozenset(), dot_segments=False)
TEAM = SpecificBuckets((BucketGrant("aaa", Rights.READ_WRITE, "team/"), BucketGrant("bbb", Rights.READ_ONLY)))
NOW = 1000.0


def key(scope: Scope = TEAM, **changed: object) -> AccessKey:
    fields: dict[str, object] = {"status": Status.ACTIVE, "created_at": 0, "created_by": "test", **changed}
    return AccessKey("NQAKone", "default", "label", scope, **fields)  # type: ignore[arg-type]


def told(access_key: AccessKey, operation: str, target: str, source: str | None = None) -> Verdict:
    bucket, _, object_key = target.partition("/")
    return verdict(
        access_key, Question(read_operation(operation), bucket, object_key.encode(), source), POLICY, NOW, unclaimed
    )


@pytest.mark.parametrize(
    ("operation", "target", "allowed", "rule"),
    [
        ("GetObject", "aaa/team/a", True, "bucket aaa, read_write, prefix team/"),
        (
            "getobject",
            "aaa/other",
            False,
            "GetObject would reach beyond what the key has: bucket aaa, read_write, pref",
        ),
        ("GetObject", "ccc/k", False, "the bucket ccc is not in the scope: aaa, bbb"),
        ("PutObject", "bbb/k", False, "PutObject needs the permission write, and the key has bucket bbb, read_only"),
        ("ListObjectsV2", "aaa/team/", True, "bucket aaa"),
        ("ListObjectsV2", "aaa", False, "ListObjectsV2 would reach beyond"),
        ("DeleteObjects", "aaa/team/a", True, "bucket aaa"),
        ("DeleteObjects", "aaa/other", False, "DeleteObjects would reach beyond"),
        ("DeleteBucket", "aaa", False, "DeleteBucket needs the permission configure"),
        ("CreateBucket", "aaa", False, "only a key for All Buckets with full rights makes buckets"),
        ("PutBucketPolicy", "aaa", False, "PutBucketPolicy is refused for every access key"),
        ("RestoreObject", "aaa/team/a", False, "RestoreObject is not offered"),
        ("ListBuckets", "", True, "every key may list buckets"),
    ],
)
def test_the_rule_that_decides_is_named(operation: str, target: str, allowed: bool, rule: str) -> None:
    answer = told(key(), operation, target)
    assert answer.allowed is allowed
    assert answer.rule.startswith(rule)


def test_a_key_that_ended_or_is_elsewhere_may_nothing() -> None:
    assert told(key(status=Status.REVOKED), "GetObject", "bbb/k") == (False, "the access key has been revoked")
    assert told(key(expires_at=1000), "GetObject", "bbb/k") == (False, "the access key has expired")
    limited = key(source_cidrs=("10.0.0.0/8",))
    assert told(limited, "GetObject", "bbb/k", "10.1.1.1").allowed
    assert told(limited, "GetObject", "bbb/k").allowed
    assert not told(limited, "GetObject", "bbb/k", "192.0.2.1").allowed


def test_all_buckets_are_those_of_the_account() -> None:
    assert told(key(AllBuckets()), "GetObject", "any/k") == (True, "All Buckets, full")
    foreign = AccessKey("NQAKone", "other", "label", AllBuckets(), Status.ACTIVE, 0, "test")
    assert told(foreign, "GetObject", "any/k") == (False, "the bucket any does not belong to the account other")


def test_what_is_no_operation_is_said_so() -> None:
    with pytest.raises(InvalidInput):
        read_operation("FetchObject")


SCOPES: list[Scope] = [TEAM, AllBuckets(), AllBuckets(Rights.READ_ONLY), SpecificBuckets((BucketGrant("aaa"),))]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("target", ["aaa/team/a", "aaa/other", "bbb/k", "ccc/k"])
def test_a_request_gets_the_same_answer(scope: Scope, target: str) -> None:
    bucket, _, object_key = target.partition("/")
    for operation in OPERATIONS:
        if operation.level is Level.SERVICE or operation.copies or operation.needs or operation.body is Body.CONTROL:
            continue
        path = f"/{target}" if operation.level is Level.OBJECT else f"/{bucket}"
        value = {"list-type": "2", "uploadId": "u"}.get((operation.selector or b"").decode(), "")
        query = f"?{operation.selector.decode()}={value}" if operation.selector else ""
        if operation.name.startswith("ListObject") or operation.name == "ListMultipartUploads":
            query += f"{'&' if query else '?'}prefix={object_key}"
        if operation.name == "PostObject" or operation.name == "CreateBucket":
            continue
        try:
            admit(operation.method.decode(), path + query, scope=scope)
            passes = True
        except S3Error as error:
            if error.code not in (Code.ACCESS_DENIED, Code.NOT_IMPLEMENTED):
                raise
            passes = False
        answer = verdict(key(scope), Question(operation, bucket, object_key.encode()), POLICY, NOW, unclaimed)
        assert answer.allowed is passes, (operation.name, answer.rule)


def test_a_key_for_no_bucket_lists_none_and_reaches_none() -> None:
    nothing = key(NoBuckets(), manage_keys=True)
    assert told(nothing, "ListBuckets", "").allowed
    for operation in ("GetObject", "PutObject", "HeadBucket", "CreateBucket"):
        assert not told(nothing, operation, "aaa/k").allowed
    assert told(nothing, "GetObject", "aaa/k").rule == "the access key reaches no bucket"
