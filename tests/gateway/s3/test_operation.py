"""What a request asks for: botocore's own requests find their rows, and nothing unknown finds a neighbour."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.addressing import Addressing
from gateway.s3.errors import Code, S3Error
from gateway.s3.header_names import header_names
from gateway.s3.operation import OPERATIONS, Operation, classify
from gateway.s3.operation_table import Level
from gateway.s3.request import METHODS, RequestHead, parse_request

PATH_STYLE = Addressing((), frozenset(), dot_segments=False)
COPYING = {b"x-amz-copy-source": b"/bucket/k"}


def classified(
    method: bytes, target: bytes, headers: dict[bytes, bytes] | None = None, hoisted: frozenset[bytes] = frozenset()
) -> Operation:
    fields = {b"host": b"gw.example", **(headers or {})}
    head = RequestHead(method, target, fields, header_names(tuple(fields)), 1)
    request = parse_request(head, PATH_STYLE)
    request.hoisted = hoisted
    return classify(request)


def refusal(method: bytes, target: bytes, headers: dict[bytes, bytes] | None = None) -> S3Error:
    with pytest.raises(S3Error) as caught:
        classified(method, target, headers)
    return caught.value


# ---- botocore as the judge ----

OBJECT = {"Bucket": "bucket", "Key": "a/k"}
BUCKET = {"Bucket": "bucket"}
UPLOAD = {**OBJECT, "UploadId": "2~u"}
TAGS = {"Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}}
SENT: dict[str, dict[str, Any]] = {
    "list_buckets": {"MaxBuckets": 5, "Prefix": "a", "BucketRegion": "us-east-1", "ContinuationToken": "t"},
    "head_bucket": BUCKET,
    "create_bucket": BUCKET,
    "delete_bucket": BUCKET,
    "get_bucket_location": BUCKET,
    "list_objects": {**BUCKET, "Prefix": "a/", "Delimiter": "/", "Marker": "m", "MaxKeys": 3, "EncodingType": "url"},
    "list_objects_v2": {**BUCKET, "Prefix": "a/", "StartAfter": "m", "FetchOwner": True, "ContinuationToken": "t"},
    "list_object_versions": {**BUCKET, "KeyMarker": "m", "VersionIdMarker": "v"},
    "list_multipart_uploads": {**BUCKET, "KeyMarker": "m", "UploadIdMarker": "u", "MaxUploads": 3},
    "get_object": {**OBJECT, "VersionId": "v", "PartNumber": 1, "ResponseContentType": "text/plain"},
    "head_object": {**OBJECT, "VersionId": "v", "PartNumber": 1},
    "get_object_attributes": {**OBJECT, "ObjectAttributes": ["ETag"], "VersionId": "v"},
    "put_object": {**OBJECT, "Body": b"x"},
    "copy_object": {**OBJECT, "CopySource": "bucket/k"},
    "delete_object": {**OBJECT, "VersionId": "v"},
    "delete_objects": {**BUCKET, "Delete": {"Objects": [{"Key": "k"}]}},
    "get_object_tagging": OBJECT,
    "put_object_tagging": {**OBJECT, **TAGS},
    "delete_object_tagging": OBJECT,
    "create_multipart_upload": OBJECT,
    "upload_part": {**UPLOAD, "PartNumber": 1, "Body": b"x"},
    "upload_part_copy": {**UPLOAD, "PartNumber": 1, "CopySource": "bucket/k"},
    "complete_multipart_upload": {**UPLOAD, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": "e"}]}},
    "abort_multipart_upload": UPLOAD,
    "list_parts": {**UPLOAD, "MaxParts": 3, "PartNumberMarker": 1},
    "get_bucket_versioning": BUCKET,
    "put_bucket_versioning": {**BUCKET, "VersioningConfiguration": {"Status": "Enabled"}},
    "get_bucket_tagging": BUCKET,
    "put_bucket_tagging": {**BUCKET, **TAGS},
    "delete_bucket_tagging": BUCKET,
    "get_bucket_encryption": BUCKET,
    "get_bucket_lifecycle_configuration": BUCKET,
    "get_object_lock_configuration": BUCKET,
    "put_bucket_encryption": {
        **BUCKET,
        "ServerSideEncryptionConfiguration": {
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    },
    "put_bucket_lifecycle_configuration": {
        **BUCKET,
        "LifecycleConfiguration": {"Rules": [{"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}]},
        "TransitionDefaultMinimumObjectSize": "all_storage_classes_128K",
    },
    "put_object_lock_configuration": {**BUCKET, "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}},
    "get_object_retention": {**OBJECT, "VersionId": "v"},
    "put_object_retention": {**OBJECT, "VersionId": "v", "Retention": {}, "BypassGovernanceRetention": True},
    "get_object_legal_hold": {**OBJECT, "VersionId": "v"},
    "put_object_legal_hold": {**OBJECT, "VersionId": "v", "LegalHold": {"Status": "ON"}},
    "get_bucket_acl": BUCKET,
    "get_bucket_policy": BUCKET,
    "list_bucket_inventory_configurations": BUCKET,
    "get_bucket_inventory_configuration": {**BUCKET, "Id": "i"},
    "select_object_content": {
        **OBJECT,
        "Expression": "e",
        "ExpressionType": "SQL",
        "InputSerialization": {},
        "OutputSerialization": {},
    },
}


@pytest.fixture(scope="module")
def sent() -> Iterator[dict[str, AWSPreparedRequest]]:
    """Method name → the request that boto3 puts on the wire for it."""
    client = boto3.client(
        "s3",
        endpoint_url="http://gw.example",
        region_name="us-east-1",
        aws_access_key_id="NQAK0123456789abcdef",
        aws_secret_access_key="not a secret",
        config=Config(s3={"addressing_style": "path"}),
    )
    caught: list[AWSPreparedRequest] = []

    def keep(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        caught.append(request)
        return AWSResponse(request.url, 500, {}, None)

    client.meta.events.register_first("before-send.s3", keep)
    client.meta.events.register_first("needs-retry.s3", lambda **_: None)
    requests = {}
    for name, arguments in SENT.items():
        try:
            getattr(client, name)(**arguments)
        except Exception:
            requests[name] = caught[-1]
    yield requests
    client.close()


@pytest.mark.parametrize("name", SENT)
def test_what_boto3_sends_is_the_operation_it_was_asked_for(sent: dict[str, AWSPreparedRequest], name: str) -> None:
    request = sent[name]
    parts = urlsplit(request.url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {key.lower().encode(): str(value).encode() for key, value in request.headers.items()}
    expected = "".join(word.capitalize() for word in name.split("_"))
    assert classified(request.method.encode(), target.encode(), headers).name == expected


# ---- rows that clients spell differently ----


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        (b"GET", b"/", "ListBuckets"),
        (b"GET", b"/?x-id=ListBuckets", "ListBuckets"),
        (b"PUT", b"/bucket/k?x-id=PutObject", "PutObject"),
        (b"POST", b"/bucket/?delete=", "DeleteObjects"),
        (b"POST", b"/bucket?delete", "DeleteObjects"),
        (b"GET", b"/bucket/", "ListObjects"),
        (b"GET", b"/bucket?list-type=2", "ListObjectsV2"),
        (b"POST", b"/bucket/k?uploads", "CreateMultipartUpload"),
        (b"POST", b"/bucket", "PostObject"),
        (b"GET", b"/bucket/k?uploadId=u", "ListParts"),
        (b"GET", b"/bucket/k?X-Amz-Signature=s&X-Amz-Expires=1&response-expires=x", "GetObject"),
        (b"GET", b"/bucket/k?AWSAccessKeyId=a&Signature=s&Expires=1", "GetObject"),
    ],
)
def test_spellings_of_real_clients_find_their_row(method: bytes, target: bytes, name: str) -> None:
    assert classified(method, target).name == name


def test_a_header_hoisted_into_the_query_is_no_parameter() -> None:
    target = b"/bucket/k?X-Amz-Signature=s&x-amz-meta-a=1&X-Amz-Acl=private"
    headers = {b"x-amz-meta-a": b"1", b"x-amz-acl": b"private"}
    assert classified(b"PUT", target, headers, frozenset({b"x-amz-meta-a", b"X-Amz-Acl"})).name == "PutObject"
    assert refusal(b"PUT", target, headers).code is Code.NOT_IMPLEMENTED  # a header is no excuse for a parameter


def test_a_copy_source_hoisted_into_the_query_makes_a_copy() -> None:
    hoisted = frozenset({b"x-amz-copy-source"})
    assert classified(b"PUT", b"/bucket/k?x-amz-copy-source=%2Fb%2Fk", {b"x-amz-copy-source": b"/b/k"}, hoisted).copies


# ---- refusals ----


@pytest.mark.parametrize(
    ("method", "target", "named"),
    [
        (b"PUT", b"/bucket/k?foo", "foo"),
        (b"PUT", b"/bucket/k?append", "append"),
        (b"PUT", b"/bucket/k?versionId=v", "versionId"),
        (b"PUT", b"/bucket/k?partNumber=1", "partNumber"),
        (b"GET", b"/bucket/k?lambdaArn=x", "lambdaArn"),
        (b"GET", b"/bucket?events=x", "events"),
        (b"GET", b"/bucket?metadata=true&list-type=2", "metadata"),
        (b"GET", b"/?usage", "usage"),
        (b"GET", b"/?Action=ListTopics", "Action"),
        (b"GET", b"/bucket?rgwx-uid=root", "rgwx-uid"),
        (b"GET", b"/bucket?Prefix=a", "Prefix"),
        (b"GET", b"/bucket?LIST-TYPE=2", "LIST-TYPE"),
        (b"DELETE", b"/bucket?force", "force"),
        (b"DELETE", b"/bucket?uploads", "uploads"),
        (b"DELETE", b"/bucket/k?acl", "acl"),
        (b"HEAD", b"/bucket?acl", "acl"),
        (b"GET", b"/?list-type=2", "list-type"),
        (b"PUT", b"/bucket/k?x-amz-acl=private", "x-amz-acl"),
        (b"GET", b"/bucket/k?x_amz_acl=private", "x_amz_acl"),
        (b"GET", b"/bucket?\xc3".replace(b"\xc3", b"%C3"), "�"),
    ],
)
def test_a_parameter_without_a_row_is_not_implemented_and_named(method: bytes, target: bytes, named: str) -> None:
    error = refusal(method, target)
    assert error.code is Code.NOT_IMPLEMENTED
    assert named in error.message


@pytest.mark.parametrize(
    "target",
    [b"/bucket?acl&policy", b"/bucket?uploads&versions", b"/bucket/k?uploads&uploadId=u", b"/bucket?acl&delete"],
)
def test_two_sub_resources_are_refused(target: bytes) -> None:
    for method in (b"GET", b"PUT", b"POST", b"DELETE"):
        assert refusal(method, target).code is Code.INVALID_REQUEST


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"GET", b"/bucket?versions=false"),
        (b"POST", b"/bucket?delete=no"),
        (b"GET", b"/bucket?list-type=1"),
        (b"GET", b"/bucket?list-type="),
        (b"GET", b"/bucket?list-type=2%20"),
        (b"DELETE", b"/bucket/k?uploadId="),
        (b"PUT", b"/bucket/k?tagging=x"),
    ],
)
def test_a_sub_resource_with_a_value_that_stores_read_differently_is_refused(method: bytes, target: bytes) -> None:
    assert refusal(method, target).code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(("method", "target"), [(b"POST", b"/"), (b"HEAD", b"/"), (b"PUT", b"/"), (b"DELETE", b"/")])
def test_the_service_itself_only_lists_buckets(method: bytes, target: bytes) -> None:
    assert refusal(method, target).code is Code.METHOD_NOT_ALLOWED


@pytest.mark.parametrize("target", [b"/", b"/bucket", b"/bucket/k"])
def test_a_preflight_without_a_rule_is_denied(target: bytes) -> None:
    assert refusal(b"OPTIONS", target).code is Code.ACCESS_DENIED


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"GET", b"/bucket/k"),
        (b"PUT", b"/bucket"),
        (b"PUT", b"/bucket/k?tagging"),
        (b"POST", b"/bucket/k?uploads"),
        (b"DELETE", b"/bucket/k"),
        (b"POST", b"/bucket?delete"),
    ],
)
def test_a_copy_source_where_nothing_is_copied_is_refused(method: bytes, target: bytes) -> None:
    assert refusal(method, target, COPYING).code is Code.INVALID_REQUEST


def test_a_part_needs_its_number() -> None:
    assert refusal(b"PUT", b"/bucket/k?uploadId=u").code is Code.NOT_IMPLEMENTED
    assert refusal(b"PUT", b"/bucket/k?uploadId=u", COPYING).code in (Code.NOT_IMPLEMENTED, Code.INVALID_REQUEST)


# ---- laws ----

SELECTORS = sorted({row.selector for row in OPERATIONS if row.selector})
TARGETS = {Level.SERVICE: b"/", Level.BUCKET: b"/bucket", Level.OBJECT: b"/bucket/k"}


@given(
    st.sampled_from(sorted(METHODS)),
    st.sampled_from(sorted(TARGETS.values())),
    st.lists(
        st.sampled_from([*SELECTORS, b"foo", b"versionId", b"partNumber", b"id", b"prefix"]), unique=True, max_size=3
    ),
    st.booleans(),
)
def test_what_is_classified_is_exactly_what_was_asked(
    method: bytes, target: bytes, names: list[bytes], copies: bool
) -> None:
    query = b"&".join(b"list-type=2" if name == b"list-type" else name for name in names)
    try:
        operation = classified(method, target + b"?" + query, COPYING if copies else None)
    except S3Error:
        return
    assert operation.method == method
    assert TARGETS[operation.level] == target
    assert operation.copies == copies
    assert set(names) <= operation.parameters
    assert [name for name in names if name in SELECTORS] == [operation.selector] * (operation.selector is not None)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda row: row.name)
def test_every_row_can_be_reached(operation: Operation) -> None:
    names = {operation.selector} | operation.needs if operation.selector else operation.needs
    values = {b"list-type": b"2", b"uploadId": b"u"}
    query = b"&".join(
        name + b"=" + values.get(name, b"1" if name in operation.needs else b"") for name in sorted(names)
    )
    headers = COPYING if operation.copies else None
    assert classified(operation.method, TARGETS[operation.level] + b"?" + query, headers) is operation
