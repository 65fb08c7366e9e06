"""Configuring a bucket and locking its objects through the gateway: what arrives, what never does, what comes of it."""

import base64
import hashlib
import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gateway.s3.xml import DECLARATION, NAMESPACE
from tests.support.attacks import OURS_WITH_BODY, names, refusal
from tests.support.gateway_process import Gateway
from tests.support.house import Recorded, on_stores
from tests.support.raw_client import Signer

pytestmark = pytest.mark.server  # real stores, and keys of their own

DENIED = (403, "AccessDenied")
MALFORMED = (400, "MalformedXML")
INVALID = (400, "InvalidArgument")
NOT_IMPLEMENTED = (501, "NotImplemented")
DEFAULT = "ApplyServerSideEncryptionByDefault"
# Target → (root, what the document says, in the order it is written anew).
SAID = {
    "/aaa?lifecycle=": (
        "LifecycleConfiguration",
        "<Rule><ID>old logs</ID><Filter><And><Prefix>logs/</Prefix><Tag><Key>k</Key><Value>v&amp;w</Value></Tag></And>"
        "</Filter><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule>",
    ),
    "/aaa?encryption=": (
        "ServerSideEncryptionConfiguration",
        f"<Rule><{DEFAULT}><SSEAlgorithm>AES256</SSEAlgorithm></{DEFAULT}></Rule>",
    ),
    "/aaa?object-lock=": (
        "ObjectLockConfiguration",
        "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days>"
        "</DefaultRetention></Rule>",
    ),
    "/aaa/team/k?retention=": (
        "Retention",
        "<Mode>COMPLIANCE</Mode><RetainUntilDate>2090-01-01T00:00:00Z</RetainUntilDate>",
    ),
    "/aaa/team/k?legal-hold=": ("LegalHold", "<Status>ON</Status>"),
}
each_target = pytest.mark.parametrize("target", SAID)


@dataclass(frozen=True, slots=True)
class Configuring:
    """Keys with Full: for the bucket `aaa`, for team/ in it, for the bucket `bbb`. `reading`: `aaa` without Full."""

    full: Signer
    team: Signer
    other: Signer
    reading: Signer


@pytest.fixture(scope="module")
def configuring(_recorded: Recorded) -> Configuring:
    gateway = _recorded.gateway
    keys = [
        gateway.create_key("aaa", rights="full"),
        gateway.create_key("aaa", rights="full", prefix="team"),
        gateway.create_key("bbb", rights="full"),
        gateway.create_key("aaa", rights="read_write"),
    ]
    return Configuring(*[gateway.signer(key) for key in keys])


def document(target: str, inside: str | None = None) -> bytes:
    root, said = SAID[target]
    return f"<{root}>{said if inside is None else inside}</{root}>".encode()


def sent(signer: Signer, target: str, body: bytes, *headers: tuple[str, str]) -> bytes:
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    return signer.head("PUT", target, [("Content-MD5", md5), *headers], body=body) + body


# ---- what arrives ----


@each_target
def test_the_store_gets_the_document_written_anew_and_digests_of_its_own(
    recorded: Recorded, configuring: Configuring, target: str
) -> None:
    root, said = SAID[target]
    body = document(target, f"<?php x?><!-- bbb -->\r\n {said}").replace(b"<Status>", b"\n<Status>")
    checksum = ("x-amz-checksum-sha256", base64.b64encode(hashlib.sha256(body).digest()).decode())
    reply = recorded.ask(sent(configuring.full, target, body, checksum, ("x-amz-sdk-checksum-algorithm", "SHA256")))
    request = recorded.upstream.only_request()
    expected = f'{DECLARATION}<{root} xmlns="{NAMESPACE}">{said}</{root}>'.encode()
    assert (reply.status, request.line) == (200, f"PUT {target} HTTP/1.1".encode())
    assert bytes(request.body) == expected
    assert names(request) == OURS_WITH_BODY | {b"content-md5"}
    assert request.header(b"content-md5") == base64.b64encode(hashlib.md5(expected).digest())
    assert request.header(b"x-amz-content-sha256") == hashlib.sha256(expected).hexdigest().encode()


def test_a_version_and_a_bypass_go_with_a_retention(recorded: Recorded, configuring: Configuring) -> None:
    target = "/aaa/team/k?retention=&versionId=v1"
    body = b"<Retention></Retention>"
    bypass = ("x-amz-bypass-governance-retention", "true")
    assert recorded.ask(sent(configuring.full, target, body, bypass)).status == 200
    request = recorded.upstream.only_request()
    assert request.line == f"PUT {target} HTTP/1.1".encode()
    assert request.header(b"x-amz-bypass-governance-retention") == b"true"


@each_target
def test_a_document_whose_digest_does_not_hold_never_arrives(
    recorded: Recorded, configuring: Configuring, target: str
) -> None:
    other = document(target, "")
    head = sent(configuring.full, target, other)[: -len(other)]
    body = b"x" * len(other)
    assert refusal(recorded, head + body)[1] in ("BadDigest", "XAmzContentSHA256Mismatch")


# ---- who may ----


@each_target
def test_it_takes_full_in_that_bucket(recorded: Recorded, configuring: Configuring, target: str) -> None:
    for signer in (configuring.reading, configuring.other, recorded.scoped):
        assert refusal(recorded, sent(signer, target, document(target))) == DENIED
    for method in ("GET", "DELETE") if "/aaa?" in target and "lock" not in target else ("GET",):
        for signer in (configuring.reading, configuring.other):
            assert refusal(recorded, signer.head(method, target)) == DENIED


@each_target
def test_a_key_for_a_part_of_a_bucket_locks_its_own_objects_and_configures_nothing(
    recorded: Recorded, configuring: Configuring, target: str
) -> None:
    asked = sent(configuring.team, target, document(target))
    if "/team/" in target:
        assert recorded.ask(asked).status == 200
        beside = target.replace("/team/", "/other/")
        assert refusal(recorded, sent(configuring.team, beside, document(target))) == DENIED
    else:
        assert refusal(recorded, asked) == DENIED


# ---- what never arrives ----

RULE = "<Rule><Filter/><Status>Enabled</Status>{}</Rule>"
EXPIRES = "<Expiration><Days>1</Days></Expiration>"
REFUSED: dict[str, tuple[str, str, tuple[int, str]]] = {
    "a transition": ("/aaa?lifecycle=", RULE.format("<Transition><Days>1</Days></Transition>"), DENIED),
    "a transition beside an expiration": (
        "/aaa?lifecycle=",
        RULE.format(f"{EXPIRES}<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"),
        DENIED,
    ),
    "a transition of old versions": (
        "/aaa?lifecycle=",
        RULE.format(f"{EXPIRES}<NoncurrentVersionTransition><StorageClass>X</StorageClass></NoncurrentVersionTransition>"),
        DENIED,
    ),
    "a rule of MinIO's": (
        "/aaa?lifecycle=",
        RULE.format("<DelMarkerExpiration><Days>1</Days></DelMarkerExpiration>"),
        MALFORMED,
    ),
    "another bucket": ("/aaa?lifecycle=", RULE.format(EXPIRES) + "<Bucket>arn:aws:s3:::bbb</Bucket>", MALFORMED),
    "a rule for another bucket": ("/aaa?lifecycle=", RULE.format(f"<Bucket>bbb</Bucket>{EXPIRES}"), MALFORMED),
    "a filter that is text": (
        "/aaa?lifecycle=",
        RULE.format(EXPIRES).replace("<Filter/>", "<Filter>logs/</Filter>"),
        MALFORMED,
    ),
    "a prefix that walks": (
        "/aaa?lifecycle=",
        RULE.format(EXPIRES).replace("<Filter/>", "<Filter><Prefix>../bbb/</Prefix></Filter>"),
        INVALID,
    ),
    "days below one": ("/aaa?lifecycle=", RULE.format(EXPIRES.replace("1", "0")), INVALID),
    "1001 rules": ("/aaa?lifecycle=", RULE.format(EXPIRES) * 1001, MALFORMED),
    "a KMS": ("/aaa?encryption=", SAID["/aaa?encryption="][1].replace("AES256", "aws:kms"), NOT_IMPLEMENTED),
    "a key of the store": (
        "/aaa?encryption=",
        SAID["/aaa?encryption="][1].replace("</SSEAlgorithm>", "</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>"),
        DENIED,
    ),
    "days and years": (
        "/aaa?object-lock=",
        SAID["/aaa?object-lock="][1].replace("</Days>", "</Days><Years>1</Years>"),
        MALFORMED,
    ),
    "no such mode": ("/aaa/team/k?retention=", SAID["/aaa/team/k?retention="][1].replace("COMPLIANCE", "X"), MALFORMED),
    "a hold for an event": ("/aaa/team/k?retention=", "<EventHold>ON</EventHold>", NOT_IMPLEMENTED),
    "no such hold": ("/aaa/team/k?legal-hold=", "<Status>MAYBE</Status>", MALFORMED),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_b23_what_leads_out_of_the_bucket_or_is_not_understood_never_arrives(
    recorded: Recorded, configuring: Configuring, name: str
) -> None:
    target, inside, answer = REFUSED[name]
    for signer in (configuring.full, recorded.signer):
        assert refusal(recorded, sent(signer, target, document(target, inside))) == answer


# ---- what comes of it ----

_numbers = itertools.count(1)
every_store = on_stores("seaweedfs", "moto")
UNTIL = datetime(2090, 1, 1, tzinfo=UTC)


@pytest.fixture
def full(gateway: Gateway, bucket: str) -> Iterator[Any]:
    """boto3 with Full for the bucket."""
    with gateway.boto3(gateway.create_key(bucket, rights="full")) as client:
        yield client


@pytest.fixture
def locking(s3: Any) -> str:
    """A bucket made through the gateway, with object lock."""
    name = f"locking-{next(_numbers)}-{secrets.token_hex(4)}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


RULES: list[dict[str, Any]] = [
    {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 3}},
    {
        "ID": "b",
        "Status": "Enabled",
        "Filter": {"And": {"Prefix": "tmp/", "Tags": [{"Key": "k", "Value": "a & b"}]}},
        "Expiration": {"Days": 1},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 2},
    },
    {"ID": "c", "Status": "Enabled", "Filter": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    {"ID": "d", "Status": "Disabled", "Filter": {"Tag": {"Key": "k", "Value": "v"}}, "Expiration": {"Date": UNTIL}},
]


@every_store
def test_a_lifecycle_is_kept_shown_and_taken_away(full: Any, direct: Any, bucket: str) -> None:
    full.put_object(Bucket=bucket, Key="logs/k", Body=b"kept")
    full.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={"Rules": RULES},
        TransitionDefaultMinimumObjectSize="all_storage_classes_128K",
    )
    for client in (full, direct):
        assert client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == RULES
    assert full.get_object(Bucket=bucket, Key="logs/k")["Body"].read() == b"kept"
    full.delete_bucket_lifecycle(Bucket=bucket)
    assert _code(full.get_bucket_lifecycle_configuration, Bucket=bucket) == (404, "NoSuchLifecycleConfiguration")


@every_store
def test_a_lifecycle_with_a_transition_leaves_the_one_before_it(full: Any, direct: Any, bucket: str) -> None:
    full.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": RULES})
    moving = [*RULES, {**RULES[0], "ID": "e", "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}]
    answer = _code(full.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration={"Rules": moving})
    assert answer == DENIED
    assert direct.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == RULES


@every_store
def test_a_bucket_is_encrypted_by_default_and_read_as_before(full: Any, direct: Any, bucket: str) -> None:
    rules = [{DEFAULT: {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": True}]
    full.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    for client in (full, direct):
        shown = client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert shown == rules
    assert full.put_object(Bucket=bucket, Key="k", Body=b"secret")["ServerSideEncryption"] == "AES256"
    assert full.get_object(Bucket=bucket, Key="k")["Body"].read() == b"secret"
    full.delete_bucket_encryption(Bucket=bucket)
    assert full.get_object(Bucket=bucket, Key="k")["Body"].read() == b"secret"


@on_stores("seaweedfs")  # moto shows years beside the days
def test_a_bucket_has_a_default_retention(s3: Any, direct: Any, locking: str) -> None:
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    s3.put_object_lock_configuration(Bucket=locking, ObjectLockConfiguration=lock)
    for client in (s3, direct):
        assert client.get_object_lock_configuration(Bucket=locking)["ObjectLockConfiguration"] == lock


@every_store
def test_a_retained_object_stays_until_a_key_with_full_bypasses_it(gateway: Gateway, s3: Any, locking: str) -> None:
    version = s3.put_object(Bucket=locking, Key="k", Body=b"retained")["VersionId"]
    retained = {"Mode": "GOVERNANCE", "RetainUntilDate": UNTIL}
    s3.put_object_retention(Bucket=locking, Key="k", VersionId=version, Retention=retained)
    asked = {"Bucket": locking, "Key": "k", "VersionId": version}
    assert _code(s3.delete_object, **asked) == DENIED
    with gateway.boto3(gateway.create_key(locking, rights="read_write")) as writing:
        assert _code(writing.put_object_retention, **asked, Retention={}) == DENIED
        assert _code(writing.delete_object, **asked, BypassGovernanceRetention=True) == DENIED
    assert s3.get_object(**asked)["Body"].read() == b"retained"
    s3.delete_object(**asked, BypassGovernanceRetention=True)


@on_stores("seaweedfs")
def test_a_retention_is_shown(s3: Any, locking: str) -> None:
    s3.put_object(Bucket=locking, Key="k", Body=b"retained")
    retained = {"Mode": "GOVERNANCE", "RetainUntilDate": UNTIL}
    s3.put_object_retention(Bucket=locking, Key="k", Retention=retained)
    assert s3.get_object_retention(Bucket=locking, Key="k")["Retention"] == retained


@every_store
def test_a_held_object_stays_until_it_is_released(s3: Any, locking: str) -> None:
    version = s3.put_object(Bucket=locking, Key="k", Body=b"held")["VersionId"]
    asked = {"Bucket": locking, "Key": "k", "VersionId": version}
    for status in ("ON", "OFF"):
        s3.put_object_legal_hold(**asked, LegalHold={"Status": status})
        assert s3.get_object_legal_hold(**asked)["LegalHold"] == {"Status": status}
        if status == "ON":
            assert _code(s3.delete_object, **asked) == DENIED
    s3.delete_object(**asked)


@on_stores("seaweedfs")
def test_what_the_store_itself_refuses_is_told_in_its_words(full: Any, bucket: str) -> None:
    """The bucket was made without object lock."""
    full.put_object(Bucket=bucket, Key="k", Body=b"free")
    lock = {"ObjectLockEnabled": "Enabled"}
    answer = _code(full.put_object_lock_configuration, Bucket=bucket, ObjectLockConfiguration=lock)
    assert answer == (409, "InvalidBucketState")
    held = _code(full.put_object_legal_hold, Bucket=bucket, Key="k", LegalHold={"Status": "ON"})
    assert held == (400, "InvalidRequest")
    assert full.get_object(Bucket=bucket, Key="k")["Body"].read() == b"free"


@on_stores("rclone")
@pytest.mark.parametrize("method", ["put_object_retention", "put_object_legal_hold"])
def test_a_store_that_would_write_it_over_the_object_is_never_asked(
    s3: Any, direct: Any, bucket: str, method: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"precious")
    arguments = {"put_object_retention": {"Retention": {}}, "put_object_legal_hold": {"LegalHold": {"Status": "ON"}}}
    assert _code(getattr(s3, method), Bucket=bucket, Key="k", **arguments[method]) == NOT_IMPLEMENTED
    assert direct.get_object(Bucket=bucket, Key="k")["Body"].read() == b"precious"


def _code(call: Callable[..., object], **arguments: object) -> tuple[int, str]:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    answer = refused.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]
